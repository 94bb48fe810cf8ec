"""What every adapter keeps that speaks to an HTTP API: its tests inherit these.

class TestAliyunSms(HttpContract):
    @pytest.fixture
    def provider(self): ...
"""

import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from messaging.channels import http_api
from messaging.channels.base import (
    Account,
    ChannelAdapter,
    DeliveryError,
    Outbound,
    OutcomeUnknown,
    SenderFailure,
)
from notification_platform.embedded.providers.server import Act, Answer
from tests.imitations.ports import free_port

SHORT, LONG = 0.3, 10.0


def account_of(
    adapter: type[ChannelAdapter], *, options: dict[str, Any], credentials: dict[str, Any]
) -> Account:
    assert adapter.problems(options, credentials) == {}
    return Account(1, "sender", options, credentials, "", "", "digest")


def outbound_of(content: Any, **further: Any) -> Outbound:
    attempt = str(uuid4())
    return Outbound(attempt, f"<{uuid4()}@notifications.example>", content, **further)


class HttpContract:
    """Subclasses have the fixtures `provider`, an imitation that runs; `adapter`, with an account
    that it knows; and `outbound`, which it takes. `stranger` is an adapter with wrong credentials.
    """

    # The provider's codes, as `refusal` takes them: the failure and its kind.
    CODES: ClassVar[dict[str, tuple[type[DeliveryError], str]]] = {}
    # What stands in an account and in no error.
    SECRETS: ClassVar[tuple[str, ...]] = ()
    # Whether it says under which id it took a message.
    GIVES_IDS: ClassVar[bool] = True

    def taken(self, provider: Any) -> int:
        """How many messages it took."""
        return len(provider.arrived)

    def another(self, outbound: Outbound) -> Outbound:
        """One more that is taken, for providers that take the same one only once."""
        return replace(outbound, message_id=f"<{uuid4()}@notifications.example>")

    def refusal(self, code: str) -> Answer:
        """The provider's answer that says `code`."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def long_deadlines(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever answers is not late because the machine is busy."""
        monkeypatch.setattr(http_api, "TIMEOUT", (LONG, LONG))
        monkeypatch.setattr(http_api, "ANSWER_SECONDS", LONG)

    @pytest.fixture(autouse=True)
    def closing(self, adapter: ChannelAdapter) -> Iterator[None]:
        yield
        adapter.close()

    def failure(self, adapter: ChannelAdapter, outbound: Outbound) -> DeliveryError:
        with pytest.raises(DeliveryError) as caught:
            adapter.send(outbound)
        # As a traceback in a log would tell it, with whatever it came from.
        told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert not [secret for secret in self.SECRETS if secret in told]
        return caught.value

    def test_what_is_taken_has_the_providers_id(self, provider, adapter, outbound):
        receipt = adapter.send(outbound)

        assert self.taken(provider) == 1
        assert bool(receipt.provider_message_id) == self.GIVES_IDS

    @pytest.mark.parametrize("act", list(Act))
    def test_without_an_answer_nobody_knows(self, provider, adapter, outbound, act, monkeypatch):
        adapter.send(outbound)
        provider.lose.append(act)

        with monkeypatch.context() as impatient:
            impatient.setattr(http_api, "TIMEOUT", (SHORT, SHORT))
            impatient.setattr(http_api, "ANSWER_SECONDS", SHORT)
            began = time.monotonic()
            assert isinstance(self.failure(adapter, self.another(outbound)), OutcomeUnknown)

        assert time.monotonic() - began < LONG
        assert self.taken(provider) == 2
        adapter.send(self.another(outbound))
        assert self.taken(provider) == 3

    @pytest.mark.parametrize("status", [500, 502, 504])
    def test_a_broken_gateway_leaves_it_open(self, provider, adapter, outbound, status):
        adapter.send(outbound)
        provider.once.append(Answer(status, "<html>Bad Gateway</html>"))

        assert isinstance(self.failure(adapter, outbound), OutcomeUnknown)

    @pytest.mark.parametrize("status", [429, 503])
    def test_who_is_told_to_wait_waits(self, provider, adapter, outbound, status):
        adapter.send(outbound)
        provider.once.append(Answer(status, "{}", {"Retry-After": "7"}))

        error = self.failure(adapter, outbound)

        assert (type(error), error.kind, error.retry_after) == (SenderFailure, "throttled", 7.0)

    def test_no_redirect_is_followed(self, provider, adapter, outbound):
        adapter.send(outbound)
        before = provider.requests
        provider.once.append(Answer(302, "", {"Location": f"{provider.url}/elsewhere"}))

        error = self.failure(adapter, outbound)

        assert (type(error), error.kind) == (SenderFailure, "misconfigured")
        assert provider.requests == before + 1

    @pytest.mark.parametrize("body", ["", "{", "[]", "null", "<html>", "[" * 50_000, "{}"])
    def test_what_cannot_be_read_of_a_success_leaves_it_open(
        self, provider, adapter, outbound, body
    ):
        adapter.send(outbound)
        provider.once.append(Answer(200, body))

        assert isinstance(self.failure(adapter, outbound), OutcomeUnknown)

    def test_a_huge_answer_is_not_read_to_its_end(self, provider, adapter, outbound):
        adapter.send(outbound)
        provider.once.append(Answer(200, " " * (http_api.MAX_ANSWER + 100_000)))

        assert isinstance(self.failure(adapter, outbound), OutcomeUnknown)

    def test_where_nobody_listens_nothing_was_taken(self, provider, adapter, outbound):
        away = free_port()
        gone = type(adapter)(_elsewhere(adapter.account, f"http://127.0.0.1:{away}"))

        error = self.failure(gone, outbound)

        assert (type(error), error.kind) == (SenderFailure, "transient")

    def test_wrong_credentials_are_the_senders_fault(self, provider, stranger, outbound):
        error = self.failure(stranger, outbound)

        assert (type(error), error.kind) == (SenderFailure, "credentials")
        assert self.taken(provider) == 0

    def test_each_code_of_the_provider_has_its_class(self, provider, adapter, outbound):
        adapter.send(outbound)
        wrong = {}
        for code, expected in self.CODES.items():
            provider.once.append(self.refusal(code))
            error = self.failure(adapter, outbound)
            if (type(error), error.kind) != expected or code not in error.code:
                wrong[code] = error

        assert self.CODES
        assert wrong == {}

    def test_a_code_that_nobody_knows_is_a_failure_with_its_words(
        self, provider, adapter, outbound
    ):
        adapter.send(outbound)
        provider.once.append(self.refusal("998877"))

        error = self.failure(adapter, outbound)

        assert "998877" in str(error)

    def test_the_connection_can_be_tested_without_sending(self, provider, adapter):
        steps = list(adapter.probe())

        assert steps
        assert all(step.is_ok for step in steps), steps
        assert self.taken(provider) == 0

    def test_the_test_of_a_connection_says_that_credentials_are_wrong(self, provider, stranger):
        steps = list(stranger.probe())

        assert not steps[-1].is_ok
        assert not [secret for secret in self.SECRETS if secret in steps[-1].words]


def _elsewhere(account: Account, url: str) -> Account:
    options = {**account.options, "api_url": url}
    return Account(2, "gone", options, account.credentials, "", "", "gone")

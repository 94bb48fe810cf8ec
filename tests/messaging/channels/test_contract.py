"""Both adapters keep the contract; Anymail's with each provider that is imitated."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from messaging.channels.anymail_email import AnymailEmail
from messaging.channels.smtp import SmtpEmail
from tests.imitations.http_provider import Act as HttpAct
from tests.imitations.http_provider import HttpProvider
from tests.imitations.smtp import Act as SmtpAct
from tests.imitations.smtp import SmtpServer
from tests.messaging.channels.contract import AdapterContract, Stage
from tests.messaging.channels.outbound import (
    PROVIDER_OPTIONS,
    make_account,
    provider_account,
    smtp_account,
)


class SmtpStage(Stage):
    def __init__(self, closing: ExitStack, *, is_pipelined: bool) -> None:
        self._running = closing.enter_context(ExitStack())
        self.server = self._running.enter_context(
            SmtpServer(users={"sender": "right"}, offers_pipelining=is_pipelined)
        )
        self.adapter = SmtpEmail(smtp_account(self.server, password="right"))
        closing.callback(self.adapter.close)

    @property
    def taken(self) -> int:
        return len(self.server.mails)

    @property
    def connections(self) -> int:
        return self.server.connections

    def refuse_credentials(self) -> None:
        self.server.users = {"sender": "another"}

    def throttle(self) -> None:
        self.server.script["auth"] = "454 4.7.0 too many logins"

    def refuse_recipient(self, address: str) -> None:
        self.server.recipients[address] = "550 5.1.1 unknown user"

    def fall_silent(self) -> None:
        self.server.script["final_dot"] = SmtpAct.SILENCE

    def vanish(self) -> None:
        self._running.close()

    def misconfigure(self) -> None:
        self.refuse_credentials()


class ProviderStage(Stage):
    def __init__(self, closing: ExitStack, kind: str) -> None:
        self._running = closing.enter_context(ExitStack())
        self.provider = self._running.enter_context(HttpProvider(kind))
        self.adapter = AnymailEmail(provider_account(self.provider))
        closing.callback(lambda: self.adapter.close())

    @property
    def taken(self) -> int:
        return len(self.provider.sent)

    @property
    def connections(self) -> int:
        return self.provider.connections

    def refuse_credentials(self) -> None:
        self.provider.secret = "another"

    def throttle(self) -> None:
        self.provider.script = self.provider.failure(429)

    def refuse_recipient(self, address: str) -> None:
        self.provider.inactive.add(address)

    def fall_silent(self) -> None:
        self.provider.script = HttpAct.SILENCE

    def vanish(self) -> None:
        self._running.close()

    def misconfigure(self) -> None:
        """Its API has no call that only logs in: a probe finds what is missing."""
        self.adapter = AnymailEmail(make_account({"backend": self.provider.kind}, {}))


class TestSmtp(AdapterContract):
    @pytest.fixture(params=[False, True], ids=["step by step", "pipelined"])
    def stage(self, request: pytest.FixtureRequest) -> Iterator[Stage]:
        with ExitStack() as closing:
            yield SmtpStage(closing, is_pipelined=request.param)


class TestAnymail(AdapterContract):
    @pytest.fixture(params=PROVIDER_OPTIONS)
    def stage(self, request: pytest.FixtureRequest) -> Iterator[Stage]:
        with ExitStack() as closing:
            yield ProviderStage(closing, request.param)

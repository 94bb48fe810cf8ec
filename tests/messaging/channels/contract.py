"""What every e-mail adapter promises. Each adapter's tests inherit `AdapterContract`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import pytest

from messaging.channels.base import (
    ChannelAdapter,
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    SenderFailure,
)
from tests.messaging.channels.outbound import make_outbound


class Stage(ABC):
    """A provider's imitation with an account at it, and the ways in which it can be set up."""

    adapter: ChannelAdapter

    @property
    @abstractmethod
    def taken(self) -> int:
        """How many messages the provider took."""

    @property
    @abstractmethod
    def connections(self) -> int: ...

    @abstractmethod
    def refuse_credentials(self) -> None: ...

    @abstractmethod
    def throttle(self) -> None: ...

    @abstractmethod
    def refuse_recipient(self, address: str) -> None: ...

    @abstractmethod
    def fall_silent(self) -> None:
        """Once the whole message is there."""

    @abstractmethod
    def vanish(self) -> None:
        """Nobody listens any more."""

    @abstractmethod
    def misconfigure(self) -> None:
        """So that a probe finds it."""


class AdapterContract:
    @pytest.fixture
    def stage(self) -> Iterator[Stage]:
        raise NotImplementedError

    def test_a_message_is_accepted(self, stage: Stage):
        receipt = stage.adapter.send(make_outbound())

        assert isinstance(receipt, Receipt)
        assert receipt.refused == ()
        assert stage.taken == 1

    def test_one_connection_serves_many_messages(self, stage: Stage):
        for _ in range(20):
            stage.adapter.send(make_outbound())

        assert (stage.taken, stage.connections) == (20, 1)

    def test_refused_credentials_are_the_senders_failure(self, stage: Stage):
        stage.refuse_credentials()

        with pytest.raises(SenderFailure) as caught:
            stage.adapter.send(make_outbound())

        assert caught.value.kind == "credentials"
        assert caught.value.code
        assert stage.taken == 0

    def test_a_throttled_account_is_the_senders_failure(self, stage: Stage):
        stage.throttle()

        with pytest.raises(SenderFailure) as caught:
            stage.adapter.send(make_outbound())

        assert caught.value.kind == "throttled"
        assert stage.taken == 0

    def test_a_refused_recipient_fails_the_message(self, stage: Stage):
        stage.refuse_recipient("ann@example.com")

        with pytest.raises(PermanentFailure):
            stage.adapter.send(make_outbound())

        assert stage.taken == 0

    def test_a_refused_recipient_leaves_the_account_usable(self, stage: Stage):
        stage.refuse_recipient("ann@example.com")
        with pytest.raises(PermanentFailure):
            stage.adapter.send(make_outbound())

        stage.adapter.send(make_outbound(to=[("", "bob@example.com")]))

        assert stage.taken == 1

    def test_an_unreachable_provider_is_the_senders_failure(self, stage: Stage):
        stage.vanish()

        with pytest.raises(SenderFailure) as caught:
            stage.adapter.send(make_outbound())

        assert (caught.value.kind, caught.value.phase) == ("transient", "connect")

    @pytest.mark.usefixtures("impatient")
    def test_silence_once_the_message_is_there_leaves_it_open(self, stage: Stage):
        stage.fall_silent()

        with pytest.raises(OutcomeUnknown) as caught:
            stage.adapter.send(make_outbound())

        assert caught.value.kind == "no_answer"

    def test_an_address_that_is_none_fails_the_message_and_is_not_sent(self, stage: Stage):
        with pytest.raises(PermanentFailure):
            stage.adapter.send(make_outbound(bcc=[("", "a@example.com\r\nb@example.com")]))

        assert stage.taken == 0

    def test_a_line_break_in_a_name_fails_the_message_and_is_not_sent(self, stage: Stage):
        with pytest.raises(PermanentFailure):
            stage.adapter.send(make_outbound(to=[("a\nBcc: eve@example.com", "ann@example.com")]))

        assert stage.taken == 0

    def test_a_probe_that_succeeds_sends_nothing(self, stage: Stage):
        steps = list(stage.adapter.probe())

        assert steps
        assert all(step.is_ok and step.words for step in steps)
        assert stage.taken == 0

    def test_a_probe_that_fails_ends_with_what_failed(self, stage: Stage):
        stage.misconfigure()

        steps = list(stage.adapter.probe())

        assert [step.is_ok for step in steps[:-1]] == [True] * (len(steps) - 1)
        assert not steps[-1].is_ok
        assert steps[-1].words

    def test_closing_is_idempotent_and_not_the_end(self, stage: Stage):
        stage.adapter.send(make_outbound())

        stage.adapter.close()
        stage.adapter.close()
        stage.adapter.send(make_outbound())

        assert (stage.taken, stage.connections) == (2, 2)

    def test_closing_what_was_never_open_does_nothing(self, stage: Stage):
        stage.adapter.close()

        assert stage.connections == 0

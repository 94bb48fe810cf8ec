from collections.abc import Iterator
from typing import ClassVar

from messaging.channels.base import (
    Channel,
    ChannelAdapter,
    DeliveryError,
    Option,
    Outbound,
    ProbeStep,
    Receipt,
)


class FakeEmail(ChannelAdapter):
    """Takes everything, or fails as told: always with `failure`, or by sender with `failures`."""

    name = "fake"
    channel = Channel.EMAIL
    options = (Option("color", "Means nothing."), Option("password", "A secret.", is_secret=True))

    failure: ClassVar[Exception | None] = None
    failures: ClassVar[dict[str, Exception]] = {}
    sent: ClassVar[list[tuple[str, Outbound]]] = []

    @classmethod
    def reset(cls) -> None:
        cls.failure, cls.failures, cls.sent = None, {}, []

    def send(self, outbound: Outbound) -> Receipt:
        failure = self.failures.get(self.account.name, self.failure)
        if failure is not None:
            raise failure
        self.sent.append((self.account.name, outbound))
        return Receipt(provider_message_id=f"fake-{len(self.sent)}", code="250", words="OK")

    def probe(self) -> Iterator[ProbeStep]:
        failure = self.failures.get(self.account.name, self.failure)
        if isinstance(failure, DeliveryError):
            yield ProbeStep(failure.phase, False, str(failure), 1.0)
        else:
            yield ProbeStep("connect", True, "220 fake", 1.0)


class FakeSms(FakeEmail):
    name = "fake-sms"
    channel = Channel.SMS


class FakeMembers(FakeEmail):
    """Applications of WeChat Work."""

    name = "fake-members"
    channel = Channel.WECHAT


class FakeRobot(FakeEmail):
    name = "fake-robot"
    channel = Channel.WECHAT
    is_named = True


class FakeOfficial(FakeEmail):
    name = "fake-official"
    channel = Channel.WECHAT_OFFICIAL


class FakeChat(FakeEmail):
    name = "fake-chat"
    channel = Channel.CHAT
    is_named = True


FAKES = (FakeEmail, FakeSms, FakeMembers, FakeRobot, FakeOfficial, FakeChat)

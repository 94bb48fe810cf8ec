"""What templates ask of messages. `messaging` fills it in, so that imports still go down."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from accounts.models import User
from templates_app.models import Template, TemplateVersion


@dataclass(frozen=True, slots=True)
class Caller:
    """An application that sent by a template lately, and which of the names it did not give."""

    application: str
    messages: int
    last_used_at: datetime
    missing: tuple[str, ...]


class Uses(Protocol):
    def recent_callers(
        self, template: Template, *, lacking: Collection[str], since: datetime
    ) -> Sequence[Caller]:
        """Who sent by any version of `template` since then without one of `lacking`."""

    def test_senders(self, channel: str) -> Sequence[tuple[int, str]]:
        """Id and name of the senders that a test may go through."""

    def send_test(
        self,
        version: TemplateVersion,
        *,
        to: str,
        variables: dict[str, Any],
        sender_id: int | None,
        by: User,
        now: datetime,
    ) -> UUID:
        """Send one message of `version`, a draft too, through that sender alone, or through the
        pool. Returns the message's id. Raises `DomainError`."""

    def forget_tests(self, version: TemplateVersion) -> None:
        """Test messages of `version` stay, and do not name it any more."""


_uses: Uses | None = None


def connect(uses: Uses) -> None:
    """Called once, by who knows the messages, when Django starts."""
    global _uses
    _uses = uses


def uses() -> Uses:
    assert _uses is not None, "the app of the messages has not connected itself"
    return _uses

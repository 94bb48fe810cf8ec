"""The whole story of a message for its caller: every move, each attempt with the pool's decision
and the provider's words, what was swallowed as a duplicate, and what comes next.

No addresses, no contents: recipients are told by their position.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from messaging.models import Attempt, Event, Message, Status
from messaging.story import AFTER_ATTEMPT, AFTER_EVENT, told, told_event, told_feedback

_DETAILS = ("why", "reason", "from", "to", "request_id")


@dataclass(frozen=True, slots=True)
class Entry:
    """`kind` is `accepted`, `attempt`, `feedback`, or the kind of an event. `status` is what the
    message became by it, or what was reported; empty where it stayed what it was."""

    at: datetime
    kind: str
    status: str
    detail: str
    attempt: dict[str, Any] | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timeline:
    message: Message
    entries: list[Entry]
    # When it is sent or tried next, or, without an answer, when that is decided; None when it is
    # over or under way.
    next_at: datetime | None


def timeline_of(message: Message) -> Timeline:
    entries = sorted(_entries(message), key=lambda entry: entry.at)
    is_waiting = message.status in (Status.PENDING, Status.UNKNOWN)
    return Timeline(message, entries, message.due_at if is_waiting else None)


def _entries(message: Message) -> Iterator[Entry]:
    yield Entry(message.created_at, "accepted", Status.PENDING, "Accepted.")
    for attempt in message.attempts.select_related("sender").order_by("started_at"):
        became = AFTER_ATTEMPT.get(attempt.outcome, Status.SENDING)
        yield Entry(attempt.started_at, "attempt", became, told(attempt), attempt=_attempt(attempt))
    for event in message.events.order_by("at"):
        kind = Event.Kind(event.kind)
        details = {name: event.details[name] for name in _DETAILS if name in event.details}
        became = AFTER_EVENT.get(kind, "")
        yield Entry(event.at, kind.value, became, told_event(event), details=details)
    for news in message.feedback_events.select_related("sender").order_by("at", "pk"):
        details = {"recipient": news.recipient} if news.recipient else {}
        yield Entry(news.at, "feedback", news.kind, told_feedback(news), details=details)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    decision = attempt.decision or {}
    return {
        "id": attempt.pk,
        "sender": attempt.sender.name,
        "started_at": attempt.started_at,
        "finished_at": attempt.finished_at,
        "unknown_at": attempt.unknown_at,
        "outcome": attempt.outcome or "open",
        "kind": attempt.kind,
        "phase": attempt.phase,
        "provider_code": attempt.provider_code,
        "provider_words": attempt.provider_words,
        "provider_message_id": attempt.provider_message_id,
        "refused": [
            {"recipient": one["recipient"], "code": one["code"]} for one in attempt.refused
        ],
        "candidates": [one["sender"] for one in decision.get("candidates", ())],
        "excluded": decision.get("excluded", {}),
    }

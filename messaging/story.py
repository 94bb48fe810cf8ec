"""What is told of a message: its state in the callers' words, and its history, read from its row,
its attempts and its events."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext

from messaging.models import Attempt, Event, FeedbackEvent, Message, Reason, Status

SHOWN_STATUSES = (*Status.values, "scheduled", "retrying")

AFTER_ATTEMPT: dict[str, str] = {
    Attempt.Outcome.ACCEPTED: Status.SUCCESS,
    Attempt.Outcome.TEMPORARY: Status.PENDING,
    Attempt.Outcome.PERMANENT: Status.FAILED,
    Attempt.Outcome.SENDER: Status.PENDING,
    Attempt.Outcome.NOT_SENT: Status.PENDING,
    Attempt.Outcome.UNKNOWN: Status.UNKNOWN,
}
AFTER_EVENT: dict[str, str] = {
    Event.Kind.WAITS_FOR_SENDER: Status.PENDING,
    Event.Kind.LEASE_LOST: Status.PENDING,
    Event.Kind.OUTCOME_UNKNOWN: Status.UNKNOWN,
    Event.Kind.SENT_AGAIN: Status.PENDING,
    Event.Kind.FAILED: Status.FAILED,
    Event.Kind.CANCELLED: Status.CANCELLED,
    Event.Kind.RESENT: Status.PENDING,
    Event.Kind.LATE_SUCCESS: Status.SUCCESS,
    Event.Kind.RESCHEDULED: Status.PENDING,
    Event.Kind.LANE_CHANGED: Status.PENDING,
    Event.Kind.RELEASED: Status.PENDING,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One state and since when; after a `success` also what the provider reported. `sender` is
    empty where none was involved."""

    at: datetime
    status: str
    detail: str
    sender: str = ""


def shown_status(message: Message, *, now: datetime) -> str:
    """The caller's word: what waits for its time is `scheduled`, what waits for another try is
    `retrying`; both are stored as `pending`."""
    if message.status == Status.PENDING and message.reason == Reason.TEMPORARY:
        return "retrying"
    if message.status == Status.PENDING and not message.reason and message.due_at > now:
        return "scheduled"
    return str(message.status)


def shown_as(shown: str, *, now: datetime) -> Q:
    """The condition under which `shown_status` says `shown`."""
    retrying = Q(status=Status.PENDING, reason=Reason.TEMPORARY)
    scheduled = Q(status=Status.PENDING, reason="", due_at__gt=now)
    if shown == "retrying":
        return retrying
    if shown == "scheduled":
        return scheduled
    if shown == Status.PENDING:
        return Q(status=Status.PENDING) & ~retrying & ~scheduled
    return Q(status=shown)


def tell(message: Message) -> list[Step]:
    """Every state of `message` in order, the first being its acceptance."""
    return sorted(_steps(message), key=lambda step: step.at)


def _steps(message: Message) -> Iterator[Step]:
    yield Step(message.created_at, Status.PENDING, gettext("Accepted."))
    for attempt in message.attempts.select_related("sender").order_by("started_at"):
        sender = attempt.sender.name
        handed = gettext("Handed to %(sender)s.") % {"sender": sender}
        yield Step(attempt.started_at, Status.SENDING, handed, sender)
        if attempt.finished_at is not None:
            yield Step(attempt.finished_at, AFTER_ATTEMPT[attempt.outcome], told(attempt), sender)
    for event in message.events.filter(kind__in=AFTER_EVENT).order_by("at"):
        yield Step(event.at, AFTER_EVENT[event.kind], told_event(event))
    for news in message.feedback_events.select_related("sender").order_by("at", "pk"):
        yield Step(news.at, news.kind, told_feedback(news), news.sender.name)


def told_event(event: Event) -> str:
    why = event.details.get("why") or event.details.get("reason") or ""
    return _sentence(str(Event.Kind(event.kind).label).capitalize(), why)


def told_feedback(news: FeedbackEvent) -> str:
    """Who reported it, of whom, and in which words."""
    facts = {"sender": news.sender.name, "recipient": news.recipient}
    if news.recipient:
        return _sentence(gettext("Reported by %(sender)s of %(recipient)s") % facts, news.words)
    return _sentence(gettext("Reported by %(sender)s") % facts, news.words)


def told(attempt: Attempt) -> str:
    """What came of it, in our word and the provider's."""
    ours = attempt.kind or str(attempt.get_outcome_display())
    if attempt.phase:
        ours = gettext("%(what)s at %(phase)s") % {"what": ours, "phase": attempt.phase}
    told = _sentence(ours, f"{attempt.provider_code} {attempt.provider_words}".strip())
    if attempt.refused:
        # By position: history holds no addresses.
        refused = ", ".join(f"{one['recipient']} ({one['code']})" for one in attempt.refused)
        told += " " + gettext("Refused: %(recipients)s.") % {"recipients": refused}
    return told


def _sentence(what: str, words: str) -> str:
    """Others' words follow ours as they are."""
    if words:
        return gettext("%(what)s: %(words)s") % {"what": what, "words": words}
    return gettext("%(what)s.") % {"what": what}

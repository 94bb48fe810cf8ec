"""The story of a message for its page: one row for each thing that happened, in the operator's
language, with how long after the one before, and why the pool chose as it did."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext

from core.durations import in_words
from core.vocabulary import Lane
from messaging.admin import decisions
from messaging.admin.bulk_words import STATUS_WORDS
from messaging.models import Attempt, Event, FeedbackEvent, Message, Reason, Status
from messaging.story import AFTER_ATTEMPT, AFTER_EVENT, shown_status

STATUS_COLORS = {
    "success": "success",
    "failed": "danger",
    "unknown": "danger",
    "retrying": "warning",
    "sending": "info",
    "scheduled": "info",
}
FEEDBACK_COLORS = {
    "deferred": "warning",
    "delivered": "success",
    "opened": "success",
    "clicked": "success",
    "bounced": "danger",
    "unsubscribed": "warning",
    "complained": "danger",
}
COLORS = STATUS_COLORS | FEEDBACK_COLORS


@dataclass(frozen=True, slots=True)
class Row:
    """`status` is the word in colour, empty where nothing changed; `after` is since the row before.
    `key` names it, so that what a reader has folded open stays open."""

    at: datetime
    key: str
    title: str
    status: str = ""
    color: str = ""
    detail: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    # The pool's decision: sender, and what is said of it.
    chosen: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    more: str = ""
    after: str = ""


def tell_rows(message: Message) -> list[Row]:
    rows = sorted(_rows(message), key=lambda row: row.at)
    befores = [None, *rows[:-1]]
    return [
        row if before is None else replace(row, after=_after(row.at - before.at))
        for row, before in zip(rows, befores, strict=True)
    ]


def what_is_next(message: Message, *, now: datetime) -> str:
    """When something happens to it by itself, in a sentence; empty when it is over or under way."""
    if message.status not in (Status.PENDING, Status.UNKNOWN):
        return ""
    if message.due_at <= now:
        return gettext("It is due: the next worker takes it.")
    when = _moment(message.due_at)
    words = {"when": when, "in": in_words(message.due_at - now)}
    if message.status == Status.UNKNOWN:
        return gettext("What becomes of it is decided at %(when)s, in %(in)s.") % words
    if shown_status(message, now=now) == "scheduled":
        return gettext("It is sent at %(when)s, in %(in)s.") % words
    return gettext("It is tried next at %(when)s, in %(in)s.") % words


def _rows(message: Message) -> Iterator[Row]:
    yield Row(
        message.created_at,
        "accepted",
        gettext("Accepted"),
        *_colored(Status.PENDING),
        detail=gettext("From %(application)s.") % {"application": message.application},
    )
    for attempt in message.attempts.select_related("sender").order_by("started_at"):
        yield _begin(attempt)
        if attempt.finished_at is not None:
            yield _end(attempt)
    for event in message.events.select_related("actor").order_by("at"):
        yield _event(event)
    for news in message.feedback_events.select_related("sender").order_by("at", "pk"):
        yield _feedback(news)


def _begin(attempt: Attempt) -> Row:
    decision = attempt.decision or {}
    more = decision.get("more", 0)
    return Row(
        attempt.started_at,
        f"{attempt.pk}-begin",
        gettext("Handed to %(sender)s") % {"sender": attempt.sender},
        *_colored(Status.SENDING),
        detail="" if attempt.finished_at else gettext("There is no answer yet."),
        facts=_facts((gettext("Worker"), attempt.worker)),
        chosen=[(one["sender"], _candidate(one)) for one in decision.get("candidates", ())],
        left_out=[
            (name, decisions.in_words(why)) for name, why in decision.get("excluded", {}).items()
        ],
        more=ngettext("and %(count)d more", "and %(count)d more", more) % {"count": more}
        if more
        else "",
    )


def _end(attempt: Attempt) -> Row:
    assert attempt.finished_at is not None
    failure = f"{attempt.kind} ({attempt.phase})" if attempt.phase else attempt.kind
    unknown = attempt.unknown_at and _moment(attempt.unknown_at)
    refused = [
        (gettext("Refused"), f"{one['recipient']}: {one['code']} {one.get('words', '')}".strip())
        for one in attempt.refused
    ]
    return Row(
        attempt.finished_at,
        f"{attempt.pk}-end",
        capfirst(attempt.get_outcome_display()),
        *_colored(AFTER_ATTEMPT[attempt.outcome]),
        detail=f"{attempt.provider_code} {attempt.provider_words}".strip(),
        facts=[
            *_facts(
                (gettext("Sender"), str(attempt.sender)),
                (gettext("Failure"), failure),
                (gettext("Provider's id"), attempt.provider_message_id),
                (gettext("Unknown since"), unknown or ""),
            ),
            *refused,
        ],
    )


def _event(event: Event) -> Row:
    details = event.details
    why = details.get("why") or ""
    if not why and (reason := details.get("reason")):
        why = str(Reason(reason).label) if reason in Reason.values else str(reason)
    detail = why
    if event.actor:
        by = gettext("By %(actor)s.") % {"actor": event.actor}
        detail = f"{by} {why}".strip()
    return Row(
        event.at,
        f"event-{event.pk}",
        capfirst(event.get_kind_display()),
        *_colored(AFTER_EVENT.get(event.kind, "")),
        detail=detail,
        facts=_facts(
            (gettext("From"), _told(details.get("from"))),
            (gettext("To"), _told(details.get("to"))),
            (gettext("Request"), details.get("request_id", "")),
        ),
    )


def _feedback(news: FeedbackEvent) -> Row:
    return Row(
        news.at,
        f"feedback-{news.pk}",
        gettext("Reported by %(sender)s") % {"sender": news.sender},
        news.get_kind_display(),
        FEEDBACK_COLORS.get(news.kind, ""),
        detail=news.words,
        facts=_facts((gettext("Recipient"), news.recipient)),
    )


def _candidate(one: dict[str, Any]) -> str:
    words = gettext("priority %(priority)s, weight %(weight)s, %(used_today)s sent that day") % one
    if "share" in one:
        words += ", " + gettext("recovering at %(share)s %%") % one
    return words


def _colored(status: str) -> tuple[str, str]:
    return str(STATUS_WORDS.get(status, status)), COLORS.get(status, "")


def _facts(*pairs: tuple[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in pairs if value]


def _told(value: Any) -> str:
    """A status, a lane or a moment, as events keep them."""
    text = str(value or "")
    words = {**STATUS_WORDS, **dict(Lane.choices)}
    if text in words:
        return str(words[text])
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    return text if moment is None else _moment(moment)


def _moment(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "Y-m-d H:i:s")


def _after(length: timedelta) -> str:
    if length < timedelta(milliseconds=1):
        return ""
    return gettext("after %(time)s") % {"time": in_words(length)}

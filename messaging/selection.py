"""Which messages a person means: the filters of the list, and what they make of its rows.

The list of the admin, the pages that link to it and the jobs that work it off speak of messages by
these parameters; their names stay as they are:

    status        pending, scheduled, retrying, sending, success, failed, unknown, cancelled
    reason        of `Reason`
    application   its id
    template      its code, of whichever application and locale
    recipient     exactly; any of to, cc and bcc
    reference     exactly
    batch         its id
    created       1h, 1d, 7d or 30d
    created_from  2026-11-28, 2026-11-28T14:30 in the time of who asks, or with an offset
    created_to    the same, not included
    channel, sender (its id), lane, feedback, tag
                  of these no index knows: they look through the newest 100,000 only
    test          no: leaves out test messages, as statistics do

A value that makes no sense matches nothing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import F, Func, IntegerField, Q, QuerySet, Value
from django.db.models.lookups import GreaterThan
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from core.vocabulary import Channel, Lane
from messaging.channels.simulator import NAMES as SIMULATORS
from messaging.models import (
    WAITING_REASONS,
    Feedback,
    Message,
    OtherRecipient,
    Reason,
    Sender,
    Status,
)
from messaging.search import (
    as_uuid,
    created_before,
    created_since,
    find_messages,
    newest_begin_after,
    of_any_application,
)
from messaging.story import SHOWN_STATUSES, shown_as
from templates_app.models import TemplateVersion

PERIODS = {
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
# Of these no index knows.
AMONG_NEWEST = frozenset({"channel", "sender", "lane", "feedback", "tag"})
# Moments, which are written down so that they mean the same to everyone.
MOMENTS = frozenset({"created_from", "created_to"})
# Messages to a further recipient that are found by its address.
OTHERS_LIMIT = 10_000
NOTHING = Q(pk__in=[])


@dataclass(frozen=True, slots=True)
class Selection:
    """Messages under `filters`, and of these only `ids` if they are given. `asked_at` is when: an
    hour ago is an hour before that, also for a worker that comes to it later."""

    asked_at: datetime
    filters: Mapping[str, str] = field(default_factory=dict)
    ids: Sequence[UUID] | None = None
    newer_than: UUID | None = None
    # Each of `ids` was chosen by hand, not found by a search.
    is_picked: bool = False

    def rows(self) -> QuerySet[Message]:
        rows = Message.objects.all()
        if self.newer_than is not None:
            rows = rows.filter(pk__gt=self.newer_than)
        if self.ids is not None:
            rows = rows.filter(pk__in=self.ids)
        for name, value in self.filters.items():
            rows = rows.filter(condition(name, value, at=self.asked_at))
        return rows


def select(parameters: Mapping[str, str], *, at: datetime) -> Selection:
    """What the list shows under `parameters`, `q` among them. What depends on the moment, as which
    are the newest, is settled now."""
    filters = {name: value for name, value in parameters.items() if value and name in CONDITIONS}
    for name in MOMENTS & filters.keys():
        if (moment := as_moment(filters[name])) is not None:
            filters[name] = moment.isoformat()
    ids = sorted(find_messages(parameters["q"])) if parameters.get("q") else None
    newer_than = newest_begin_after(Message) if AMONG_NEWEST & filters.keys() else None
    return Selection(asked_at=at, filters=filters, ids=ids, newer_than=newer_than)


def condition(name: str, value: str, *, at: datetime) -> Q:
    """What one parameter asks for. That it may look through the newest only is the caller's job."""
    # PostgreSQL stores no NUL, and cannot be asked for one.
    return NOTHING if "\0" in value else CONDITIONS[name](value, at)


def as_moment(text: str) -> datetime | None:
    """A day begins at midnight; without an offset it is the time of the present time zone."""
    try:
        moment = parse_datetime(text)
        if moment is None and (day := parse_date(text)) is not None:
            moment = datetime.combine(day, time.min)
    except ValueError:
        return None
    if moment is not None and timezone.is_naive(moment):
        moment = timezone.make_aware(moment)
    return moment


def _status(value: str, at: datetime) -> Q:
    if value not in SHOWN_STATUSES:
        return NOTHING
    return of_any_application() & shown_as(value, now=at)


def _reason(value: str, at: datetime) -> Q:
    if value not in Reason.values:
        return NOTHING
    # There is no index by reason, but each reason goes with a status.
    status = Status.PENDING if value in WAITING_REASONS else Status.FAILED
    # A message that is being sent keeps the reason for which it waited.
    statuses = {status, Status.SENDING} if status == Status.PENDING else {status}
    return of_any_application() & Q(status__in=statuses, reason=value)


def _template(value: str, at: datetime) -> Q:
    versions = TemplateVersion.objects.filter(template__code=value).order_by()
    ids = list(versions.values_list("pk", flat=True))
    return of_any_application() & Q(template_version__in=ids)


def _recipient(value: str, at: datetime) -> Q:
    address = value.strip().lower()
    others = OtherRecipient.objects.filter(address=address).order_by("-message_id")
    ids = list(others.values_list("message_id", flat=True)[:OTHERS_LIMIT])
    to = Q(recipient=address)
    return to | Q(pk__in=ids) if ids else to


def _reference(value: str, at: datetime) -> Q:
    return of_any_application() & Q(reference=value.strip())


def _batch(value: str, at: datetime) -> Q:
    pk = as_uuid(value)
    return NOTHING if pk is None else Q(batch=pk)


def _tag(value: str, at: datetime) -> Q:
    if connection.features.supports_json_field_contains:
        return Q(tags__contains=[value])
    # SQLite keeps lists as Python writes them, and a quote inside a tag is escaped there.
    written = Value(json.dumps(value))
    place = Func(F("tags"), written, function="INSTR", output_field=IntegerField())
    return Q(GreaterThan(place, 0))


def _created(value: str, at: datetime) -> Q:
    return created_since(at - PERIODS[value]) if value in PERIODS else NOTHING


def _created_from(value: str, at: datetime) -> Q:
    moment = as_moment(value)
    return NOTHING if moment is None else created_since(moment)


def _created_to(value: str, at: datetime) -> Q:
    moment = as_moment(value)
    return NOTHING if moment is None else created_before(moment)


def _test(value: str, at: datetime) -> Q:
    """Test messages are bound to a simulator."""
    if value != "no":
        return NOTHING
    simulators = Sender.objects.filter(adapter__in=SIMULATORS).order_by()
    return ~Q(only_sender__in=list(simulators.values_list("pk", flat=True)))


def _number(name: str) -> Callable[[str, datetime], Q]:
    def find(value: str, at: datetime) -> Q:
        is_id = value.isascii() and value.isdigit() and len(value) < 19
        return Q(**{name: int(value)}) if is_id else NOTHING

    return find


def _word(name: str, words: Sequence[str]) -> Callable[[str, datetime], Q]:
    return lambda value, at: Q(**{name: value}) if value in words else NOTHING


CONDITIONS: dict[str, Callable[[str, datetime], Q]] = {
    "status": _status,
    "reason": _reason,
    "application": _number("application"),
    "template": _template,
    "recipient": _recipient,
    "reference": _reference,
    "batch": _batch,
    "created": _created,
    "created_from": _created_from,
    "created_to": _created_to,
    "channel": _word("channel", Channel.values),
    "sender": _number("sender"),
    "lane": _word("lane", Lane.values),
    "feedback": _word("feedback", Feedback.values),
    "tag": _tag,
    "test": _test,
}

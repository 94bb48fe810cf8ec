"""Finds messages by what people hold in their hands. Exact matches on indexes only, never LIKE:
the same cost on ten thousand and on ten million rows."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from accounts.models import Application
from core.ids import lowest_uuid7
from messaging.models import Attempt, Message, OtherRecipient

# Of each kind of match, so many of the newest are found.
LIMIT = 1000
# Ids are made by the clocks of web processes, `created_at` by the database's.
CLOCK_SKEW = timedelta(minutes=5)
# How far back a list looks that is narrowed by something no index knows.
NEWEST = 100_000

Row = TypeVar("Row", bound=Model)


def find_messages(text: str, *, limit: int = LIMIT) -> set[UUID]:
    """Ids of the messages whose id, batch, recipient (any of to, cc and bcc), reference, or
    provider's id is `text`."""
    text = text.strip()
    if not text or "\0" in text:
        return set()
    return {pk for matches in _matches(text) for pk in islice(matches[:limit], limit)}


def _matches(text: str) -> Iterator[QuerySet[Any, UUID]]:
    if (pk := as_uuid(text)) is not None:
        yield Message.objects.filter(pk=pk).values_list("pk", flat=True)
        # Up to 1,000, which no order makes fewer.
        yield Message.objects.filter(batch=pk).values_list("pk", flat=True)
    address = text.lower()
    to = Message.objects.filter(recipient=address)
    yield to.order_by("-pk").values_list("pk", flat=True)
    others = OtherRecipient.objects.filter(address=address).order_by("-message_id")
    yield others.values_list("message_id", flat=True)
    references = Message.objects.filter(of_any_application(), reference=text)
    yield references.order_by("-pk").values_list("pk", flat=True)
    attempts = Attempt.objects.filter(provider_message_id=text).order_by("-message_id")
    yield attempts.values_list("message_id", flat=True)


def created_since(moment: datetime) -> Q:
    """Ids sort by time, so the primary key is walked; `created_at` has the last word."""
    return Q(pk__gte=lowest_uuid7(_moved(moment, -CLOCK_SKEW)), created_at__gte=moment)


def created_before(moment: datetime) -> Q:
    return Q(pk__lt=lowest_uuid7(_moved(moment, CLOCK_SKEW)), created_at__lt=moment)


def _moved(moment: datetime, by: timedelta) -> datetime:
    """Where the calendar ends, it stays."""
    try:
        return moment + by
    except OverflowError:
        return moment


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def of_any_application() -> Q:
    """Excludes nothing. It names every application, because the indexes by reference and by status
    begin with it: without, they could not serve."""
    return Q(application__in=list(Application.objects.values_list("pk", flat=True)))


def among_newest(rows: QuerySet[Row], *, count: int = NEWEST) -> QuerySet[Row]:
    """Only the newest `count` of the table, so that a condition without an index reads no more."""
    oldest = newest_begin_after(rows.model, count=count)
    return rows if oldest is None else rows.filter(pk__gt=oldest)


def newest_begin_after(model: type[Model], *, count: int = NEWEST) -> Any:
    """The id after which the newest `count` of a table begin, or None if it has no more."""
    table = model._meta.default_manager
    assert table is not None
    return table.order_by("-pk").values_list("pk", flat=True)[count : count + 1].first()

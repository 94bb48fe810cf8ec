"""Finds the hours whose messages have changed, without a word from whoever changes them.

Most moves leave an attempt or an event, and news of providers are rows too; each names its message.
The others are those of a message that is with a sender: while an hour has one, it stays marked.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max, Model, QuerySet
from django.db.models.functions import TruncHour

from core.ids import lowest_uuid7
from messaging.models import Attempt, Event, FeedbackEvent, Message
from messaging.search import CLOCK_SKEW
from reporting.models import Progress
from reporting.rollups import HOUR, floor_hour, hours_between, mark

# Longer than any transaction that writes one of these rows.
OVERLAP = timedelta(minutes=2)


def newest(now: datetime) -> datetime:
    """The hours from this one on are counted at every look: their messages come and change all the
    time, and what was stored in the last seconds of an hour belongs to it."""
    return floor_hour(now) - HOUR


def look(*, now: datetime) -> bool:
    """Mark what has changed since the last look. The first one marks all there is. False when
    somebody else is looking just now."""
    with transaction.atomic():
        progress = Progress.objects.select_for_update(skip_locked=True).first()
        if progress is None:
            if Progress.objects.exists():
                return False
            _begin(now)
            return True
        mark(_changed(progress, now), now=now)
        _move_on(progress, now)
    return True


def _begin(now: datetime) -> None:
    event, feedback = _newest_id(Event), _newest_id(FeedbackEvent)
    progress = Progress(
        looked_at=now,
        event_from=event,
        event_next=event,
        feedback_from=feedback,
        feedback_next=feedback,
        turned_at=now,
    )
    # Another first look may have been faster.
    Progress.objects.bulk_create([progress], ignore_conflicts=True)
    oldest = Message.objects.order_by("pk").values_list("created_at", flat=True).first()
    mark(hours_between(min(oldest or now, now), now + HOUR), now=now)


def _changed(progress: Progress, now: datetime) -> Iterator[datetime]:
    # The hours in which messages can have come since, and the one before: it was the newest then.
    yield from hours_between(newest(min(progress.looked_at, now)), now + timedelta(seconds=1))
    since = lowest_uuid7(min(progress.looked_at, now) - CLOCK_SKEW)
    for rows in (
        Attempt.objects.filter(pk__gte=since),
        Event.objects.filter(pk__gt=progress.event_from),
        FeedbackEvent.objects.filter(pk__gt=progress.feedback_from),
    ):
        yield from _hours_of(rows, before=newest(now))


def _hours_of(rows: QuerySet[Any], *, before: datetime) -> list[datetime]:
    """The hours of the messages that `rows` are about, of those that are not counted anyway."""
    old = rows.filter(message_id__lt=lowest_uuid7(before + CLOCK_SKEW)).order_by()
    hours = old.values_list(TruncHour("message__created_at", tzinfo=UTC), flat=True)
    return list(hours.distinct())


def _move_on(progress: Progress, now: datetime) -> None:
    if now - progress.turned_at >= OVERLAP:
        progress.event_from = progress.event_next
        progress.feedback_from = progress.feedback_next
        progress.event_next = _newest_id(Event)
        progress.feedback_next = _newest_id(FeedbackEvent)
        progress.turned_at = now
    progress.looked_at = now
    progress.save()


def _newest_id(model: type[Model]) -> int:
    table = model._meta.default_manager
    assert table is not None
    return table.aggregate(newest=Max("pk"))["newest"] or 0

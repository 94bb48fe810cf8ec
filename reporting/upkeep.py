"""Keeps the statistics up to date: a look for changes, then hour after hour, newest first."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Q

from core.clock import Clock
from reporting import changes
from reporting.models import Hour, Progress
from reporting.rollups import hours_between, recount

# How long one run works; what is left has its turn in the next ones.
LASTS = timedelta(seconds=5)
# The newest hours are counted at every look, but not for more than a twentieth of the time: with a
# million messages an hour each count takes seconds.
SHARE = 20
# An older hour is counted again only so long after the last time: opened mail trickles in all day.
RESTS = timedelta(minutes=3)


def bring_up_to_date(*, clock: Clock) -> int:
    """Returns how many hours were counted. Any number at once, or none for days, do no harm."""
    now = clock()
    if not changes.look(now=now):
        return 0
    newest = changes.newest(now)
    current = Hour.objects.filter(began_at__gte=newest, dirty_since__isnull=False)
    due = [row for row in current.order_by("-began_at") if _has_rested(row, now)]
    for row in due:
        recount(row.began_at, now=clock())
    counted = len(due)
    if not current.filter(counted_at__lt=now).exclude(pk__in=[row.pk for row in due]).exists():
        Progress.objects.filter(Q(updated_at=None) | Q(updated_at__lt=now)).update(updated_at=now)
    rested = Q(counted_at=None) | Q(counted_at__lte=now - RESTS)
    for hour in _marked(Q(began_at__lt=newest) & rested):
        if clock() >= now + LASTS:
            break
        recount(hour, now=clock())
        counted += 1
    return counted


def _has_rested(row: Hour, now: datetime) -> bool:
    """Long enough for what it took to be counted."""
    if row.counted_at is None:
        return True
    return now - row.counted_at >= timedelta(milliseconds=row.took_ms) * SHARE


def _marked(which: Q) -> list[datetime]:
    """Newest first, and no more than one run can count."""
    marked = Hour.objects.filter(which, dirty_since__isnull=False)
    return list(marked.order_by("-began_at").values_list("began_at", flat=True)[:5000])


def rebuild(since: datetime, until: datetime, *, clock: Clock) -> Iterator[datetime]:
    """Count all hours from `since` to `until` again, newest first, whatever is known of them; each
    is told when it is done."""
    for hour in hours_between(since, until):
        recount(hour, now=clock())
        yield hour

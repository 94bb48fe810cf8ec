"""Counts the messages of an hour, from the messages themselves and always all of them: whoever
counts twice, or dies between, changes nothing."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import Value
from django.db.models.functions import Coalesce

from core.ids import lowest_uuid7
from messaging.channels.simulator import NAMES
from messaging.metrics import LATENCY_BOUNDS
from messaging.models import Feedback, Message, Status
from messaging.search import CLOCK_SKEW
from reporting.models import LATENCY_COLUMNS, MEASURES, Hour, HourlyDetail, HourlyTotal

HOUR = timedelta(hours=1)
T = TypeVar("T")

_SHARED = ("application_id", "channel", "is_test")
_DETAILED = (*_SHARED, "template_id", "sender_id", "reason")
# How long a message took is counted from when it was to go; clocks that disagree count as nothing.
_TOOK = {
    "postgresql": "date_part('epoch', finished_at - COALESCE(send_at, message.created_at)) * 1000",
    "sqlite": "(julianday(finished_at) - julianday(COALESCE(send_at, message.created_at)))"
    " * 86400000",
}
_LARGER = {"postgresql": "GREATEST", "sqlite": "MAX"}
# Ids sort by time, so the primary key is walked; `created_at` has the last word. The bucket of each
# message is found before they are counted, so that it is found once.
_ONE_BY_ONE = """
    SELECT application_id, message.channel, COALESCE(bound.adapter IN ({simulators}), FALSE)
        AS is_test, version.template_id, sender_id, reason, message.status, feedback,
        CASE WHEN message.status = 'success'
            THEN {larger}(0, CAST(ROUND({took}) AS bigint)) END AS ms
    FROM messaging_message AS message
    LEFT JOIN templates_app_templateversion AS version ON version.id = template_version_id
    LEFT JOIN messaging_sender AS bound ON bound.id = only_sender_id
    WHERE message.id >= %s AND message.id < %s
        AND message.created_at >= %s AND message.created_at < %s
"""
_BY_BUCKET = """
    SELECT {detailed}, status, feedback, CASE {cases} END AS bucket,
        COUNT(*) AS messages, SUM(ms) AS ms
    FROM ({one_by_one}) AS one
    GROUP BY {detailed}, status, feedback, bucket
"""
_COUNT = """
    INSERT INTO reporting_hourlydetail (hour, {detailed}, {measures})
    SELECT %s, {detailed}, {sums}
    FROM ({by_bucket}) AS counted
    GROUP BY {detailed}
"""
_ADD_UP = """
    INSERT INTO reporting_hourlytotal (hour, {dimensions}, {measures})
    SELECT hour, {dimensions}, {sums}
    FROM reporting_hourlydetail WHERE hour = %s
    GROUP BY hour, {dimensions}
"""


def floor_hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hours_between(since: datetime, until: datetime) -> Iterator[datetime]:
    """The hours that have something of the time from `since` to before `until`, newest first."""
    first, hour = floor_hour(since), floor_hour(until - timedelta.resolution)
    while hour >= first:
        yield hour
        hour -= HOUR


def mark(hours: Iterable[datetime], *, now: datetime) -> None:
    """Have them counted again. An hour that is being counted is waited for: who counts may have
    read before what is marked here was committed, and takes the mark away at the end."""
    hours = sorted(set(hours))
    Hour.objects.bulk_create([Hour(began_at=hour) for hour in hours], ignore_conflicts=True)
    for some in _slices(hours, 500):
        rows = Hour.objects.filter(began_at__in=some)
        rows.update(dirty_since=Coalesce("dirty_since", Value(now)))


def _slices(items: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def recount(hour: datetime, *, now: datetime) -> None:
    """Count the messages of `hour` anew, in one transaction and one at a time."""
    with transaction.atomic():
        Hour.objects.bulk_create([Hour(began_at=hour)], ignore_conflicts=True)
        row = Hour.objects.select_for_update().get(began_at=hour)
        for model in (HourlyTotal, HourlyDetail):
            model.objects.filter(hour=hour).delete()
        _insert(hour)
        # What is with a sender comes back without a trace, if it is not handed over.
        moves_on = HourlyTotal.objects.filter(hour=hour, sending__gt=0).exists()
        row.dirty_since = now if moves_on else None
        row.counted_at = now
        row.save(update_fields=["dirty_since", "counted_at"])


def _insert(hour: datetime) -> None:
    pk: Any = Message._meta.pk
    ids = (lowest_uuid7(hour - CLOCK_SKEW), lowest_uuid7(hour + HOUR + CLOCK_SKEW))
    began, ended = _adapted(hour), _adapted(hour + HOUR)
    bounds = [pk.get_db_prep_value(id_, connection) for id_ in ids]
    count, add_up = _statements()
    with connection.cursor() as cursor:
        cursor.execute(count, [began, *sorted(NAMES), *bounds, began, ended])
        cursor.execute(add_up, [began])


def _adapted(moment: datetime) -> Any:
    return Message._meta.get_field("created_at").get_db_prep_value(moment, connection)


def _statements() -> tuple[str, str]:
    vendor = connection.vendor
    one_by_one = _ONE_BY_ONE.format(
        simulators=", ".join(["%s"] * len(NAMES)),
        larger=_LARGER[vendor],
        took=_TOOK[vendor],
    )
    cases = [
        f"WHEN ms <= {int(bound * 1000)} THEN {place}" for place, bound in enumerate(LATENCY_BOUNDS)
    ]
    cases = ["WHEN ms IS NULL THEN NULL", *cases, f"ELSE {len(LATENCY_BOUNDS)}"]
    detailed = ", ".join(_DETAILED)
    by_bucket = _BY_BUCKET.format(detailed=detailed, cases=" ".join(cases), one_by_one=one_by_one)
    sums = [
        "SUM(messages)",
        *(_sum_where(f"status = '{status}'") for status in Status.values),
        *(_sum_where(f"feedback = '{feedback}'") for feedback in Feedback.values),
        "COALESCE(SUM(ms), 0)",
        *(_sum_where(f"bucket = {place}") for place in range(len(LATENCY_COLUMNS))),
    ]
    measures = ", ".join(MEASURES)
    count = _COUNT.format(
        detailed=detailed, measures=measures, sums=", ".join(sums), by_bucket=by_bucket
    )
    add_up = _ADD_UP.format(
        dimensions=", ".join(_SHARED),
        measures=measures,
        sums=", ".join(f"SUM({measure})" for measure in MEASURES),
    )
    return count, add_up


def _sum_where(condition: str) -> str:
    return f"COALESCE(SUM(messages) FILTER (WHERE {condition}), 0)"

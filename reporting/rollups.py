"""Counts the messages of an hour, from the messages themselves and always all of them: whoever
counts twice, or dies between, changes nothing."""

import time
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
from reporting.models import LATENCY_COLUMNS, MEASURES, Dimension, Hour, HourlyCount, HourlyDetail

HOUR = timedelta(hours=1)
T = TypeVar("T")

# The columns of `HourlyDetail` by which messages are told apart.
COLUMNS = {
    Dimension.CHANNEL: "channel",
    Dimension.APPLICATION: "application_id",
    Dimension.TEMPLATE: "template_id",
    Dimension.SENDER: "sender_id",
    Dimension.REASON: "reason",
}
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
    SELECT hour, is_test, '{dimension}', COALESCE(CAST({column} AS varchar(20)), ''), {sums}
    FROM reporting_hourlydetail WHERE hour = %s
    GROUP BY hour, is_test, {column}
"""

# PostgreSQL expects as many groups as messages, and would sort 200,000 of them on disk, or compile
# for longer than it counts. Until the transaction ends.
_PLAN_WELL = "SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true)"


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
        started = time.monotonic()
        for model in (HourlyCount, HourlyDetail):
            model.objects.filter(hour=hour).delete()
        _count(hour)
        add_up(hour)
        # What is with a sender comes back without a trace, if it is not handed over.
        moves_on = HourlyDetail.objects.filter(hour=hour, sending__gt=0).exists()
        row.dirty_since = now if moves_on else None
        row.counted_at = now
        row.took_ms = round((time.monotonic() - started) * 1000)
        row.save(update_fields=["dirty_since", "counted_at", "took_ms"])


def _count(hour: datetime) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_PLAN_WELL)
        cursor.execute(_count_sql(), _count_values(hour))


def _count_values(hour: datetime) -> list[Any]:
    pk: Any = Message._meta.pk
    ids = (lowest_uuid7(hour - CLOCK_SKEW), lowest_uuid7(hour + HOUR + CLOCK_SKEW))
    began, ended = _adapted(hour), _adapted(hour + HOUR)
    bounds = [pk.get_db_prep_value(id_, connection) for id_ in ids]
    return [began, *sorted(NAMES), *bounds, began, ended]


def _adapted(moment: datetime) -> Any:
    return Message._meta.get_field("created_at").get_db_prep_value(moment, connection)


def _count_sql() -> str:
    vendor = connection.vendor
    one_by_one = _ONE_BY_ONE.format(
        simulators=", ".join(["%s"] * len(NAMES)), larger=_LARGER[vendor], took=_TOOK[vendor]
    )
    cases = [
        f"WHEN ms <= {int(bound * 1000)} THEN {place}" for place, bound in enumerate(LATENCY_BOUNDS)
    ]
    cases = ["WHEN ms IS NULL THEN NULL", *cases, f"ELSE {len(LATENCY_BOUNDS)}"]
    detailed = ", ".join(["is_test", *COLUMNS.values()])
    sums = [
        "SUM(messages)",
        *(_sum_where(f"status = '{status}'") for status in Status.values),
        *(_sum_where(f"feedback = '{feedback}'") for feedback in Feedback.values),
        "COALESCE(SUM(ms), 0)",
        *(_sum_where(f"bucket = {place}") for place in range(len(LATENCY_COLUMNS))),
    ]
    return _COUNT.format(
        detailed=detailed,
        measures=", ".join(MEASURES),
        sums=", ".join(sums),
        by_bucket=_BY_BUCKET.format(
            detailed=detailed, cases=" ".join(cases), one_by_one=one_by_one
        ),
    )


def _sum_where(condition: str) -> str:
    return f"COALESCE(SUM(messages) FILTER (WHERE {condition}), 0)"


def add_up(hour: datetime) -> None:
    """The few rows of the hour from the many."""
    sums = ", ".join(f"SUM({measure})" for measure in MEASURES)
    each = [
        _ADD_UP.format(dimension=dimension.value, column=column, sums=sums)
        for dimension, column in COLUMNS.items()
    ]
    measures = ", ".join(MEASURES)
    into = f"INSERT INTO reporting_hourlycount (hour, is_test, dimension, value, {measures}) "
    with connection.cursor() as cursor:
        cursor.execute(into + " UNION ALL ".join(each), [_adapted(hour)] * len(each))

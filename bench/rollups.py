"""What the dashboard asks for thirty days after ten million messages, and what it costs to count
an hour of them again. Only the database's time counts: what was asked until its rows were there."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from bench.growth_fill import FUNCTION
from bench.report import Bound
from bench.stage import Stage
from reporting import reading, rollups
from reporting.models import MEASURES, Dimension, HourlyCount, HourlyDetail
from reporting.reading import GroupBy
from reporting.steps import Interval

DAYS, MESSAGES = 30, 10_000_000
AT_MOST_MS = 100.0
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
# Ten applications of four channels each, a template for each of those pairs and mail without one;
# four senders of e-mail, three of SMS and fewer of the others. Twice as many messages by day as on
# average, few at night. Of a hundred 97 go well; the others fail for seven reasons.
DETAILS = """
    WITH pairs AS (
        SELECT pair, 1 + pair %% 10 AS application, 1 + (pair / 10 + pair) %% 5 AS channel,
            CASE WHEN pair < 40 THEN pair + 1 END AS template
        FROM generate_series(0, 49) AS pair
    ), senders AS (
        SELECT *, row_number() OVER () AS sender
        FROM unnest(ARRAY[1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 5]) AS channel
    ), hours AS (
        SELECT hour, 1 - cos(2 * pi() * (extract(hour FROM hour) - 20) / 24) AS share
        FROM generate_series(%(since)s, %(until)s - interval '1 hour', interval '1 hour') AS hour
    ), counted AS (
        SELECT hour, application, pairs.channel, template, sender, reason,
            floor(weight * share * %(messages)s / (%(hours)s * 120.0) * 2 * random() + random())
                ::integer AS accepted
        FROM hours, pairs JOIN senders ON senders.channel = pairs.channel,
            (VALUES ('', 0.97), ('rejected', 0.012), ('hard_bounce', 0.008), ('blocked', 0.004),
                ('suppressed', 0.004), ('expired', 0.001), ('exhausted', 0.0005),
                ('unknown_outcome', 0.0005)) AS reasons (reason, weight)
    )
    INSERT INTO reporting_hourlydetail (
        hour, application_id, channel, is_test, template_id, sender_id, reason, {measures}
    )
    SELECT hour, application, (ARRAY['email', 'sms', 'wechat', 'wechat_official', 'chat'])[channel],
        application = 10, template, sender, reason, {values}
    FROM counted WHERE accepted > 0
"""
# A share of `accepted` for each measure, of what went well and of what failed.
WENT_WELL = {
    "accepted": 1,
    "success": 1,
    "delivered": 0.6,
    "opened": 0.2,
    "clicked": 0.1,
    "latency_ms": 900,
    **{f"took_{place}": 0.2 for place in range(5)},
}
FAILED = {"accepted": 1, "failed": 1, "bounced": 0.5}
HOUR_OF_MESSAGES = """
    INSERT INTO messaging_message (
        id, application_id, channel, lane, policy, recipient, content, reference, metadata, tags,
        request_id, status, reason, reason_detail, feedback, sender_id, created_at, due_at,
        expires_at, finished_at, lease_token, claims, tries, unknown_resends
    )
    SELECT pg_temp.uuid7(at, number || %(began)s::text), 1 + number %% 10,
        (ARRAY['email', 'sms', 'wechat', 'wechat_official', 'chat'])[1 + number %% 5], 'bulk',
        'at_least_once', 'customer-' || number || '@example.com',
        jsonb_build_object('html', repeat(md5(number::text) || ' is on its way. ', 20)), '', '{}',
        '[]', '', CASE WHEN number %% 33 = 0 THEN 'failed' ELSE 'success' END,
        CASE WHEN number %% 33 = 0 THEN 'rejected' ELSE '' END, '',
        (ARRAY['delivered', 'opened', 'clicked', ''])[1 + number %% 4], 1 + number %% 12,
        at, at, at + interval '1 day', at + interval '1 second' * (number %% 40), 1, 0, 1, 0
    FROM generate_series(1, %(count)s) AS number,
        LATERAL (SELECT %(began)s + interval '1 hour' * number / (%(count)s + 1)) AS made (at)
"""


def measure(stage: Stage, *, rounds: int) -> Iterator[Bound]:
    del stage
    with connection.cursor() as cursor:
        _fill(cursor)
        sizes = {model: model.objects.count() for model in (HourlyCount, HourlyDetail)}
    print(f"rollups: {sizes[HourlyCount]:,} counts, {sizes[HourlyDetail]:,} details", flush=True)
    took = {name: _best_of(rounds, ask) for name, ask in _questions().items()}
    for name, milliseconds in took.items():
        yield Bound(f"{name}, {DAYS} days", milliseconds, "ms")
    yield Bound("all that the dashboard asks", sum(took.values()), "ms", AT_MOST_MS)
    for number, count in enumerate((14_000, 200_000)):
        hour = UNTIL + number * rollups.HOUR
        with connection.cursor() as cursor:
            cursor.execute(HOUR_OF_MESSAGES, {"began": hour, "count": count})
            cursor.execute("VACUUM ANALYZE messaging_message")
        milliseconds = _best_of(rounds, partial(rollups.recount, hour, now=hour))
        yield Bound(f"an hour of {count:,} messages counted again", milliseconds, "ms")


def _fill(cursor: Any) -> None:
    """Our rows name applications, senders and templates that need not be there."""
    cursor.execute(FUNCTION)
    cursor.execute("SET session_replication_role = replica")
    cursor.execute("SELECT setseed(0.5)")
    shares = [(WENT_WELL.get(name, 0), FAILED.get(name, 0)) for name in MEASURES]
    values = [
        f"(accepted * CASE WHEN reason = '' THEN {well} ELSE {failed} END)::bigint"
        for well, failed in shares
    ]
    names = ", ".join(MEASURES)
    since = UNTIL - timedelta(days=DAYS)
    given = {"since": since, "until": UNTIL, "messages": MESSAGES, "hours": DAYS * 24}
    cursor.execute(DETAILS.format(measures=names, values=", ".join(values)), given)
    for hour in rollups.hours_between(since, UNTIL):
        rollups.add_up(hour)
    cursor.execute("VACUUM ANALYZE")


def _questions() -> dict[str, Callable[[], object]]:
    everything, span = reading.Filters(), (UNTIL - timedelta(days=DAYS), UNTIL)

    def series(by: GroupBy) -> Callable[[], object]:
        return lambda: reading.timeseries(
            everything, *span, interval=Interval.DAY, time_zone=ZONE, group_by=by
        )

    def top(by: Dimension) -> Callable[[], object]:
        return lambda: reading.top(by, everything, *span)

    return {
        "summary": lambda: reading.summary(everything, *span),
        **{f"by {by}": series(by) for by in (GroupBy.STATUS, GroupBy.CHANNEL)},
        "by application": series(GroupBy.APPLICATION),
        "top templates": top(Dimension.TEMPLATE),
        "top reasons": top(Dimension.REASON),
        "top senders": top(Dimension.SENDER),
    }


def _best_of(rounds: int, ask: Callable[[], object]) -> float:
    """Milliseconds, the median of the rounds, after one that nobody timed."""
    ask()
    found = []
    for _ in range(max(3, rounds)):
        with _timed() as taken:
            ask()
        found.append(sum(taken))
    return median(found) * 1000


@contextmanager
def _timed() -> Iterator[list[float]]:
    taken: list[float] = []

    def timed(execute: Any, *arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            taken.append(time.perf_counter() - started)

    with connection.execute_wrapper(timed):
        yield taken

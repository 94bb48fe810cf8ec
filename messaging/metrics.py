"""Counters of what this process did, and gauges read from the rows at every scrape."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import structlog
from django.conf import settings
from django.db import connection
from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

log = structlog.get_logger(__name__)

ACCEPTED = Counter("notifications_accepted", "Messages answered with 202.", ["channel", "lane"])
ATTEMPTS = Counter(
    "notifications_attempts", "Hand-overs to providers.", ["channel", "sender", "outcome"]
)
HAND_OVER_SECONDS = Histogram(
    "notifications_hand_over_seconds", "How long the provider took.", ["channel", "sender"]
)
# Of statistics too: `reporting` has a column for each.
LATENCY_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86_400)
LATENCY_SECONDS = Histogram(
    "notifications_latency_seconds",
    "From the 202 to the provider's yes.",
    ["channel", "lane"],
    buckets=LATENCY_BOUNDS,
)
FEEDBACK = Counter(
    "notifications_feedback", "What providers reported.", ["sender", "kind", "result"]
)

# To look a child up by its labels costs as much as to count with it.
hand_over_seconds = cache(HAND_OVER_SECONDS.labels)
latency_seconds = cache(LATENCY_SECONDS.labels)
attempts = cache(ATTEMPTS.labels)
feedback = cache(FEEDBACK.labels)

# Each in the order of an index, so that the oldest is the oldest however many there are.
_FOUND = """
    SELECT {named}COUNT(*), {age} FROM (
        SELECT {since} AS since FROM messaging_message
        WHERE {which} ORDER BY {since} LIMIT {limit}
    ) AS found
"""
COUNT_LIMIT = 100_000
_OF_LANE = "channel = %s AND lane = %s AND "
_DUE = _OF_LANE + "status = 'pending' AND due_at <= {now}"
# No lane of messages: what providers reported, see `receipts`.
REPORTS_LANE = ("", "reports")
_REPORTS_DUE = """
    SELECT %s, %s WHERE EXISTS (
        SELECT 1 FROM messaging_providerreport WHERE due_at IS NOT NULL AND due_at <= {now}
    )
"""
# Nor is this: outcomes that the sweep has left to `reconciliation`.
UNKNOWN_LANE = ("", "unknown")
_UNKNOWN_DUE = """
    SELECT %s, %s WHERE EXISTS (
        SELECT 1 FROM messaging_message WHERE status = 'unknown' AND due_at <= {now}
    )
"""
# Nor is this: what operators asked to be done to many messages, see `jobs`.
JOBS_LANE = ("", "jobs")
_JOBS_DUE = """
    SELECT %s, %s WHERE EXISTS (
        SELECT 1 FROM messaging_job
        WHERE state IN ('waiting', 'running') AND leased_until <= {now}
    )
"""
_NOW = {"postgresql": "now()", "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"}
_AGE = {
    "postgresql": "EXTRACT(EPOCH FROM now() - MIN(since))",
    "sqlite": "(julianday('now') - julianday(MIN(since))) * 86400",
}
# (channel, lane), how many, seconds since the oldest.
Backlog = list[tuple[str, str, int, float]]


class BacklogCollector(Collector):
    """What waits, read from the rows: how many, up to `COUNT_LIMIT`, and the age of the oldest.

    *Due* counts only what is due *now*, so a growing age means that workers do not work. What
    *waits for a sender* is looked at again and again, so it is due now and then: it has its own.
    *Unswept* is what a sweep should have taken long ago.
    """

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing up front: registering it must not ask the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        lane = ["channel", "lane"]
        gauges = [
            GaugeMetricFamily(f"notifications_{name}", text, labels=labels)
            for name, text, labels in (
                ("due", "Due messages that wait for a worker.", lane),
                ("oldest_due_seconds", "Age of the oldest of them.", lane),
                ("waiting_for_sender", "Messages that no sender can take now.", lane),
                ("oldest_waiting_for_sender_seconds", "Since the oldest was accepted.", lane),
                ("unswept", "Lost leases and open outcomes that no sweep took.", ["status"]),
                ("oldest_unswept_seconds", "Since a sweep should have taken it.", ["status"]),
            )
        ]
        measured: list[Callable[[], Sequence[tuple[Any, ...]]]]
        measured = [backlog, waiting_for_sender, unswept]
        try:
            for number, measure in enumerate(measured):
                for *labels, count, age in measure():
                    gauges[2 * number].add_metric(labels, count)
                    gauges[2 * number + 1].add_metric(labels, age)
        except Exception:
            # A database that is away must not hide the other metrics.
            log.warning("backlog_not_measured", exc_info=True)
        yield from gauges


def due_lanes() -> list[tuple[str, str]]:
    """Channel and lane of those lanes in which something is due; also `REPORTS_LANE` if reports of
    providers are, `UNKNOWN_LANE` if outcomes are that the sweep left alone, and `JOBS_LANE` if a
    job is that nobody works on. Where `backlog` counts 100,000 messages in 80 ms, this takes half a
    millisecond: the sweep runs often."""
    due = _DUE.format(now=_NOW[connection.vendor])
    one = f"SELECT %s, %s WHERE EXISTS (SELECT 1 FROM messaging_message WHERE {due})"  # noqa: S608
    values = [value for lane in _lanes() for value in (*lane, *lane)]
    reports = _REPORTS_DUE.format(now=_NOW[connection.vendor])
    unknown = _UNKNOWN_DUE.format(now=_NOW[connection.vendor])
    jobs = _JOBS_DUE.format(now=_NOW[connection.vendor])
    with connection.cursor() as cursor:
        sql = " UNION ALL ".join([*([one] * len(_lanes())), reports, unknown, jobs])
        cursor.execute(sql, [*values, *REPORTS_LANE, *UNKNOWN_LANE, *JOBS_LANE])
        return [(channel, lane) for channel, lane in cursor.fetchall()]


def backlog(*, limit: int = COUNT_LIMIT) -> Backlog:
    """`(channel, lane, due messages, seconds since the oldest was due)`; none is counted further
    than `limit`."""
    return _by_lane(_DUE, since="due_at", limit=limit)


def waiting_for_sender(*, limit: int = COUNT_LIMIT) -> Backlog:
    """`(channel, lane, messages, seconds since the oldest was accepted)`, as `backlog`."""
    which = _OF_LANE + "status = 'pending' AND reason = 'no_sender'"
    return _by_lane(which, since="created_at", limit=limit)


def unswept() -> list[tuple[str, int, float]]:
    """`(status, messages, seconds since the oldest should have been taken)` by a sweep: leases that
    ran out, unknown outcomes whose rest is over."""
    looks = (("sending", "leased_until"), ("unknown", "due_at"))
    found = [
        (status, *_count(f"status = '{status}' AND {since} <= {{now}}", since=since))
        for status, since in looks
    ]
    return [(status, count, age) for status, count, age in found if count]


def _by_lane(which: str, *, since: str, limit: int) -> Backlog:
    """One question for all lanes: most of them are empty, and each question takes its time."""
    one = _found(which, since=since, limit=limit, named="%s, %s, ")
    with connection.cursor() as cursor:
        sql = " UNION ALL ".join([one] * len(_lanes()))
        cursor.execute(sql, [value for lane in _lanes() for value in (*lane, *lane)])
        found = cursor.fetchall()
    return [(channel, lane, count, _seconds(age)) for channel, lane, count, age in found if count]


def _count(which: str, *, since: str) -> tuple[int, float]:
    with connection.cursor() as cursor:
        cursor.execute(_found(which, since=since, limit=COUNT_LIMIT, named=""), ())
        count, age = cursor.fetchone()
    return count, _seconds(age)


def _found(which: str, *, since: str, limit: int, named: str) -> str:
    now, age = _NOW[connection.vendor], _AGE[connection.vendor]
    which = which.format(now=now)
    return _FOUND.format(which=which, since=since, age=age, limit=limit, named=named)


def _seconds(age: Any) -> float:
    return max(0.0, float(age or 0))


def _lanes() -> list[tuple[str, str]]:
    return [(channel, lane) for channel in settings.CHANNEL_FAMILIES for lane in settings.LANES]

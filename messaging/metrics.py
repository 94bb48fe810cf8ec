"""Counters of what this process did, and gauges read from the rows at every scrape."""

from collections.abc import Iterator

import structlog
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
LATENCY_SECONDS = Histogram(
    "notifications_latency_seconds",
    "From the 202 to the provider's yes.",
    ["channel", "lane"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86_400),
)

_BACKLOG = """
    SELECT channel, lane, COUNT(*), MIN(due_at)
    FROM (
        SELECT channel, lane, due_at FROM messaging_message
        WHERE status = 'pending' AND due_at <= {now} LIMIT 100000
    ) AS due
    GROUP BY channel, lane
"""
_NOW = {
    "postgresql": ("now()", "EXTRACT(EPOCH FROM now() - MIN(due_at))"),
    "sqlite": (
        "strftime('%Y-%m-%d %H:%M:%f', 'now')",
        "(julianday('now') - julianday(MIN(due_at))) * 86400",
    ),
}


class BacklogCollector(Collector):
    """What is due and was not claimed yet: rows (counted up to 100,000) and the age of the oldest.

    Only what is due *now* counts, so a growing age means that workers do not work.
    """

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing up front: registering it must not ask the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        rows = GaugeMetricFamily(
            "notifications_due", "Due messages that wait for a worker.", labels=["channel", "lane"]
        )
        ages = GaugeMetricFamily(
            "notifications_oldest_due_seconds",
            "Age of the oldest of them.",
            labels=["channel", "lane"],
        )
        try:
            for channel, lane, count, age in backlog():
                rows.add_metric([channel, lane], count)
                ages.add_metric([channel, lane], age)
        except Exception:
            # A database that is away must not hide the other metrics.
            log.warning("backlog_not_measured", exc_info=True)
        yield rows
        yield ages


def backlog() -> list[tuple[str, str, int, float]]:
    """`(channel, lane, due messages, seconds since the oldest was due)`."""
    now, age = _NOW[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(_BACKLOG.format(now=now).replace("MIN(due_at)", age).replace("%", "%%"), [])
        return [
            (channel, lane, count, max(0.0, float(seconds)))
            for channel, lane, count, seconds in cursor.fetchall()
        ]

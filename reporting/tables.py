"""The answers as tables: one line for each number, so that a spreadsheet can pivot them."""

from collections.abc import Iterator

from core.spreadsheets import csv_line
from reporting.reading import Summary, TimeSeries

_LATENCY = ("count", "average", "p50", "p95", "p99", "prompt_share")


def summary_table(found: Summary) -> Iterator[str]:
    yield csv_line(["figure", "key", "value"])
    yield csv_line(["accepted", "", str(found.accepted)])
    for figure, counts in (
        ("status", found.statuses),
        ("reason", found.reasons),
        ("feedback", found.feedback),
    ):
        for key, count in counts.items():
            yield csv_line([figure, key, str(count)])
    for name in _LATENCY:
        value = getattr(found.latency, name)
        key = "within_10s" if name == "prompt_share" else name
        yield csv_line(["latency", key, "" if value is None else str(value)])


def timeseries_table(found: TimeSeries) -> Iterator[str]:
    yield csv_line(["begins_at", "key", "name", "count"])
    for place, begins_at in enumerate(found.buckets):
        for one in found.series:
            count = str(one.counts[place])
            yield csv_line([begins_at.isoformat(), one.named.key, one.named.name, count])

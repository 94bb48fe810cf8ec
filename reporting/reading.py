"""Answers questions about what was sent, from the counted hours only: what is asked costs the same
however many messages there are. For the API and for the dashboard.

Hours are cohorts: a message counts in the hour in which it was accepted, with the status, reason
and feedback that it has now. A time that is no full hour means the hour that it is in.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any

from django.db.models import QuerySet, Sum

from messaging.models import Feedback, Status
from reporting.latency import Latency, read_histogram
from reporting.models import (
    LATENCY_COLUMNS,
    MEASURES,
    Dimension,
    Hour,
    HourlyCount,
    HourlyDetail,
    Progress,
)
from reporting.naming import Named, namer
from reporting.rollups import COLUMNS
from reporting.steps import Interval, Period, Steps
from templates_app.models import Template


class GroupBy(StrEnum):
    """A dimension, or what every row has a column for each value of."""

    STATUS = "status"
    FEEDBACK = "feedback"
    CHANNEL = "channel"
    APPLICATION = "application"
    TEMPLATE = "template"
    SENDER = "sender"
    REASON = "reason"

    @property
    def dimension(self) -> Dimension | None:
        return Dimension(self.value) if self.value in Dimension.values else None


_CHOICES = {GroupBy.STATUS: Status, GroupBy.FEEDBACK: Feedback}


@dataclass(frozen=True, slots=True)
class Filters:
    """Which messages count; what is empty narrows nothing. `template` is a code, whatever its
    language; `is_test=None` counts messages of both kinds."""

    application_id: int | None = None
    channel: str = ""
    template: str = ""
    sender_id: int | None = None
    is_test: bool | None = False

    def values(self) -> dict[Dimension, list[Any]]:
        """What each dimension that is narrowed may be."""
        found: dict[Dimension, list[Any]] = {}
        if self.application_id is not None:
            found[Dimension.APPLICATION] = [self.application_id]
        if self.channel:
            found[Dimension.CHANNEL] = [self.channel]
        if self.template:
            of_code = Template.objects.filter(code=self.template)
            found[Dimension.TEMPLATE] = list(of_code.values_list("pk", flat=True))
        if self.sender_id is not None:
            found[Dimension.SENDER] = [self.sender_id]
        return found


@dataclass(frozen=True, slots=True)
class Freshness:
    """`updated_at`: everything that had happened until then is counted in the two newest hours; in
    older ones, news count some minutes later. None: nothing was ever counted. `hours_to_count`:
    those of the period that were never counted, as on the first day of the statistics."""

    updated_at: datetime | None
    # When somebody looked for changes the last time.
    looked_at: datetime | None
    hours_to_count: int


@dataclass(frozen=True, slots=True)
class Summary:
    period: Period
    accepted: int
    # By all values of `Status`. What is scheduled or waits to be tried again is pending.
    statuses: dict[str, int]
    # Of those that failed, the most frequent first; only what there was.
    reasons: dict[str, int]
    # By all values of `Feedback`: the highest that each message has come to.
    feedback: dict[str, int]
    latency: Latency


@dataclass(frozen=True, slots=True)
class Series:
    """`counts`: for each bucket, the accepted messages of `named`; by reason, those that failed."""

    named: Named
    counts: list[int]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """`buckets` are the beginnings, in the asked time zone. Ungrouped there is one series, of all
    that was accepted. By status and feedback there is one for each value, also where it is empty;
    else only for what there was, the largest first."""

    period: Period
    buckets: list[datetime]
    series: list[Series]


@dataclass(frozen=True, slots=True)
class Top:
    """Of reasons, all are of messages that have it now, and `accepted` includes those that wait to
    be tried again."""

    named: Named
    accepted: int
    success: int
    failed: int


def freshness(period: Period) -> Freshness:
    progress = Progress.objects.first() or Progress()
    within = Hour.objects.filter(began_at__gte=period.since, began_at__lt=period.until)
    to_count = within.filter(counted_at=None, dirty_since__isnull=False)
    return Freshness(progress.updated_at, progress.looked_at, to_count.count())


def summary(filters: Filters, since: datetime, until: datetime) -> Summary:
    period = Period.around(since, until)
    rows = _rows(filters, period).of
    sums = rows.aggregate(**{name: Sum(name, default=0) for name in MEASURES})
    reasons = top(Dimension.REASON, filters, since, until, limit=None)
    histogram = [sums[column] for column in LATENCY_COLUMNS]
    return Summary(
        period=period,
        accepted=sums["accepted"],
        statuses={value: sums[value] for value in Status.values},
        reasons={one.named.key: one.failed for one in reasons},
        feedback={value: sums[value] for value in Feedback.values},
        latency=read_histogram(histogram, total_ms=sums["latency_ms"]),
    )


def timeseries(
    filters: Filters,
    since: datetime,
    until: datetime,
    *,
    interval: Interval,
    time_zone: tzinfo,
    group_by: GroupBy | None = None,
) -> TimeSeries:
    """Days begin at midnight in `time_zone`. Where that is not at a full hour of UTC, an hour
    counts for the day in which it begins."""
    period = Period.around(since, until)
    steps = Steps.of(period, interval, time_zone)
    dimension = group_by.dimension if group_by else None
    rows = _rows(filters, period, apart_by=dimension)
    if group_by in _CHOICES:
        series = _by_column(rows, steps, _CHOICES[group_by])
    elif dimension:
        series = _by_dimension(rows, steps, dimension)
    else:
        series = [_ungrouped(rows, steps)]
    return TimeSeries(period, steps.starts, series)


def _by_column(rows: "_Rows", steps: Steps, choices: Any) -> list[Series]:
    series = [
        Series(Named(value, str(label)), [0] * len(steps.starts))
        for value, label in choices.choices
    ]
    sums = {f"sum_{value}": Sum(value) for value in choices.values}
    for step, *counts in steps.of_rows(rows.of).values_list("step").annotate(**sums):
        for one, count in zip(series, counts, strict=True):
            one.counts[steps.places[step]] = count
    return series


def _ungrouped(rows: "_Rows", steps: Steps) -> Series:
    counts = [0] * len(steps.starts)
    found = steps.of_rows(rows.of).values_list("step").annotate(count=Sum("accepted"))
    for step, count in found:
        counts[steps.places[step]] = count
    return Series(Named("", ""), counts)


def _by_dimension(rows: "_Rows", steps: Steps, dimension: Dimension) -> list[Series]:
    measure, named = _measure(dimension), namer(dimension)
    counts: dict[Named, list[int]] = defaultdict(lambda: [0] * len(steps.starts))
    found = steps.of_rows(_with_any(rows, measure))
    found = found.values_list("step", rows.column).annotate(count=Sum(measure))
    for step, value, count in found:
        # Several templates have the same code.
        counts[named(value)][steps.places[step]] += count
    series = [Series(one, each) for one, each in counts.items()]
    return sorted(series, key=lambda one: (-one.total, one.named.key))


def top(
    dimension: Dimension,
    filters: Filters,
    since: datetime,
    until: datetime,
    *,
    limit: int | None = 10,
) -> list[Top]:
    """The most frequent applications, channels, templates, senders, or reasons of failures."""
    rows = _rows(filters, Period.around(since, until), apart_by=dimension)
    measure, named = _measure(dimension), namer(dimension)
    found = _with_any(rows, measure).values_list(rows.column)
    sums: dict[Named, list[int]] = defaultdict(lambda: [0, 0, 0])
    for value, *counts in found.annotate(a=Sum("accepted"), s=Sum("success"), f=Sum("failed")):
        one = named(value)
        sums[one] = [before + more for before, more in zip(sums[one], counts, strict=True)]
    ranked = [Top(one, *counts) for one, counts in sums.items()]
    return sorted(ranked, key=lambda one: (-getattr(one, measure), one.named.key))[:limit]


def _with_any(rows: "_Rows", measure: str) -> QuerySet[Any]:
    """Every row has messages; not every one has failed ones."""
    return rows.of if measure == "accepted" else rows.of.filter(**{f"{measure}__gt": 0})


def _measure(dimension: Dimension) -> str:
    return "failed" if dimension is Dimension.REASON else "accepted"


@dataclass(frozen=True, slots=True)
class _Rows:
    """The fewest that answer a question. `column` tells apart what it is about."""

    of: QuerySet[Any]
    column: str


def _rows(filters: Filters, period: Period, *, apart_by: Dimension | None = None) -> _Rows:
    wanted = filters.values()
    dimensions = {*wanted, *([apart_by] if apart_by else [])}
    within: dict[str, Any] = {"hour__gte": period.since, "hour__lt": period.until}
    if filters.is_test is not None:
        within["is_test"] = filters.is_test
    if len(dimensions) > 1:
        within |= {f"{COLUMNS[each]}__in": values for each, values in wanted.items()}
        column = COLUMNS[apart_by] if apart_by else ""
        return _Rows(HourlyDetail.objects.filter(**within), column)
    # Every dimension has all messages; channels have the fewest rows.
    within["dimension"] = next(iter(dimensions), Dimension.CHANNEL)
    for values in wanted.values():
        within["value__in"] = [str(value) for value in values]
    return _Rows(HourlyCount.objects.filter(**within), "value")

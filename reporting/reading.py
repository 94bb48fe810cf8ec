"""Answers questions about what was sent, from the counted hours only: what is asked costs the same
however many messages there are. For the API and for the dashboard.

Hours are cohorts: a message counts in the hour in which it was accepted, with the status, reason
and feedback that it has now. A time that is no full hour means the hour that it is in.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from django.db.models import QuerySet, Sum

from messaging.models import Feedback, Status
from reporting.latency import Latency, read_histogram
from reporting.models import LATENCY_COLUMNS, MEASURES, Hour, HourlyDetail, HourlyTotal, Progress
from reporting.naming import COLUMNS, FIELDS, GroupBy, Named, namer
from reporting.steps import Interval, Period, Steps
from templates_app.models import Template

# These are told apart in the details only.
_DETAILS = (GroupBy.TEMPLATE, GroupBy.SENDER, GroupBy.REASON)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which messages count; what is empty narrows nothing. `template` is a code, whatever its
    language; `is_test=None` counts messages of both kinds."""

    application_id: int | None = None
    channel: str = ""
    template: str = ""
    sender_id: int | None = None
    is_test: bool | None = False


@dataclass(frozen=True, slots=True)
class Freshness:
    """`updated_at`: everything that had happened until then is counted in the two newest hours; in
    older ones, news count some minutes later. None: nothing was ever counted. `hours_to_count`:
    those of the period that were never counted, as on the first day of the statistics."""

    updated_at: datetime | None
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
    updated_at = Progress.objects.values_list("updated_at", flat=True).first()
    within = Hour.objects.filter(began_at__gte=period.since, began_at__lt=period.until)
    to_count = within.filter(counted_at=None, dirty_since__isnull=False)
    return Freshness(updated_at, to_count.count())


def summary(filters: Filters, since: datetime, until: datetime) -> Summary:
    period = Period.around(since, until)
    rows = _rows(filters, period)
    sums = rows.aggregate(**{name: Sum(name, default=0) for name in MEASURES})
    reasons = top(GroupBy.REASON, filters, since, until, limit=None)
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
    rows = steps.of_rows(_rows(filters, period, needs_detail=group_by in _DETAILS))
    if group_by in COLUMNS:
        series = _by_column(rows, steps, COLUMNS[group_by])
    else:
        series = _by_field(rows, steps, group_by)
    return TimeSeries(period, steps.starts, series)


def _by_column(rows: QuerySet[Any], steps: Steps, choices: Any) -> list[Series]:
    series = [
        Series(Named(value, str(label)), [0] * len(steps.starts))
        for value, label in choices.choices
    ]
    sums = {f"sum_{value}": Sum(value) for value in choices.values}
    for step, *counts in rows.values_list("step").annotate(**sums):
        for one, count in zip(series, counts, strict=True):
            one.counts[steps.places[step]] = count
    return series


def _by_field(rows: QuerySet[Any], steps: Steps, group_by: GroupBy | None) -> list[Series]:
    measure = _measure(group_by)
    fields = [FIELDS[group_by]] if group_by else []
    named = namer(group_by) if group_by else None
    counts: dict[Named, list[int]] = defaultdict(lambda: [0] * len(steps.starts))
    if named is None:
        counts[Named("", "")] = [0] * len(steps.starts)
    found = rows.filter(**{f"{measure}__gt": 0}).values_list("step", *fields)
    for step, *value, count in found.annotate(count=Sum(measure)):
        one = named(value[0]) if named else Named("", "")
        # Several templates have the same code.
        counts[one][steps.places[step]] += count
    series = [Series(one, each) for one, each in counts.items()]
    return sorted(series, key=lambda one: (-one.total, one.named.key))


def top(
    dimension: GroupBy,
    filters: Filters,
    since: datetime,
    until: datetime,
    *,
    limit: int | None = 10,
) -> list[Top]:
    """The most frequent applications, channels, templates, senders, or reasons of failures."""
    rows = _rows(filters, Period.around(since, until), needs_detail=dimension in _DETAILS)
    measure = _measure(dimension)
    found = rows.filter(**{f"{measure}__gt": 0}).values_list(FIELDS[dimension])
    named = namer(dimension)
    sums: dict[Named, list[int]] = defaultdict(lambda: [0, 0, 0])
    for value, *counts in found.annotate(a=Sum("accepted"), s=Sum("success"), f=Sum("failed")):
        one = named(value)
        sums[one] = [before + more for before, more in zip(sums[one], counts, strict=True)]
    ranked = [Top(one, *counts) for one, counts in sums.items()]
    return sorted(ranked, key=lambda one: (-getattr(one, measure), one.named.key))[:limit]


def _measure(group_by: GroupBy | None) -> str:
    return "failed" if group_by is GroupBy.REASON else "accepted"


def _rows(filters: Filters, period: Period, *, needs_detail: bool = False) -> QuerySet[Any]:
    is_detailed = needs_detail or filters.template or filters.sender_id is not None
    model = HourlyDetail if is_detailed else HourlyTotal
    rows: QuerySet[Any] = model._meta.default_manager.filter(  # type: ignore[union-attr]
        hour__gte=period.since, hour__lt=period.until
    )
    exact = {
        "application_id": filters.application_id,
        "channel": filters.channel or None,
        "sender_id": filters.sender_id,
        "is_test": filters.is_test,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value is not None})
    if filters.template:
        of_code = Template.objects.filter(code=filters.template).values_list("pk", flat=True)
        rows = rows.filter(template_id__in=list(of_code))
    return rows

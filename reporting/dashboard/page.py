"""The dashboard as the first page of the admin."""

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import Application
from messaging.channels.simulator import NAMES
from messaging.models import Feedback, Reason, Status
from messaging.pool_report import pool_report
from reporting import presence, reading
from reporting.dashboard import live, problems, tables, tiles
from reporting.dashboard.links import messages_between_url, messages_url, page_url
from reporting.dashboard.period import RANGES, Period, read_period
from reporting.models import Dimension
from reporting.reading import Filters, GroupBy, Summary
from reporting.steps import Interval

REFRESH_SECONDS = 15
TOP = 8
# What failed lately is a reason to look.
LATELY = timedelta(hours=1)


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Of the theme: what the first page shows. Who may not see messages gets the list of pages."""
    if not request.user.has_perm("messaging.view_message"):
        return context
    now = timezone.now()
    period = read_period(request.GET, now=now)
    told = reading.summary(_filters(period), period.since, period.until)
    return context | {
        "dashboard": True,
        "title": gettext("Overview"),
        "refresh_seconds": REFRESH_SECONDS,
        "period": period,
        "ranges": _ranges(period),
        "today": timezone.localtime(now).date(),
        "applications": list(Application.objects.all()),
        **_counted(period, told),
        **_present(period, told, now=now),
    }


def _filters(period: Period) -> Filters:
    return Filters(application_id=period.application.pk if period.application else None)


def _ranges(period: Period) -> list[dict[str, Any]]:
    suffix = f"&application={period.application.pk}" if period.application else ""
    return [
        {"label": label, "url": f"?range={name}{suffix}", "is_chosen": name == period.name}
        for name, label in RANGES.items()
    ]


def _counted(period: Period, told: Summary) -> dict[str, Any]:
    """From the statistics."""
    filters = _filters(period)
    tops = {
        dimension: reading.top(dimension, filters, period.since, period.until, limit=TOP)
        for dimension in (Dimension.CHANNEL, Dimension.APPLICATION, Dimension.TEMPLATE)
    }
    return {
        "series": _series(period, filters),
        "reasons": tables.bars(
            (Reason(reason).label, count, messages_url(period, status="failed", reason=reason))
            for reason, count in list(told.reasons.items())[:TOP]
        ),
        "feedback": tables.bars(
            (Feedback(kind).label, count, messages_url(period, feedback=kind))
            for kind, count in told.feedback.items()
            if count
        ),
        "channels": tables.shares(tops[Dimension.CHANNEL], period, "channel"),
        "by_application": tables.shares(tops[Dimension.APPLICATION], period, "application"),
        "templates": tables.shares(tops[Dimension.TEMPLATE], period, "template"),
    }


def _series(period: Period, filters: Filters) -> dict[str, Any]:
    """For the chart: labels below it, titles and links of its bars, and counts by status."""
    told = reading.timeseries(
        filters,
        period.since,
        period.until,
        interval=period.interval,
        time_zone=timezone.get_current_timezone(),
        group_by=GroupBy.STATUS,
    )
    ends = [*told.buckets[1:], period.until]
    application = period.application.pk if period.application else None
    is_hourly = period.interval is Interval.HOUR
    return {
        "labels": [tables.bucket_label(bucket, is_hourly=is_hourly) for bucket in told.buckets],
        "titles": [tables.bucket_title(bucket, is_hourly=is_hourly) for bucket in told.buckets],
        "urls": [
            messages_between_url(bucket, end, application=application)
            for bucket, end in zip(told.buckets, ends, strict=True)
        ],
        "datasets": [
            {"status": each.named.key, "label": each.named.name, "values": each.counts}
            for each in told.series
            if each.total or each.named.key in (Status.SUCCESS, Status.FAILED)
        ],
    }


def _present(period: Period, told: Summary, *, now: datetime) -> dict[str, Any]:
    """From the queue, the pool and the workers, as they are just now."""
    lanes = live.lanes(now=now)
    workers = presence.workers(now=now)
    freshness = reading.freshness(told.period)
    pool = [line for line in pool_report(now).lines if line.sender.adapter not in NAMES]
    lately = reading.summary(Filters(), now - LATELY, now)
    found = problems.find_problems(
        workers=workers,
        looked_at=freshness.looked_at,
        lanes=lanes,
        pool=pool,
        lately=lately,
        now=now,
    )
    return {
        "updated_at": freshness.updated_at,
        "problems": found,
        "tiles": tiles.tiles(period, told, lanes),
        "pool": tables.pool(pool, now=now),
        "add_sender_url": page_url("messaging_sender_add"),
        "lanes": tables.lanes(lanes),
        "workers": tables.workers(workers, now=now),
        "scheduler": tables.scheduler(freshness.looked_at, now=now),
    }

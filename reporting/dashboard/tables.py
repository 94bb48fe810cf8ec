"""Rows of the dashboard's tables: words, links, and how long their bars are in percent."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from core.durations import in_words
from messaging.pool_report import PoolLine
from messaging.sender_report import Use
from messaging.senders import SenderKind
from reporting.dashboard.links import messages_url, page_url
from reporting.dashboard.live import COUNT_LIMIT, Lane
from reporting.dashboard.period import Period
from reporting.dashboard.words import (
    channel_words,
    lane_words,
    moment_words,
    number,
    share,
)
from reporting.presence import Seen
from reporting.reading import Top

LEVELS = {
    SenderKind.ACTIVE: "well",
    SenderKind.RECOVERING: "warning",
    SenderKind.BEING_TRIED: "warning",
    SenderKind.BENCHED: "danger",
    SenderKind.SPENT: "danger",
    SenderKind.SWITCHED_OFF: "off",
}
# Beat has the statistics brought up to date three times a minute.
SCHEDULER_IS_LATE = timedelta(minutes=2)
# From so much of a quota on its bar is a warning.
NEARLY = 80


def bars(rows: Iterable[tuple[Any, int, str]]) -> list[dict[str, Any]]:
    """Of label, count and link."""
    rows = list(rows)
    longest = max((count for _, count, _ in rows), default=0)
    return [
        {
            "label": label,
            "count": number(count),
            "share": _percent(count, longest),
            "url": url,
        }
        for label, count, url in rows
    ]


def shares(tops: list[Top], period: Period, filter_name: str) -> list[dict[str, Any]]:
    """How many messages went by each, and how many of them failed."""
    longest = max((top.accepted for top in tops), default=0)
    return [_share(top, period, filter_name, longest=longest) for top in tops]


def _share(top: Top, period: Period, filter_name: str, *, longest: int) -> dict[str, Any]:
    value = top.named.key
    filters = {filter_name: value}
    return {
        "label": top.named.name,
        "accepted": number(top.accepted),
        "failed": number(top.failed),
        "failed_share": share(top.failed, top.accepted) if top.failed else "",
        "share": _percent(top.accepted, longest),
        "failed_part": _percent(top.failed, top.accepted),
        "url": messages_url(period, **filters) if value else "",
        "failed_url": messages_url(period, status="failed", **filters)
        if value and top.failed
        else "",
    }


def _percent(part: float, whole: float) -> str:
    """For CSS, whose decimal point no language changes."""
    return f"{min(100.0, 100 * part / whole):.1f}" if whole else "0"


def bucket_label(bucket: datetime, *, is_hourly: bool) -> str:
    return date_format(bucket, "H:i" if is_hourly else "m-d")


def bucket_title(bucket: datetime, *, is_hourly: bool) -> str:
    if not is_hourly:
        return date_format(bucket, "D Y-m-d")
    until = date_format(bucket + timedelta(hours=1), "H:i")
    return f"{date_format(bucket, 'D Y-m-d H:i')} – {until}"


def pool(lines: list[PoolLine], *, now: datetime) -> list[dict[str, Any]]:
    return [_pool_row(line, now=now) for line in lines]


def _pool_row(line: PoolLine, *, now: datetime) -> dict[str, Any]:
    error, forecast = line.last_error, line.forecast
    return {
        "name": line.name,
        "channel": channel_words(line.channel),
        "url": page_url("messaging_sender_change", line.sender.pk),
        "messages_url": messages_url(sender=line.sender.pk),
        "state": line.words,
        "level": LEVELS[line.kind],
        "since": moment_words(line.since, now=now) if line.since else "",
        "quotas": [_quota(use) for use in line.quotas if use.limit is not None],
        "forecast": (
            gettext("used up at %(at)s at this rate")
            % {"at": date_format(timezone.localtime(forecast.at), "H:i")}
            if forecast
            else ""
        ),
        "hour_count": line.hour.attempts,
        "failures": (
            gettext("%(count)s failed") % {"count": number(line.hour.failures)}
            if line.hour.failures
            else ""
        ),
        "last_error": (error.words or error.kind) if error else "",
        "last_error_at": moment_words(error.at, now=now) if error and error.at else "",
    }


def _quota(use: Use) -> dict[str, Any]:
    limit = use.limit or 0
    percent = 100 * use.used / limit if limit else 100
    words = {
        "minute": gettext("%(used)s of %(limit)s a minute"),
        "hour": gettext("%(used)s of %(limit)s an hour"),
        "day": gettext("%(used)s of %(limit)s a day"),
    }[use.window] % {"used": number(use.used), "limit": number(limit)}
    return {
        "words": gettext("%(words)s (group)") % {"words": words} if use.is_shared else words,
        "title": gettext("%(left)s left") % {"left": number(max(0, limit - use.used))},
        "share": _percent(use.used, limit) if limit else "100",
        "level": "danger" if percent >= 100 else "warning" if percent >= NEARLY else "",
    }


def lanes(found: list[Lane]) -> list[dict[str, Any]]:
    return [_lane_row(lane) for lane in found]


def _lane_row(lane: Lane) -> dict[str, Any]:
    waiting = number(lane.waiting)
    if not lane.is_counted_through:
        waiting = gettext("more than %(count)s") % {"count": number(COUNT_LIMIT)}
    for_sender = ""
    if lane.waiting_for_sender:
        for_sender = gettext("%(count)s for a sender") % {"count": number(lane.waiting_for_sender)}
    return {
        "label": lane_words(lane.channel, lane.lane),
        "url": messages_url(status="pending", channel=lane.channel, lane=lane.lane),
        "waiting": waiting,
        "for_sender": for_sender,
        "oldest": in_words(lane.oldest) if lane.waiting else "",
        "per_minute": number(lane.per_minute),
        "empty_in": in_words(lane.empty_in) if lane.empty_in is not None else "",
    }


def workers(seen: list[Seen], *, now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "name": worker.name,
            "is_well": worker.is_there,
            "words": (
                gettext("works, %(count)d at a time") % {"count": worker.processes}
                if worker.is_there
                else gettext("not seen for %(span)s") % {"span": in_words(now - worker.seen_at)}
            ),
        }
        for worker in seen
    ]


def scheduler(looked_at: datetime | None, *, now: datetime) -> dict[str, Any]:
    """It is seen by what it has done."""
    if looked_at is None:
        return {"is_well": False, "words": gettext("has done nothing yet")}
    span = in_words(now - looked_at)
    is_well = now - looked_at < SCHEDULER_IS_LATE
    words = gettext("works") if is_well else gettext("nothing for %(span)s") % {"span": span}
    return {"is_well": is_well, "words": words}

"""The six figures on top: what came in, what became of it, and what waits."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from core.durations import in_words
from messaging.models import Status
from reporting.dashboard.links import messages_url
from reporting.dashboard.live import Lane
from reporting.dashboard.period import Period
from reporting.dashboard.words import number, share
from reporting.reading import Summary


@dataclass(frozen=True, slots=True)
class Tile:
    name: str
    label: str
    value: str
    note: str
    url: str
    level: str = ""


def tiles(period: Period, told: Summary, lanes: list[Lane]) -> list[Tile]:
    return [
        Tile(
            "accepted",
            gettext("Accepted"),
            number(told.accepted),
            period.label,
            messages_url(period),
        ),
        _by_status(period, told, Status.SUCCESS, "handed_over", gettext("Handed over")),
        _by_status(period, told, Status.FAILED, "failed", gettext("Failed")),
        *_waiting(lanes),
        _prompt(period, told),
    ]


def _by_status(period: Period, told: Summary, status: str, name: str, label: str) -> Tile:
    count = told.statuses[status]
    note = gettext("%(share)s of them") % {"share": share(count, told.accepted)}
    return Tile(
        name,
        label,
        number(count),
        note if count else "",
        messages_url(period, status=status),
        level="danger" if status == Status.FAILED and count else "",
    )


def _waiting(lanes: list[Lane]) -> list[Tile]:
    """Of all applications, whenever it was accepted: what workers have before them now."""
    waiting = sum(lane.waiting for lane in lanes)
    value = number(waiting)
    if not all(lane.is_counted_through for lane in lanes):
        value = gettext("more than %(count)s") % {"count": value}
    busy = [lane for lane in lanes if lane.waiting]
    note = ngettext("in %(count)d queue", "in %(count)d queues", len(busy)) % {"count": len(busy)}
    oldest = max((lane.oldest for lane in busy), default=timedelta())
    is_late = oldest.total_seconds() > settings.PROGRESS_ALERT_SECONDS
    url = messages_url(status="pending")
    return [
        Tile("waiting", gettext("Waiting now"), value, note if busy else "", url),
        Tile(
            "oldest",
            gettext("Oldest waiting"),
            in_words(oldest) if busy else gettext("none"),
            "",
            url,
            level="warning" if is_late else "",
        ),
    ]


def _prompt(period: Period, told: Summary) -> Tile:
    latency = told.latency
    value = "–"
    note = gettext("nothing handed over yet")
    if latency.prompt_share is not None and latency.p95 is not None:
        seconds = number_format(latency.p95, 1 if latency.p95 < 10 else 0)
        value = share(round(latency.prompt_share * latency.count), latency.count)
        note = gettext("95 %% within %(seconds)s s") % {"seconds": seconds}
    url = messages_url(period, status=Status.SUCCESS)
    return Tile("prompt", gettext("Within 10 s"), value, note, url)

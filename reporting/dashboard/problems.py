"""Is all well? What an operator should look at, the worst first, each with where to go."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext

from core.durations import in_words
from messaging import metrics
from messaging.models import Status
from messaging.pool_report import PoolLine
from messaging.senders import SenderKind
from reporting.dashboard.links import messages_between_url, messages_url, page_url
from reporting.dashboard.live import Lane
from reporting.dashboard.tables import SCHEDULER_IS_LATE
from reporting.dashboard.words import channel_words, lane_words, share
from reporting.presence import IS_NEWS, Seen
from reporting.reading import Summary

# From so many on a share says something.
FEW = 20
FAILED_SHARE = 0.1
OUT = (SenderKind.BENCHED, SenderKind.SPENT)


@dataclass(frozen=True, slots=True)
class Problem:
    """`level` is `danger` or `warning`."""

    level: str
    words: str
    url: str


def find_problems(
    *,
    workers: list[Seen],
    looked_at: datetime | None,
    lanes: list[Lane],
    pool: list[PoolLine],
    lately: Summary,
    now: datetime,
) -> list[Problem]:
    """`lately`: what was accepted in the present hour and the one before."""
    found = [
        *_of_workers(workers, now),
        *_of_scheduler(looked_at, now),
        *_of_lanes(lanes),
        *_of_what_is_left_alone(),
        *_of_pool(pool),
        *_of_failures(lately),
    ]
    return sorted(found, key=lambda problem: problem.level != "danger")


def _of_workers(workers: list[Seen], now: datetime) -> Iterator[Problem]:
    url = page_url("index") + "#workers"
    if not any(worker.is_there for worker in workers):
        yield Problem(
            "danger",
            gettext("No worker shows itself: nothing is sent. Start one, or look at its log."),
            url,
        )
        return
    for worker in workers:
        if not worker.is_there and now - worker.seen_at < IS_NEWS:
            words = gettext("Worker %(name)s has not shown itself for %(span)s.")
            span = in_words(now - worker.seen_at)
            yield Problem("warning", words % {"name": worker.name, "span": span}, url)


def _of_scheduler(looked_at: datetime | None, now: datetime) -> Iterator[Problem]:
    if looked_at is not None and now - looked_at < SCHEDULER_IS_LATE:
        return
    words = gettext(
        "Nothing has been scheduled lately: these figures are old. Look whether beat and a worker "
        "run."
    )
    yield Problem("danger", words, page_url("index") + "#workers")


def _of_lanes(lanes: list[Lane]) -> Iterator[Problem]:
    late = [
        lane for lane in lanes if lane.oldest_due.total_seconds() > settings.PROGRESS_ALERT_SECONDS
    ]
    for lane in late:
        words = gettext("%(lane)s: the oldest message is due since %(span)s.")
        told = {"lane": lane_words(lane.channel, lane.lane), "span": in_words(lane.oldest_due)}
        yield Problem("danger", words % told, _lane_url(lane))
    for lane in lanes:
        if lane.waiting_for_sender:
            words = ngettext(
                "%(lane)s: %(count)d message waits for a sender, the oldest for %(span)s.",
                "%(lane)s: %(count)d messages wait for a sender, the oldest for %(span)s.",
                lane.waiting_for_sender,
            )
            about = {
                "lane": lane_words(lane.channel, lane.lane),
                "count": lane.waiting_for_sender,
                "span": in_words(lane.oldest_waiting),
            }
            yield Problem("warning", words % about, messages_url(reason="no_sender"))


def _lane_url(lane: Lane) -> str:
    return messages_url(status="pending", channel=lane.channel, lane=lane.lane)


def _of_what_is_left_alone() -> Iterator[Problem]:
    for status, count, age in metrics.unswept():
        if age > settings.PROGRESS_ALERT_SECONDS:
            words = ngettext(
                "%(count)d message was left by its worker and nobody takes it up.",
                "%(count)d messages were left by their workers and nobody takes them up.",
                count,
            )
            yield Problem("danger", words % {"count": count}, messages_url(status=status))


def _of_pool(pool: list[PoolLine]) -> Iterator[Problem]:
    in_play = [line for line in pool if line.kind != SenderKind.SWITCHED_OFF]
    for channel in sorted({line.channel for line in in_play}):
        lines = [line for line in in_play if line.channel == channel]
        out = [line for line in lines if line.kind in OUT]
        url = page_url("messaging_sender_changelist", channel__exact=channel)
        if out and len(out) == len(lines):
            words = gettext("%(channel)s: no sender can send now; messages wait.")
            yield Problem("danger", words % {"channel": channel_words(channel)}, url)
            continue
        for line in out:
            words = gettext("Sender %(name)s: %(state)s.")
            told = {"name": line.name, "state": line.words}
            yield Problem("warning", words % told, _sender_url(line))


def _sender_url(line: PoolLine) -> str:
    return page_url("messaging_sender_change", line.sender.pk)


def _of_failures(lately: Summary) -> Iterator[Problem]:
    accepted, failed = lately.accepted, lately.statuses[Status.FAILED]
    if accepted < FEW or failed < accepted * FAILED_SHARE:
        return
    words = gettext("%(share)s of the messages since %(at)s failed.")
    told = {
        "share": share(failed, accepted),
        "at": date_format(timezone.localtime(lately.period.since), "H:i"),
    }
    url = messages_between_url(lately.period.since, lately.period.until, status="failed")
    yield Problem("warning", words % told, url)

"""Asks providers what became of what they were given: before anything that got no answer is sent
again, and of what they took and did not report on.

Nothing is held while a provider is asked. Any number of these at once do each other no harm.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog
from django.db.models import Q, QuerySet

from core.clock import Clock
from core.ids import lowest_uuid7
from core.secrets import UnreadableSecret
from messaging import doorbell, metrics, receipts, states
from messaging.channels.base import ChannelAdapter, DeliveryError, Found, Handed, Standing
from messaging.channels.registry import ADAPTERS
from messaging.channels.reports import News
from messaging.models import Attempt, Message, Reason, Sender, Status

log = structlog.get_logger(__name__)

# Messages that one task takes, and seconds after which it asks no more and lets others have the
# worker. One call may take longer, see `http_api`; whoever did not answer is not asked again.
BATCH, SECONDS = 100, 20.0
# So long after a hand-over its provider is asked for news that did not come by themselves.
LOOKS = tuple(timedelta(minutes=m) for m in (5, 30, 180, 720))
# `poll` is called once in each of these, and asks at most so many times.
SLOT, MOST_OF_A_LOOK = timedelta(minutes=1), 200
_UNSURE = Found(Standing.UNSURE)


def ask_about_unknown(*, clock: Clock, limit: int = BATCH) -> int:
    """Settle messages without an answer by what their providers say. How many were taken; fewer
    than `limit`: there are no more."""
    taken = states.take_to_ask(now=clock(), limit=limit)
    attempts = _attempts_in_doubt(taken)
    with _Providers() as providers:
        for message in taken:
            if providers.is_time_over():
                states.put_off(message, due_at=clock())
                continue
            mine = attempts[message.pk]
            found = [providers.ask(attempt, message) for attempt in mine]
            _conclude(message, list(zip(mine, found, strict=True)), now=clock())
    return len(taken)


def poll(*, clock: Clock) -> int:
    """Ask for news of what was taken 5 minutes, 30 minutes, 3 hours and 12 hours ago and not
    reported on, and of what was given up without an answer. How many were asked about.

    Each call looks at the minutes that ended so long ago, by the ids of attempts, which sort by
    time: whatever the tables hold, it reads by the primary key what was handed over within four
    minutes. A call that was left out, or had too much to ask, leaves it to the next of the looks.
    """
    now = clock()
    slot = now.replace(second=0, microsecond=0)
    senders = Sender.objects.filter(adapter__in=_askable()).in_bulk()
    asked = 0
    with _Providers() as providers:
        for look in LOOKS if senders else ():
            for attempt in without_news(senders, since=slot - look - SLOT, until=slot - look):
                if providers.is_time_over():
                    return asked
                found = providers.ask(attempt, attempt.message)
                asked += 1
                if found.standing is Standing.TAKEN:
                    _apply(attempt, found, now=clock())
    return asked


class _Providers:
    """Those that are asked in one task, each by one connection."""

    def __init__(self) -> None:
        self._adapters: dict[int, ChannelAdapter | None] = {}
        self._ends_at = time.monotonic() + SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for sender_id in list(self._adapters):
            self._let_go(sender_id)

    def is_time_over(self) -> bool:
        return time.monotonic() > self._ends_at

    def ask(self, attempt: Attempt, message: Message) -> Found:
        """Unsure, too, if it cannot be asked; then it is not asked again."""
        sender = attempt.sender
        if sender.pk not in self._adapters:
            self._adapters[sender.pk] = _open(sender)
        adapter = self._adapters[sender.pk]
        if adapter is None:
            return _UNSURE
        handed = Handed(
            attempt_id=str(attempt.pk),
            address=message.content["to"][0][1],
            at=attempt.started_at,
            provider_message_id=attempt.provider_message_id,
        )
        try:
            return adapter.look_up(handed)
        except DeliveryError as error:
            log.warning("provider_not_asked", sender=sender.name, kind=error.kind, code=error.code)
        except Exception:
            log.exception("look_up_broke", adapter=adapter.name, sender=sender.name)
        self._let_go(sender.pk)
        return _UNSURE

    def _let_go(self, sender_id: int) -> None:
        adapter, self._adapters[sender_id] = self._adapters[sender_id], None
        if adapter is not None:
            adapter.close()


def _open(sender: Sender) -> ChannelAdapter | None:
    adapter = ADAPTERS.get(sender.adapter)
    try:
        return adapter(sender.account()) if adapter is not None and adapter.can_look_up else None
    except UnreadableSecret:
        log.warning("provider_not_asked", sender=sender.name, kind="unreadable_secret")
        return None


def _askable() -> list[str]:
    return [name for name, adapter in ADAPTERS.items() if adapter.can_look_up]


def _attempts_in_doubt(messages: Sequence[Message]) -> defaultdict[UUID, list[Attempt]]:
    """By message, the newest first."""
    found: defaultdict[UUID, list[Attempt]] = defaultdict(list)
    attempts = Attempt.objects.filter(message__in=messages, outcome__in=states.IN_DOUBT)
    for attempt in attempts.select_related("sender").order_by("-started_at"):
        found[attempt.message_id].append(attempt)
    return found


def _conclude(message: Message, answers: Sequence[tuple[Attempt, Found]], *, now: datetime) -> None:
    taken = [(attempt, found) for attempt, found in answers if found.standing is Standing.TAKEN]
    for attempt, found in taken:
        _apply(attempt, found, now=now)
    if taken:
        return
    if answers and all(found.standing is Standing.ABSENT for _, found in answers):
        if states.settle_absent(message, now=now):
            doorbell.ring(channel=message.channel, lane=message.lane)
    else:
        states.put_off(message, due_at=now + states.ASK_AGAIN)


def _apply(attempt: Attempt, found: Found, *, now: datetime) -> None:
    """That it was taken, and what became of it since: as if the provider had reported it."""
    proof = News(
        kind="", key="", attempt_id=str(attempt.pk), provider_message_id=found.provider_message_id
    )
    for news in (proof, *found.news):
        mine = replace(news, attempt_id=str(attempt.pk))
        result = receipts.apply(mine, sender_id=attempt.sender_id, now=now)
        metrics.feedback(attempt.sender.name, news.kind or "accepted", result).inc()


def without_news(senders: Iterable[int], *, since: datetime, until: datetime) -> QuerySet[Attempt]:
    """What these senders handed over in that time and heard nothing of: taken, or given up."""
    given_up = Q(message__status=Status.FAILED, message__reason=Reason.UNKNOWN_OUTCOME)
    return (
        Attempt.objects.filter(
            pk__gte=lowest_uuid7(since),
            pk__lt=lowest_uuid7(until),
            sender__in=senders,
            outcome__in=[Attempt.Outcome.ACCEPTED, *states.IN_DOUBT],
            message__feedback="",
        )
        .filter(Q(message__status=Status.SUCCESS) | given_up)
        .select_related("sender", "message")
        .order_by("pk")[:MOST_OF_A_LOOK]
    )

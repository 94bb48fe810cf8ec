"""Which sender takes which message, and who sits out.

By priority first (higher wins), then whoever has used the least of its share. Quotas are reserved
in bulk with one conditional UPDATE per sender and limited window, so that any number of workers
together stay below them; what was not used is given back.
"""

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F, Q

from core.masking import mask_addresses
from core.secrets import UnreadableSecret
from messaging.channels.base import SenderFailure
from messaging.models import Sender, SenderWindow

log = structlog.get_logger(__name__)

# The first bench; it doubles with every further failure in a row.
BENCH = timedelta(seconds=60)
LONGEST_BENCH = timedelta(minutes=30)
# Wrong credentials do not mend themselves, and trying them too often locks accounts.
CREDENTIALS_BENCH = timedelta(hours=1)
# A message without a sender looks again at the latest after this, in case one was mended.
LOOK_AGAIN = timedelta(seconds=60)


@dataclass(slots=True)
class Candidate:
    """A sender of the channel with what is known about it at this moment."""

    sender: Sender
    application_ids: frozenset[int]
    used_today: int
    # Messages left by the tightest limit; None is no limit.
    left: int | None
    free_at: datetime | None = None
    excluded: str = ""
    assigned: int = 0

    def serves(self, application_id: int) -> bool:
        return not self.application_ids or application_id in self.application_ids

    def load(self) -> float:
        return (self.used_today + self.assigned) / self.sender.weight


@dataclass(slots=True)
class Allotment:
    """Who takes what: for each message in order its sender or None, and why."""

    senders: list[Sender | None] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    # When a sender may be free again, for messages that got none.
    look_again_at: datetime | None = None


class Pool:
    """The senders of one channel as a drain sees them; `failed` takes one out for its rest."""

    def __init__(self, *, channel: str, now: datetime) -> None:
        senders = list(
            Sender.objects.filter(channel=channel).prefetch_related("windows", "applications")
        )
        self.candidates = [_candidate(sender, now) for sender in senders]

    def allot(self, application_ids: Sequence[int], *, now: datetime) -> Allotment:
        """Give every message (by the id of its application) a sender, quota reserved."""
        given: list[Candidate | None] = [None] * len(application_ids)
        open_places = list(range(len(application_ids)))
        # Whoever loses quota to other workers between reading and reserving is left out of the next
        # round, so there are at most as many rounds as senders.
        while open_places:
            wanted = self._choose([application_ids[place] for place in open_places])
            granted = self._reserve(wanted, now=now)
            short: list[int] = []
            for place, candidate in zip(open_places, wanted, strict=True):
                if candidate is None:
                    continue
                if granted[candidate.sender.pk] > 0:
                    granted[candidate.sender.pk] -= 1
                    given[place] = candidate
                else:
                    candidate.left = 0
                    candidate.excluded = "its quota was used up by other workers"
                    short.append(place)
            open_places = short
        allotment = Allotment(look_again_at=self._look_again_at(now))
        decisions: dict[tuple[int, int], dict[str, Any]] = {}
        for application_id, candidate in zip(application_ids, given, strict=True):
            sender = candidate.sender if candidate is not None else None
            # One dict per (sender, application) of the batch, not one per message.
            key = (sender.pk if sender else 0, application_id)
            if key not in decisions:
                decisions[key] = self._explain(sender, application_id)
            allotment.senders.append(sender)
            allotment.decisions.append(decisions[key])
        return allotment

    def _reserve(self, wanted: list[Candidate | None], *, now: datetime) -> dict[int, int]:
        """How many of the messages that were given to each sender it may really take."""
        counts = Counter(c.sender.pk for c in wanted if c is not None)
        return {
            c.sender.pk: reserve(c.sender, counts[c.sender.pk], now=now)
            for c in self.candidates
            if counts[c.sender.pk]
        }

    def failed(self, sender: Sender, error: SenderFailure, *, now: datetime) -> None:
        """Bench `sender` in its row and take it out of this pool."""
        until = bench(sender, error, now=now)
        for candidate in self.candidates:
            if candidate.sender.pk == sender.pk:
                candidate.free_at = until
                candidate.excluded = f"benched until {until:%H:%M:%S} UTC ({error.kind})"

    def why_nobody(self, application_id: int) -> str:
        """A sentence for the message: who there is, and why each cannot take it."""
        reasons = [
            f"{candidate.sender.name}: {self._why_not(candidate, application_id)}"
            for candidate in self.candidates
        ]
        return "; ".join(reasons) or "There is no sender for this channel yet."

    def _choose(self, application_ids: Sequence[int]) -> list[Candidate | None]:
        heaps: dict[int, list[tuple[int, float, float, int]]] = {}
        for application_id in set(application_ids):
            heaps[application_id] = [
                (-c.sender.priority, c.load(), random.random(), index)  # noqa: S311
                for index, c in enumerate(self.candidates)
                if not self._why_not(c, application_id)
            ]
            heapq.heapify(heaps[application_id])
        return [self._next(heaps[application_id]) for application_id in application_ids]

    def _next(self, heap: list[tuple[int, float, float, int]]) -> Candidate | None:
        while heap:
            priority, load, tie, index = heap[0]
            candidate = self.candidates[index]
            if candidate.left == 0:
                heapq.heappop(heap)
            elif load < candidate.load():
                # Another application's messages went to it meanwhile.
                heapq.heapreplace(heap, (priority, candidate.load(), tie, index))
            else:
                candidate.assigned += 1
                if candidate.left is not None:
                    candidate.left -= 1
                heapq.heapreplace(heap, (priority, candidate.load(), tie, index))
                return candidate
        return None

    def _why_not(self, candidate: Candidate, application_id: int) -> str:
        if candidate.excluded:
            return candidate.excluded
        if not candidate.serves(application_id):
            return "reserved for other applications"
        return "its quota is used up" if candidate.left == 0 else ""

    def _explain(self, chosen: Sender | None, application_id: int) -> dict[str, Any]:
        excluded = {
            c.sender.name: why
            for c in self.candidates
            if (chosen is None or c.sender.pk != chosen.pk)
            and (why := self._why_not(c, application_id))
        }
        candidates = [
            {
                "sender": c.sender.name,
                "priority": c.sender.priority,
                "used_today": c.used_today,
                "weight": c.sender.weight,
            }
            for c in self.candidates
            if c.sender.name not in excluded
        ]
        return {
            "chosen": chosen.name if chosen else None,
            "candidates": candidates,
            "excluded": excluded,
        }

    def _look_again_at(self, now: datetime) -> datetime:
        frees = [c.free_at for c in self.candidates if c.free_at is not None and c.free_at > now]
        # Spread a little, so that a large backlog does not wake in one instant.
        return min([*frees, now + LOOK_AGAIN]) + timedelta(seconds=random.uniform(0, 2))  # noqa: S311


def _candidate(sender: Sender, now: datetime) -> Candidate:
    used = sender.used_quota(now)
    lefts = {
        window: max(0, limit - used.get(window, 0)) for window, limit in sender.limits().items()
    }
    candidate = Candidate(
        sender=sender,
        application_ids=frozenset(application.pk for application in sender.applications.all()),
        used_today=used.get("day", 0),
        left=min(lefts.values()) if lefts else None,
    )
    spent = [window for window, left in lefts.items() if left == 0]
    if not sender.is_active:
        candidate.excluded = "switched off"
    elif sender.benched_until is not None and sender.benched_until > now:
        candidate.free_at = sender.benched_until
        candidate.excluded = (
            f"benched until {sender.benched_until:%H:%M:%S} UTC ({sender.last_failure_kind})"
        )
    elif spent:
        candidate.excluded = f"used up its limit per {spent[0]}"
    else:
        try:
            sender.open_credentials()
        except UnreadableSecret:
            candidate.excluded = "its credentials cannot be read with the present CREDENTIALS_KEYS"
    return candidate


# --- quotas --------------------------------------------------------------------------------------


def reserve(sender: Sender, wanted: int, *, now: datetime) -> int:
    """Reserve up to `wanted` messages in all windows of `sender`; how many were granted.

    The day is always counted, limited or not: it tells who was used least. The rows are locked for
    two statements, always in the same order, so that workers cannot wait for each other in a ring.
    """
    limits: dict[str, int | None] = {"day": None, **sender.limits()}
    starts = {window: sender.window_start(window, now) for window in limits}
    with transaction.atomic():
        rows = _locked(sender, limits)
        if len(rows) < len(limits):
            SenderWindow.objects.bulk_create(
                [
                    SenderWindow(sender=sender, window=window, started_at=starts[window])
                    for window in sorted(limits)
                ],
                ignore_conflicts=True,
            )
            rows = _locked(sender, limits)
        granted = wanted
        for row in rows:
            if row.started_at < starts[row.window]:
                row.started_at, row.used = starts[row.window], 0
            limit = limits[row.window]
            if limit is not None:
                granted = max(0, min(granted, limit - row.used))
        for row in rows:
            row.used += granted
            row.save(update_fields=["started_at", "used"])
    return granted


def _locked(sender: Sender, windows: Iterable[str]) -> list[SenderWindow]:
    rows = SenderWindow.objects.select_for_update().filter(sender=sender, window__in=list(windows))
    return list(rows.order_by("window"))


def give_back(sender: Sender, count: int, *, now: datetime) -> None:
    """Return quota that was reserved and not used, unless its window is over."""
    with transaction.atomic():
        for row in _locked(sender, {"day", *sender.limits()}):
            if row.started_at == sender.window_start(row.window, now):
                row.used = max(0, row.used - count)
                row.save(update_fields=["used"])


# --- health --------------------------------------------------------------------------------------


def bench(sender: Sender, error: SenderFailure, *, now: datetime) -> datetime:
    """Take `sender` out for a while, longer with every failure in a row. Returns until when."""
    if error.kind == "credentials":
        rest = CREDENTIALS_BENCH
    else:
        rest = min(BENCH * 2 ** min(sender.failures, 10), LONGEST_BENCH)
        rest *= random.uniform(0.8, 1.2)  # noqa: S311
    if error.retry_after is not None:
        rest = max(rest, timedelta(seconds=min(max(error.retry_after, 1), 3600)))
    until = now + rest
    words = mask_addresses(f"{error.code} {error.words}".strip())[:500]
    # A worker that fails a moment later must not double the bench again.
    newly = Sender.objects.filter(
        Q(benched_until=None) | Q(benched_until__lte=now), pk=sender.pk
    ).update(
        failures=F("failures") + 1,
        benched_until=until,
        last_failure_kind=error.kind,
        last_failure_words=words,
        last_failure_at=now,
    )
    if newly:
        log.warning(
            "sender_benched",
            sender=sender.name,
            kind=error.kind,
            phase=error.phase,
            provider=words,
            until=until.isoformat(),
        )
    return until


def recovered(sender: Sender) -> None:
    """A message went through: forget the failures in a row."""
    if sender.failures:
        Sender.objects.filter(pk=sender.pk).update(failures=0, benched_until=None)
        sender.failures = 0


def mend(sender: Sender) -> None:
    """An operator changed or tested it: let it play again at once."""
    Sender.objects.filter(pk=sender.pk).update(
        failures=0, benched_until=None, last_failure_kind="", last_failure_words=""
    )

"""Which sender takes which message, and who sits out.

By priority first (higher wins), then whoever has used the least of its share. What is given is
reserved in bulk, one transaction per sender, so that any number of workers together stay below the
limits of senders and groups.
"""

import heapq
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from core.secrets import UnreadableSecret
from messaging import sender_health
from messaging.channels.registry import is_named
from messaging.models import Sender, SenderGroup
from messaging.sender_health import State
from messaging.sender_quotas import reserve

# A message without a sender looks again at the latest after this, in case one was mended.
LOOK_AGAIN = timedelta(seconds=60)
# And after this while a sender is tried: the answer is a matter of seconds.
LOOK_AGAIN_WHILE_TRIED = timedelta(seconds=10)

# Its connections have as much to do as they can soon do; somebody else, or later.
ALL_BUSY = "all its connections are busy"
# Names that a decision keeps of each kind: it is stored with every attempt.
NAMES_KEPT = 20

# Queues of one message's candidates, each asked when the one before has nobody.
_GENTLY, _FULLY, _RELUCTANTLY = range(3)


@dataclass(frozen=True, slots=True)
class Wish:
    """What one message needs. `never`: ids of senders that failed it in this drain. `rather_not`:
    those that had it and gave no answer; they get it only if there is nobody else. `only`: the one
    that an operator tests with it, whoever else may use that one."""

    application_id: int
    never: frozenset[int] = frozenset()
    rather_not: frozenset[int] = frozenset()
    only: int | None = None


@dataclass(slots=True)
class Room:
    """Messages left by the tightest limit of a sender, or of a group for all its senders."""

    left: int
    why: str = "its quota is used up"


@dataclass(slots=True)
class Candidate:
    """A sender of the channel with what is known about it at this moment."""

    sender: Sender
    application_ids: frozenset[int]
    used_today: int
    rooms: list[Room]
    # Why it takes nothing, as far as its row tells.
    unfit: str = ""
    # Of this allotment: why it takes nothing, and how many messages while it recovers (None: any).
    excluded: str = ""
    allowance: int | None = None
    share: float = 1.0
    probe: Room | None = None
    capacity: Room | None = None
    free_at: datetime | None = None
    assigned: int = 0

    @property
    def is_named(self) -> bool:
        """Takes only what is bound to it."""
        return is_named(self.sender.adapter)

    def load(self) -> float:
        return (self.used_today + self.assigned) / self.sender.weight

    def rank(self) -> tuple[int, bool, float]:
        """Lowest goes first. Who is to be tried comes first among its equals: it gets one only."""
        return (-self.sender.priority, self.probe is None, self.load())

    def full(self) -> str:
        """Why it takes no more; empty while it does."""
        for room in self.rooms:
            if room.left <= 0:
                return room.why
        if self.probe is not None and self.probe.left <= 0:
            return self.probe.why
        return self.capacity.why if self.capacity is not None and self.capacity.left <= 0 else ""

    def is_done(self) -> bool:
        """Whether it had its part of this allotment while it recovers."""
        return self.allowance is not None and self.allowance <= 0

    def assign(self) -> None:
        self.assigned += 1
        for room in self.rooms:
            room.left -= 1
        if self.probe is not None:
            self.probe.left -= 1
        if self.capacity is not None:
            self.capacity.left -= 1
        if self.allowance is not None:
            self.allowance -= 1

    def unassign(self) -> None:
        """What one sender did not get is left for the others of its group."""
        self.assigned -= 1
        for room in self.rooms:
            room.left += 1


@dataclass(slots=True)
class Allotment:
    """Who takes what: for each message in order its sender or None, and why."""

    senders: list[Sender | None] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    # When a sender may be free again, for messages that got none.
    look_again_at: datetime | None = None


Place = tuple[tuple[int, bool, float], float, int]
Queues = dict[tuple[Wish, int], list[Place]]


class Pool:
    """The senders of one channel as a drain sees them. A bench that this drain's `Health` writes is
    seen at once where it concerns the same `Sender` objects, everything else after `refresh`."""

    def __init__(self, *, channel: str, now: datetime) -> None:
        self.channel = channel
        self.candidates: list[Candidate] = []
        self.refresh(now=now)

    def refresh(self, *, now: datetime) -> None:
        """Read the rows again."""
        senders = Sender.objects.filter(channel=self.channel).select_related("group")
        rooms: dict[int, list[Room]] = {}
        self.candidates = [
            _candidate(sender, rooms, now)
            for sender in senders.prefetch_related("windows", "group__windows", "applications")
        ]
        for candidate in self.candidates:
            _judge(candidate, 0, now, {})

    def senders(self) -> list[Sender]:
        """As they were read last, whatever their state."""
        return [candidate.sender for candidate in self.candidates]

    def allot(
        self,
        wishes: Sequence[Wish],
        *,
        now: datetime,
        busy: Mapping[int, str] | None = None,
        capacity: Mapping[int, int] | None = None,
    ) -> Allotment:
        """Give every message a sender, quota reserved. By sender id, `busy` says why this process
        can give it nothing now, and `capacity` how many messages it can. Not within a
        transaction."""
        for known in self.candidates:
            _judge(known, len(wishes), now, busy or {})
            room = (capacity or {}).get(known.sender.pk)
            known.capacity = Room(room, ALL_BUSY) if room is not None else None
        given: list[Candidate | None] = [None] * len(wishes)
        open_places = list(range(len(wishes)))
        # Whoever gets less than it was given is left out of the next round, so there are at most as
        # many rounds as senders.
        while open_places:
            wanted = self._choose([wishes[place] for place in open_places])
            granted = self._reserve(wanted, now=now)
            short: list[int] = []
            for place, candidate in zip(open_places, wanted, strict=True):
                if candidate is None:
                    continue
                if granted[candidate.sender.pk] > 0:
                    granted[candidate.sender.pk] -= 1
                    given[place] = candidate
                else:
                    candidate.unassign()
                    short.append(place)
            open_places = short
        return self._allotment(wishes, given, now)

    def forecast(self, wish: Wish, *, now: datetime) -> dict[str, Any]:
        """The decision for one message, with nothing reserved. This pool gives nothing after it."""
        for known in self.candidates:
            _judge(known, 1, now, {})
        candidate = self._first(wish, {})
        return self._explain(candidate.sender if candidate else None, wish)

    def is_soon_possible(self, wish: Wish) -> bool:
        """Whether somebody could take it who is only busy now. Speaks of the last allotment."""
        return any(_why_not(candidate, wish) == ALL_BUSY for candidate in self.candidates)

    def why_nobody(self, wish: Wish) -> str:
        """A sentence for the message: who there is, and why each cannot take it. Speaks of the last
        allotment."""
        reasons = [f"{c.sender.name}: {_why_not(c, wish)}" for c in self._concerned(wish)]
        return "; ".join(reasons) or "There is no sender for this channel yet."

    def _concerned(self, wish: Wish) -> list[Candidate]:
        """Robots, chats and the simulator are nobody whom a message misses that names no one."""
        return [c for c in self.candidates if not c.is_named or c.sender.pk == wish.only]

    def _choose(self, wishes: Sequence[Wish]) -> list[Candidate | None]:
        queues: Queues = {}
        return [self._first(wish, queues) for wish in wishes]

    def _first(self, wish: Wish, queues: Queues) -> Candidate | None:
        for kind in (_GENTLY, _FULLY, _RELUCTANTLY):
            if (wish, kind) not in queues:
                queues[wish, kind] = self._queue(wish, kind)
            candidate = self._next(queues[wish, kind], is_gentle=kind == _GENTLY)
            if candidate is not None:
                candidate.assign()
                return candidate
        return None

    def _queue(self, wish: Wish, kind: int) -> list[Place]:
        places = [
            (candidate.rank(), random.random(), index)  # noqa: S311
            for index, candidate in enumerate(self.candidates)
            if not _why_not(candidate, wish)
            and (candidate.sender.pk in wish.rather_not) == (kind == _RELUCTANTLY)
        ]
        heapq.heapify(places)
        return places

    def _next(self, queue: list[Place], *, is_gentle: bool) -> Candidate | None:
        while queue:
            rank, tie, index = queue[0]
            candidate = self.candidates[index]
            if candidate.full() or (is_gentle and candidate.is_done()):
                heapq.heappop(queue)
            elif len(queue) > 1 and rank < candidate.rank():
                # It was given messages since.
                heapq.heapreplace(queue, (candidate.rank(), tie, index))
            else:
                return candidate
        return None

    def _reserve(self, wanted: list[Candidate | None], *, now: datetime) -> dict[int, int]:
        """How many of the messages that were given to each sender it may really take."""
        counts = Counter(candidate.sender.pk for candidate in wanted if candidate is not None)
        granted: dict[int, int] = {}
        for candidate in self.candidates:
            sender, count = candidate.sender, counts[candidate.sender.pk]
            if count == 0:
                continue
            if candidate.probe is not None and not sender_health.take_probe(sender, now=now):
                candidate.excluded = "another worker tries it with one message"
                candidate.free_at = now + LOOK_AGAIN_WHILE_TRIED
                granted[sender.pk] = 0
                continue
            granted[sender.pk] = reserve(sender, count, now=now)
            if granted[sender.pk] < count:
                candidate.excluded = "its quota was used up by other workers"
                if candidate.probe is not None:
                    sender_health.release_probe(sender)
        return granted

    def _allotment(
        self, wishes: Sequence[Wish], given: Sequence[Candidate | None], now: datetime
    ) -> Allotment:
        allotment = Allotment(look_again_at=self._look_again_at(now))
        decisions: dict[tuple[int, Wish], dict[str, Any]] = {}
        for wish, candidate in zip(wishes, given, strict=True):
            sender = candidate.sender if candidate is not None else None
            # One dict for all that are alike, not one per message.
            key = (sender.pk if sender else 0, wish)
            if key not in decisions:
                decisions[key] = self._explain(sender, wish)
            allotment.senders.append(sender)
            allotment.decisions.append(decisions[key])
        return allotment

    def _explain(self, chosen: Sender | None, wish: Wish) -> dict[str, Any]:
        """Names only: it is kept with the attempt."""
        excluded = {
            c.sender.name: why
            for c in self._concerned(wish)
            if (chosen is None or c.sender.pk != chosen.pk)
            and (why := _why_not(c, wish) or _why_rather_not(c, wish))
        }
        candidates = []
        for c in self._concerned(wish):
            if c.sender.name in excluded:
                continue
            candidates.append(
                {
                    "sender": c.sender.name,
                    "priority": c.sender.priority,
                    "used_today": c.used_today,
                    "weight": c.sender.weight,
                }
            )
            if c.share < 1:
                candidates[-1]["share"] = round(c.share * 100)
        decision: dict[str, Any] = {
            "chosen": chosen.name if chosen else None,
            "candidates": candidates[:NAMES_KEPT],
            "excluded": dict(list(excluded.items())[:NAMES_KEPT]),
        }
        kept = len(decision["candidates"]) + len(decision["excluded"])
        if more := len(candidates) + len(excluded) - kept:
            decision["more"] = more
        return decision

    def _look_again_at(self, now: datetime) -> datetime:
        frees = [c.free_at for c in self.candidates if c.free_at is not None and c.free_at > now]
        # Spread a little, so that a large backlog does not wake in one instant.
        return min([*frees, now + LOOK_AGAIN]) + timedelta(seconds=random.uniform(0, 2))  # noqa: S311


def _candidate(sender: Sender, group_rooms: dict[int, list[Room]], now: datetime) -> Candidate:
    """`sender` as its row tells. `group_rooms` holds the rooms of groups, which are shared."""
    rooms = _rooms(sender, now)
    unfit = ""
    if spent := sender.spent_window(now):
        unfit = f"used up its limit per {spent}"
    if sender.group is not None:
        if spent := sender.group.spent_window(now):
            unfit = unfit or f"its group {sender.group} used up its limit per {spent}"
        rooms += group_rooms.setdefault(sender.group.pk, _rooms(sender.group, now))
    try:
        sender.open_credentials()
    except UnreadableSecret:
        unfit = unfit or "its credentials cannot be read with the present CREDENTIALS_KEYS"
    return Candidate(
        sender=sender,
        application_ids=frozenset(application.pk for application in sender.applications.all()),
        used_today=sender.used_quota(now).get("day", 0),
        rooms=rooms,
        unfit=unfit if sender.is_active else "switched off",
    )


def _rooms(owner: Sender | SenderGroup, now: datetime) -> list[Room]:
    used = owner.used_quota(now)
    lefts = [limit - used.get(window, 0) for window, limit in owner.limits().items()]
    whose = "its quota" if isinstance(owner, Sender) else f"the quota of its group {owner}"
    return [Room(min(lefts), f"{whose} is used up")] if lefts else []


def _judge(candidate: Candidate, messages: int, now: datetime, busy: Mapping[int, str]) -> None:
    """What its health and this process allow it among `messages`."""
    sender = candidate.sender
    candidate.excluded, candidate.free_at = candidate.unfit, None
    candidate.probe, candidate.allowance, candidate.share = None, None, 1.0
    if candidate.unfit:
        return
    state = sender_health.state_of(sender, now=now)
    if state is State.BENCHED:
        candidate.free_at = sender.benched_until
        candidate.excluded = (
            f"benched until {sender.benched_until:%H:%M:%S} UTC ({sender.last_failure_kind})"
        )
    elif state is State.BEING_TRIED:
        candidate.probe = Room(1, "being tried with one message")
        if sender.probe_until is not None and sender.probe_until > now:
            candidate.probe.left = 0
        candidate.free_at = now + LOOK_AGAIN_WHILE_TRIED
    elif state is State.RECOVERING:
        candidate.share = sender_health.share_of(sender, now=now)
        # Rounded by chance, so that small batches get their part over time.
        candidate.allowance = int(candidate.share * messages + random.random())  # noqa: S311
    if not candidate.excluded:
        candidate.excluded = busy.get(sender.pk, "")


def _why_not(candidate: Candidate, wish: Wish) -> str:
    if candidate.excluded:
        return candidate.excluded
    if wish.only is not None:
        if candidate.sender.pk != wish.only:
            return "this message is bound to another sender"
    elif candidate.is_named:
        return "it takes only messages that name it"
    elif candidate.application_ids and wish.application_id not in candidate.application_ids:
        return "reserved for other applications"
    if candidate.sender.pk in wish.never:
        return "failed this message just now"
    return candidate.full()


def _why_rather_not(candidate: Candidate, wish: Wish) -> str:
    is_one = candidate.sender.pk in wish.rather_not
    return "had this message before and gave no answer" if is_one else ""

"""The senders of the demo as a worker would see them, moment by moment: limits, breaker, choice.

It decides as `messaging.sender_pool` and `messaging.sender_health` do, without a database and with
a clock that is set. Moments are seconds since 1970.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from messaging import sender_health
from messaging.channels.base import OutcomeUnknown
from messaging.channels.registry import is_named
from messaging.models import Sender, SenderGroup
from messaging.sender_health import FIRST_SHARE, RECOVERS_IN, SHARE_DOUBLES_IN
from notification_platform.demo.providers import Refusal

# A decision is made of what was read of the pool a moment ago.
READ_EVERY = 2.0
_SECONDS = {"minute": 60.0, "hour": 3600.0}
_DOUBLES, _RECOVERS = SHARE_DOUBLES_IN.total_seconds(), RECOVERS_IN.total_seconds()


class Meter:
    """What is used of the limits of a sender or a group, as `SenderWindow` keeps it."""

    def __init__(self, owner: Sender | SenderGroup) -> None:
        self.owner = owner
        self.limits = owner.limits()
        # By window: when it began, and what is used.
        self.windows: dict[str, list[float]] = {}
        self._day = (0.0, 0.0)

    def start_of(self, window: str, at: float) -> float:
        if window != "day":
            return at - at % _SECONDS[window]
        if not self._day[0] <= at < self._day[1]:
            moment = datetime.fromtimestamp(at, UTC)
            begins = self.owner.window_start("day", moment)
            ends = self.owner.window_start("day", begins + timedelta(hours=30))
            self._day = (begins.timestamp(), ends.timestamp())
        return self._day[0]

    def used(self, window: str, at: float) -> int:
        found = self.windows.get(window)
        return int(found[1]) if found and found[0] >= self.start_of(window, at) else 0

    def spent(self, at: float) -> str:
        for window, limit in self.limits.items():
            if self.used(window, at) >= limit:
                return window
        return ""

    def take(self, at: float) -> None:
        for window in ("day", *(name for name in self.limits if name != "day")):
            begins = self.start_of(window, at)
            found = self.windows.get(window)
            if found is None or found[0] < begins:
                self.windows[window] = [begins, 1]
            else:
                found[1] += 1

    def give_back(self, at: float) -> None:
        for window, found in self.windows.items():
            if found[0] == self.start_of(window, at):
                found[1] = max(0, found[1] - 1)


@dataclass(frozen=True, slots=True)
class Outage:
    """From when until when whatever is handed over fails."""

    begins: float
    ends: float
    refusal: Refusal


@dataclass(slots=True)
class Player:
    """A sender. The health is that of its row at the end."""

    sender: Sender
    applications: frozenset[int]
    meter: Meter
    group: Meter | None
    rng: Random
    outages: list[Outage] = field(default_factory=list)
    # From when on it is switched off.
    off_at: float = float("inf")
    is_named: bool = False
    failures: int = 0
    benches: int = 0
    benched_until: float | None = None
    recovered_at: float | None = None
    last_failure: tuple[Refusal, float] | None = None

    def __post_init__(self) -> None:
        self.is_named = is_named(self.sender.adapter)

    def outage(self, at: float) -> Refusal | None:
        for outage in self.outages:
            if outage.begins <= at < outage.ends:
                return outage.refusal
        return None

    def unfit(self, at: float) -> str:
        """Why it takes nothing, as far as its row tells."""
        if at >= self.off_at:
            return "switched off"
        if window := self.meter.spent(at):
            return f"used up its limit per {window}"
        if self.group is not None and (window := self.group.spent(at)):
            return f"its group {self.group.owner} used up its limit per {window}"
        if self.benched_until is not None and self.benched_until > at:
            assert self.last_failure is not None
            until = datetime.fromtimestamp(self.benched_until, UTC)
            return f"benched until {until:%H:%M:%S} UTC ({self.last_failure[0].kind})"
        return ""

    def share(self, at: float) -> float:
        if self.recovered_at is None or at - self.recovered_at >= _RECOVERS:
            return 1.0
        return min(1.0, FIRST_SHARE * 2 ** int((at - self.recovered_at) // _DOUBLES))

    def take(self, at: float) -> None:
        self.meter.take(at)
        if self.group is not None:
            self.group.take(at)

    def give_back(self, at: float) -> None:
        self.meter.give_back(at)
        if self.group is not None:
            self.group.give_back(at)

    def worked(self, at: float) -> None:
        self.failures = 0
        if self.benched_until is not None and self.benched_until <= at:
            self.benched_until, self.benches, self.recovered_at = None, 0, at

    def failed(self, refusal: Refusal, at: float) -> None:
        """Also without an answer: silence counts."""
        is_tried = self.benched_until is not None
        self.failures += 1
        self.last_failure = (refusal, at)
        is_enough = (
            refusal.kind in sender_health.AT_ONCE
            or self.failures >= sender_health.FAILURES_IN_A_ROW
        )
        if not (is_tried or is_enough):
            return
        rest = min(sender_health.BENCH * 2**self.benches, sender_health.LONGEST_BENCH)
        seconds = rest.total_seconds() * self.rng.uniform(0.8, 1.2)
        if refusal.kind == "credentials":
            seconds = max(seconds, sender_health.CREDENTIALS_BENCH.total_seconds())
        self.benched_until, self.recovered_at = at + seconds, None
        self.benches += 1

    def asked(self, refusal: Refusal, at: float) -> None:
        """What came of a hand-over that was no success tells of it."""
        if refusal.outcome == "sender" or refusal.failure is OutcomeUnknown:
            self.failed(refusal, at)
        else:
            self.worked(at)


@dataclass(frozen=True, slots=True)
class Choice:
    player: Player | None
    # The decision as JSON; without a player, why nobody could take it.
    told: str


class Pool:
    """The senders of one channel."""

    def __init__(self, players: Sequence[Player], rng: Random) -> None:
        self.players = sorted(players, key=lambda player: -player.sender.priority)
        self.rng = rng
        self._told: dict[object, tuple[float, str]] = {}

    def choose(
        self,
        at: float,
        *,
        application_id: int,
        only: int | None = None,
        never: Collection[int] = (),
        doubted: Collection[int] = (),
        wanted: str = "",
    ) -> Choice:
        """`wanted`: the name of a sender that gets it, if that one can take it."""
        concerned = [p for p in self.players if not p.is_named or p.sender.pk == only]
        excluded: dict[int, str] = {}
        chosen: tuple[tuple[float, ...], Player] | None = None
        for player in concerned:
            pk = player.sender.pk
            if why := self._why_not(player, at, application_id, only, never):
                excluded[pk] = why
                continue
            is_tried = player.benched_until is not None
            used, share = player.meter.used("day", at), player.share(at)
            load = used / player.sender.weight
            is_late = pk in doubted or (share < 1 and self.rng.random() > share)
            is_wanted = player.sender.name == wanted
            rank = (
                is_late and not is_wanted,
                not is_wanted,
                -player.sender.priority,
                not is_tried,
                load,
            )
            if chosen is None or rank < chosen[0]:
                chosen = (rank, player)
        if chosen is None:
            names = {player.sender.pk: player.sender.name for player in concerned}
            reasons = [f"{names[pk]}: {why}" for pk, why in excluded.items()]
            return Choice(None, "; ".join(reasons))
        player = chosen[1]
        for pk in doubted:
            if pk not in excluded and pk != player.sender.pk:
                excluded[pk] = "had this message before and gave no answer"
        return Choice(player, self._explain(player, concerned, excluded, at))

    def _why_not(
        self,
        player: Player,
        at: float,
        application_id: int,
        only: int | None,
        never: Collection[int],
    ) -> str:
        if why := player.unfit(at):
            return why
        if only is not None:
            if player.sender.pk != only:
                return "this message is bound to another sender"
        elif player.applications and application_id not in player.applications:
            return "reserved for other applications"
        return "failed this message just now" if player.sender.pk in never else ""

    def _explain(
        self, chosen: Player, concerned: Sequence[Player], excluded: dict[int, str], at: float
    ) -> str:
        key = (chosen.sender.pk, tuple(excluded.items()))
        known = self._told.get(key)
        if known is not None and at - known[0] < READ_EVERY:
            return known[1]
        candidates = []
        for player in concerned:
            if player.sender.pk in excluded:
                continue
            told = {
                "sender": player.sender.name,
                "priority": player.sender.priority,
                "used_today": player.meter.used("day", at),
                "weight": player.sender.weight,
            }
            if (share := player.share(at)) < 1:
                told["share"] = round(share * 100)
            candidates.append(told)
        names = {player.sender.pk: player.sender.name for player in concerned}
        left_out = {names[pk]: why for pk, why in excluded.items()}
        decision = {"chosen": chosen.sender.name, "candidates": candidates, "excluded": left_out}
        if len(self._told) > 1000:
            self._told.clear()
        self._told[key] = (at, json.dumps(decision))
        return self._told[key][1]

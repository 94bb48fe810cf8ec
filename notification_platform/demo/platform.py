"""Lets the messages of the demo live: accepted, claimed, handed over, tried again, reported on.

It moves them as `messaging.states` and `messaging.outcomes` do, one moment after the other, and
ends now: what is not over by then waits. Moments are seconds since 1970.
"""

import heapq
import itertools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random
from uuid import UUID

from django.conf import settings

from core.ids import uuid7_at
from messaging.channels.base import OutcomeUnknown
from messaging.channels.reports import key_of
from messaging.models import Event, Reason
from messaging.outcomes import MAILBOX_FULL_FOR
from messaging.states import MAX_TRIES, RANKS, UNKNOWN_REST
from notification_platform.demo import providers
from notification_platform.demo.life import Archive, Life
from notification_platform.demo.listeners import Listeners
from notification_platform.demo.pool import Choice, Player, Pool
from notification_platform.demo.providers import REFUSALS, Refusal

# Seconds from being due to the first hand-over, by lane: the usual middle.
LAGS = {"high": 0.06, "normal": 0.25, "bulk": 0.9}
# Messages a second that `bulk` hands over when it is full.
BULK_RATE = 25.0
REST, LOOK_AGAIN = UNKNOWN_REST.total_seconds(), 60.0
LEASE = float(settings.LEASE_SECONDS)
WORKERS = ("worker-1:4117", "worker-1:4118", "worker-2:3302", "worker-2:3303")
# Operators send a few of those again that failed.
RESENT_AGAIN = {"rejected", "blocked", "unknown_outcome", "expired"}

Step = Callable[[Life, float], None]


class Platform:
    def __init__(
        self,
        *,
        pools: Mapping[str, Pool],
        archive: Archive,
        listeners: Listeners,
        new_id: Callable[[float], str],
        operator_id: int | None,
        now: float,
        rng: Random,
    ) -> None:
        self.pools = pools
        self.archive = archive
        self.listeners = listeners
        self.new_id = new_id
        self.operator_id = operator_id
        self.now = now
        self.rng = rng
        # By address: when it was suppressed, and for which application (None: for all).
        self.suppressed: dict[str, tuple[float, int | None]] = {}
        self._steps: list[tuple[float, int, Step, Life]] = []
        self._count = itertools.count()
        self._bulk_free_at = 0.0

    def accept(self, life: Life) -> None:
        """First whatever is to happen before it was asked for."""
        self.run(until=life.created_at)
        halfway = life.created_at + (life.due_at - life.created_at) * self.rng.uniform(0.2, 0.8)
        if life.fate == "cancelled":
            self._at(halfway, self.cancel, life)
        elif life.fate == "suppressed":
            self._at(halfway, self.suppress, life)
        elif life.fate == "repeated":
            self._at(life.created_at + self.rng.uniform(1, 200), self.repeat, life)
        elif life.fate == "rescheduled":
            self._at(halfway, self.reschedule, life)
            return
        if life.lane == "bulk" and life.due_at == life.created_at:
            moment = max(life.due_at + self._lag(life), self._bulk_free_at)
            self._bulk_free_at = moment + 1 / BULK_RATE
            self._claim_at(life, moment)
        else:
            self._claim_at(life, life.due_at + self._lag(life))

    def run(self, *, until: float) -> None:
        while self._steps and self._steps[0][0] <= until:
            moment, _, step, life = heapq.heappop(self._steps)
            step(life, moment)

    def finish(self, *, leaves_nothing: bool) -> None:
        """Up to now; then keep those that wait. With `leaves_nothing` they are cancelled, so that
        there is nothing that a worker could send."""
        self.run(until=self.now)
        waiting = {life.id: life for _, _, _, life in self._steps if not life.is_over}
        for life in waiting.values():
            if leaves_nothing and life.status == "unknown":
                self.settle(life, self.now)
            if leaves_nothing and life.status == "pending":
                self.cancel(life, self.now)
            elif not life.is_over:
                self.archive.keep(life)
        self.archive.write()

    # --- moves -----------------------------------------------------------------------------------

    def claim(self, life: Life, at: float) -> None:
        if life.is_over:
            return
        life.lease_token += 1
        life.claims += 1
        if life.expires_at <= at:
            self._fail_unsent(life, at, Reason.EXPIRED, "")
        elif self._is_suppressed(life, at):
            detail = "Every recipient was put on the suppression list after it was accepted."
            self._fail_unsent(life, at, Reason.SUPPRESSED, detail)
        else:
            if life.plan[0].startswith("lost") and at + LEASE > self.now:
                # Nobody is left in the hands of a worker.
                life.plan.pop(0)
            if life.plan[0] == "lost":
                life.plan.pop(0)
                self._at(at + LEASE, self.recover, life)
            else:
                self._hand_over(life, min(at + 0.004, self.now))

    def recover(self, life: Life, at: float) -> None:
        """Its worker was lost, before or after something was sent."""
        if life.attempts and life.attempts[-1][7] == "":
            life.attempts[-1][6] = at
            life.status, life.due_at = "unknown", at
            life.reason_detail = "Its worker was lost while a provider may have had it."
            life.happened(Event.Kind.OUTCOME_UNKNOWN, at, {})
            self._tell(life, "message.unknown", at)
            self._at(at + 0.01, self.settle, life)
            return
        life.reason, life.due_at = Reason.LEASE_LOST.value, at
        life.reason_detail = "Its worker was lost before anything was sent."
        life.happened(Event.Kind.LEASE_LOST, at, {})
        self._claim_at(life, at + self._lag(life))

    def settle(self, life: Life, at: float) -> None:
        """Unknown for long enough: its provider is asked, or else its policy says what follows."""
        if life.text.channel == "sms":
            self._prove(life, at)
        elif life.text.policy == "at_least_once" and not life.unknown_resends:
            life.status, life.reason, life.due_at = "pending", Reason.TEMPORARY.value, at
            life.reason_detail = "No answer came; it is sent once more."
            life.unknown_resends = 1
            life.happened(Event.Kind.SENT_AGAIN, at, {})
            self._claim_at(life, at + self._lag(life))
        else:
            life.happened(Event.Kind.FAILED, at, {"reason": Reason.UNKNOWN_OUTCOME.value})
            detail = "No answer came; it may have arrived."
            self._fail(life, at, Reason.UNKNOWN_OUTCOME.value, detail)

    def cancel(self, life: Life, at: float) -> None:
        life.status, life.reason, life.reason_detail, life.finished_at = "cancelled", "", "", at
        life.happened(Event.Kind.CANCELLED, at, {}, self.operator_id)
        self._tell(life, "message.cancelled", at)
        self._end(life)

    def repeat(self, life: Life, at: float) -> None:
        """It was asked for again, and not sent twice."""
        details = {"request_id": str(uuid7_at(at, self.rng.getrandbits(62)))}
        if life.is_over:
            self.archive.events.rows.append(
                (life.id, Event.Kind.DUPLICATE.value, at, None, json.dumps(details))
            )
        else:
            life.happened(Event.Kind.DUPLICATE, at, details)

    def reschedule(self, life: Life, at: float) -> None:
        due_at = life.due_at + self.rng.uniform(600, 40_000)
        details = {"from": moment_told(life.due_at), "to": moment_told(due_at)}
        life.happened(Event.Kind.RESCHEDULED, at, details, self.operator_id)
        life.expires_at, life.due_at = life.expires_at + due_at - life.due_at, due_at
        self._claim_at(life, due_at + self._lag(life))

    def suppress(self, life: Life, at: float) -> None:
        """Its recipient asked the application to be left alone."""
        self._suppress(life, at, life.application_id, "unsubscribed", "", "api")

    def resend(self, life: Life, at: float) -> None:
        details = {"from": life.status, "reason": life.reason}
        life.happened(Event.Kind.RESENT, at, details, self.operator_id)
        life.expires_at = at + (life.expires_at - (life.resent_at or life.created_at))
        life.status, life.reason, life.reason_detail = "pending", Reason.RESENT.value, ""
        life.due_at = life.resent_at = at
        life.finished_at, life.claims, life.tries, life.unknown_resends = None, 0, 0, 0
        life.plan = ["taken"]
        self._claim_at(life, at + self._lag(life))

    # --- hand-over -------------------------------------------------------------------------------

    def _hand_over(self, life: Life, at: float) -> None:
        """To one sender after the other, until one is not at fault."""
        never: set[int] = set()
        while True:
            choice = self._choose(life, at, never)
            player = choice.player
            if player is None:
                self._wait(life, at, choice.told, is_soon=bool(never))
                return
            word = life.plan[0]
            adapter = player.sender.adapter
            refusal = player.outage(at) or REFUSALS.get(adapter, {}).get(word)
            finished = min(at + providers.pace(adapter, self.rng), self.now)
            attempt = self._attempt(life, player, choice, at)
            player.take(at)
            if refusal is None and word == "lost_open":
                life.plan.pop(0)
                self._at(at + LEASE, self.recover, life)
                return
            if refusal is None:
                self._taken(life, player, attempt, finished)
                return
            self._close(attempt, refusal, finished)
            player.asked(refusal, finished)
            if refusal.outcome != "sender":
                self._refused(life, player, refusal, finished)
                return
            player.give_back(at)
            never.add(player.sender.pk)
            at = min(finished + 0.003, self.now)

    def _choose(self, life: Life, at: float, never: set[int]) -> Choice:
        return self.pools[life.text.channel].choose(
            at,
            application_id=life.application_id,
            only=life.only_sender_id,
            never=never,
            doubted=life.doubted,
            wanted=life.wants,
        )

    def _attempt(self, life: Life, player: Player, choice: Choice, at: float) -> list[object]:
        attempt: list[object] = [
            *(self.new_id(at), life.id, player.sender.pk, life.lease_token, at, None, None),
            *("", "", "", "", "", "", "[]", choice.told, self.rng.choice(WORKERS)),
        ]
        life.attempts.append(attempt)
        return attempt

    def _close(self, attempt: list[object], refusal: Refusal, at: float) -> None:
        attempt[5] = at
        attempt[6] = at if refusal.failure is OutcomeUnknown else None
        attempt[7:12] = [
            *(refusal.outcome.value, refusal.kind, refusal.phase, refusal.code, refusal.words)
        ]

    def _taken(self, life: Life, player: Player, attempt: list[object], at: float) -> None:
        provider_id, code, words = providers.receipt(
            player.sender.adapter, str(UUID(str(attempt[0]))), self.rng
        )
        attempt[5], attempt[7], attempt[10:13] = at, "accepted", [code, words, provider_id]
        player.worked(at)
        self._succeed(life, player.sender.pk, at)
        self._report(life, player, attempt, at)
        self._end(life)

    def _succeed(self, life: Life, sender_id: int, at: float) -> None:
        life.status, life.reason, life.reason_detail = "success", "", ""
        life.sender_id, life.claims, life.finished_at = sender_id, 0, at
        self._tell(life, "message.success", at)

    def _refused(self, life: Life, player: Player, refusal: Refusal, at: float) -> None:
        """What is charged to the message."""
        word = life.plan.pop(0)
        life.tries += 1
        life.sender_id, life.claims = player.sender.pk, 0
        if refusal.outcome == "unknown":
            life.status, life.reason, life.reason_detail = "unknown", "", refusal.detail
            life.due_at = at + REST
            life.doubted.append(player.sender.pk)
            self._tell(life, "message.unknown", at)
            self._at(life.due_at + self.rng.random(), self.settle, life)
        elif refusal.outcome == "permanent":
            if word == "gone" and player.sender.adapter == "smtp" and not life.others:
                note = f"{refusal.code} {refusal.words}"
                self._suppress(life, at, None, "hard_bounce", note, player.sender.name)
            self._fail(life, at, refusal.kind, refusal.detail)
        elif life.tries >= MAX_TRIES or (
            refusal.kind == "mailbox_full"
            and at - life.created_at > MAILBOX_FULL_FOR.total_seconds()
        ):
            life.happened(Event.Kind.FAILED, at, {"reason": "exhausted", "detail": ""})
            self._fail(life, at, Reason.EXHAUSTED.value, refusal.detail)
        else:
            life.reason, life.reason_detail = Reason.TEMPORARY.value, refusal.detail
            life.due_at = min(at + self._delay(life, refusal), life.expires_at)
            self._claim_at(life, life.due_at + self._lag(life) / 5)

    def _wait(self, life: Life, at: float, why: str, *, is_soon: bool) -> None:
        """Nobody can take it."""
        if life.reason != Reason.NO_SENDER:
            life.happened(Event.Kind.WAITS_FOR_SENDER, at, {"why": why})
        life.reason, life.reason_detail, life.claims = Reason.NO_SENDER.value, why[:500], 0
        rest = 20.0 if is_soon else LOOK_AGAIN
        life.due_at = min(at + rest + self.rng.uniform(0, 2), life.expires_at)
        self._claim_at(life, life.due_at + 0.01)

    def _fail_unsent(self, life: Life, at: float, reason: Reason, detail: str) -> None:
        life.happened(Event.Kind.FAILED, at, {"reason": reason.value, "detail": detail})
        self._fail(life, at, reason.value, detail or life.reason_detail)

    def _fail(self, life: Life, at: float, reason: str, detail: str) -> None:
        life.status, life.reason, life.reason_detail = "failed", reason, detail
        life.finished_at = at
        self._tell(life, "message.failed", at)
        again_at = at + self.rng.uniform(900, 20_000)
        is_lucky = life.resent_at is None and self.rng.random() < 0.04
        if reason in RESENT_AGAIN and is_lucky and again_at < self.now:
            self._at(again_at, self.resend, life)
        else:
            self._end(life)

    def _prove(self, life: Life, at: float) -> None:
        """The provider was asked, and has it."""
        life.happened(Event.Kind.LATE_SUCCESS, at, {"from": "unknown"})
        attempt = life.attempts[-1]
        player = next(p for p in self.pools["sms"].players if p.sender.pk == attempt[2])
        self._succeed(life, player.sender.pk, at)
        self._report(life, player, attempt, at)
        self._end(life)

    # --- what follows ----------------------------------------------------------------------------

    def _report(self, life: Life, player: Player, attempt: list[object], at: float) -> None:
        adapter, sender = player.sender.adapter, player.sender
        for told in providers.reports(
            adapter, is_bulk=life.lane == "bulk", is_last=life.is_last, rng=self.rng
        ):
            when = at + told.after
            heard_at = when + self.rng.uniform(0.2, 3)
            if heard_at > self.now:
                continue
            key = key_of(adapter, attempt[0], told.kind)
            about = "to/0" if adapter != "wechat_official" else ""
            life.news.append(
                (life.id, sender.pk, told.kind, about, when, told.words, key, heard_at)
            )
            if not life.feedback or RANKS.index(told.kind) > RANKS.index(life.feedback):
                life.feedback = told.kind
                self._tell(life, f"message.{told.kind}", heard_at)
            if told.suppress:
                owner = None if told.suppress == "hard_bounce" else life.application_id
                self._suppress(life, heard_at, owner, told.suppress, told.words, sender.name)

    def _suppress(
        self, life: Life, at: float, owner: int | None, reason: str, note: str, source: str
    ) -> None:
        if life.to.address in self.suppressed:
            return
        self.suppressed[life.to.address] = (at, owner)
        self.archive.suppressions.rows.append(
            (life.text.channel, life.to.address, owner, reason, note, source, at, None)
        )

    def _is_suppressed(self, life: Life, at: float) -> bool:
        found = self.suppressed.get(life.to.address)
        return found is not None and found[0] <= at and found[1] in (None, life.application_id)

    def _tell(self, life: Life, event: str, at: float) -> None:
        row = self.listeners.tell(life, event, at)
        if row is not None:
            self.archive.deliveries.rows.append(row)

    def _end(self, life: Life) -> None:
        life.is_over = True
        self.archive.keep(life)

    # --- time ------------------------------------------------------------------------------------

    def _at(self, moment: float, step: Step, life: Life) -> None:
        heapq.heappush(self._steps, (moment, next(self._count), step, life))

    def _claim_at(self, life: Life, moment: float) -> None:
        """At the latest now, if it is due by then: nothing is left that should be under way."""
        if life.due_at <= self.now:
            moment = min(moment, self.now)
        self._at(moment, self.claim, life)

    def _lag(self, life: Life) -> float:
        """From being due to a worker: short, and now and then not."""
        rng, middle = self.rng, LAGS[life.lane]
        lag = middle * (0.4 + rng.expovariate(1.6))
        return lag + rng.expovariate(1 / 12) if rng.random() < 0.006 else lag

    def _delay(self, life: Life, refusal: Refusal) -> float:
        """As `messaging.retries` says, by our own dice."""
        floor, base, cap = settings.RETRIES[life.text.channel, life.lane]
        least = max(floor, refusal.retry_after or 0.0)
        return float(least + self.rng.uniform(0, min(cap, base * 2 ** min(life.tries - 1, 20))))


def moment_told(at: float) -> str:
    """As the API writes times."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")

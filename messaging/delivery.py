"""Claim a batch, give it senders, hand it over, record what came of it.

Nothing is held across a network call: the start marks of a group are committed, the group is handed
over, and its outcomes are committed together with the next group's marks. A worker that dies leaves
at most one group without outcomes, which the sweep finds.
"""

import os
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from core.clock import Clock
from core.masking import mask_addresses
from core.secrets import UnreadableSecret
from messaging import doorbell, metrics, sender_health, sender_pool, states
from messaging.attempts import Job, Outcome, close_attempts, start_attempts, word_of
from messaging.channels.base import (
    ChannelAdapter,
    DeliveryError,
    Outbound,
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    SenderFailure,
    content_from_json,
)
from messaging.channels.registry import adapter_for, close_idle
from messaging.models import Attempt, Lane, Message, Policy, Reason, Sender
from messaging.retries import BACKOFF
from messaging.sender_health import Health
from messaging.sender_pool import Wish
from messaging.sender_quotas import give_back
from messaging.states import Claim

log = structlog.get_logger(__name__)

BATCH = 100
# Outcomes are committed at the latest after this many messages, and about this many seconds.
GROUP = 10
GROUP_SECONDS = 0.05
# A drain works for this long and rings again, so that no lane holds a worker for good.
SLICE_SECONDS: dict[str, float] = {Lane.HIGH: 10.0, Lane.NORMAL: 5.0, Lane.BULK: 2.0}
# A full mailbox may be emptied; after a day nobody expects it.
MAILBOX_FULL_FOR = timedelta(hours=24)

# Set when the process is about to end: drains hand their claims back and stop.
stopping = threading.Event()


def drain(*, channel: str, lane: str, clock: Clock) -> int:
    """Hand over what is due in one lane until nothing is, or the slice is over. Returns how many
    messages were claimed. `clock` is the database's."""
    ends_at = time.monotonic() + SLICE_SECONDS[lane]
    pace: dict[int, float] = {}
    health = Health()
    total = 0
    while not stopping.is_set():
        lease = timedelta(seconds=settings.LEASE_SECONDS)
        claimed = states.claim_due(
            channel=channel, lane=lane, limit=BATCH, now=clock(), lease=lease
        )
        total += claimed.count
        is_full = claimed.count == BATCH
        if is_full:
            # There is probably more: idle workers join in while this one sends.
            doorbell.ring(channel=channel, lane=lane)
        if claimed.claims:
            batch = _Batch(
                channel=channel, lane=lane, clock=clock, ends_at=ends_at, pace=pace, health=health
            )
            batch.run(claimed.claims)
        if not is_full or time.monotonic() >= ends_at:
            break
    health.flush(now=clock())
    close_idle()
    return total


class _Batch:
    """The claims of one round, and everything that is known only while they are sent."""

    def __init__(
        self,
        *,
        channel: str,
        lane: str,
        clock: Clock,
        ends_at: float,
        pace: dict[int, float],
        health: Health,
    ) -> None:
        self.channel = channel
        self.lane = lane
        self.clock = clock
        self.ends_at = ends_at
        self.held_since = time.monotonic()
        # Asked for here: at import it would be the parent's id, the same for all its children.
        self.worker = f"{socket.gethostname()}:{os.getpid()}"[:100]
        self.pool = sender_pool.Pool(channel=channel, now=clock())
        self.health = health
        self.benched: set[int] = set()
        # Senders that failed a message in this round, by message.
        self.never: dict[UUID, set[int]] = defaultdict(set)
        self.adapters: dict[int, ChannelAdapter] = {}
        # Claims whose sender failed in this round.
        self.again: list[Claim] = []
        # Seconds that a hand-over took lately, by sender. The drain's: batch after batch.
        self.pace = pace

    def run(self, claims: list[Claim]) -> None:
        waiting = claims
        while waiting:
            jobs = self._allot(waiting)
            self.again = []
            self._work(jobs)
            waiting = self.again
            if waiting:
                self.pool.refresh(now=self.clock())

    def _allot(self, claims: list[Claim]) -> deque[Job]:
        """Give each claim a sender; those that get none go back with the reason."""
        now = self.clock()
        wishes = [
            Wish(c.message.application_id, never=frozenset(self.never.get(c.message.pk, ())))
            for c in claims
        ]
        allotment = self.pool.allot(wishes, now=now)
        jobs: list[Job] = []
        without: dict[Wish, list[Claim]] = defaultdict(list)
        for claim, wish, sender, decision in zip(
            claims, wishes, allotment.senders, allotment.decisions, strict=True
        ):
            if sender is not None:
                jobs.append(Job(claim, sender, decision))
            else:
                without[wish].append(claim)
        for wish, stranded in without.items():
            why = mask_addresses(self.pool.why_nobody(wish))
            with transaction.atomic():
                states.note_waiting(stranded, details={"why": why}, now=now)
                for claim in stranded:
                    states.put_back(
                        claim,
                        reason=Reason.NO_SENDER,
                        detail=why,
                        due_at=allotment.look_again_at or now + sender_pool.LOOK_AGAIN,
                        tries=claim.message.tries,
                    )
        # One sender's messages follow each other, so that its connection is used without pauses.
        return deque(sorted(jobs, key=lambda job: job.sender.pk))

    def _work(self, jobs: deque[Job]) -> None:
        """Hand over `jobs`. Claims whose sender failed are left in `again`: they get another."""
        outcomes: list[Outcome] = []
        while jobs:
            if stopping.is_set() or time.monotonic() >= self.ends_at:
                self._commit(outcomes, [])
                self._release(jobs)
                return
            group = self._still_ours(self._next_group(jobs), jobs)
            attempts = self._commit(outcomes, group)
            outcomes = self._hand_over(list(zip(group, attempts, strict=True)))
            self.again += [
                outcome.job.claim
                for outcome in outcomes
                if outcome.result is None or isinstance(outcome.result, SenderFailure)
            ]
        self._commit(outcomes, [])

    def _next_group(self, jobs: deque[Job]) -> list[Job]:
        """The next few jobs of one sender. Jobs of a benched sender are passed to `again`."""
        group: list[Job] = []
        room = GROUP
        while jobs:
            job = jobs[0]
            room = min(room, self._group_size(job))
            if len(group) >= room or (group and job.sender.pk != group[0].sender.pk):
                break
            jobs.popleft()
            if job.sender.pk in self.benched:
                self.again.append(job.claim)
                give_back(job.sender, 1, now=self.clock())
            else:
                group.append(job)
        return group

    def _group_size(self, job: Job) -> int:
        """1 where each outcome counts or the provider is slow, so that little is ever in doubt."""
        if self.lane == Lane.HIGH or job.claim.message.policy == Policy.AT_MOST_ONCE:
            return 1
        pace = self.pace.get(job.sender.pk)
        return 1 if pace is None else max(1, min(GROUP, int(GROUP_SECONDS / max(pace, 1e-6))))

    def _still_ours(self, group: list[Job], jobs: deque[Job]) -> list[Job]:
        """Renew the leases at half time, and drop what was given to others meanwhile."""
        lease = settings.LEASE_SECONDS
        if time.monotonic() - self.held_since < lease / 2:
            return group
        self.held_since = time.monotonic()
        held = [*(job.claim for job in (*group, *jobs)), *self.again]
        kept = states.renew_leases(held, now=self.clock(), lease=timedelta(seconds=lease))
        if len(kept) < len(held):
            log.warning("leases_lost", count=len(held) - len(kept))
        ours = {claim.message.pk for claim in kept}
        remaining = [job for job in jobs if job.claim.message.pk in ours]
        jobs.clear()
        jobs.extend(remaining)
        self.again = [claim for claim in self.again if claim.message.pk in ours]
        return [job for job in group if job.claim.message.pk in ours]

    def _hand_over(self, group: list[tuple[Job, Attempt]]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        has_failed = False
        for job, attempt in group:
            if has_failed:
                outcomes.append(Outcome(job, attempt, None, self.clock()))
                continue
            started = time.monotonic()
            result = self._call(job, attempt)
            took = time.monotonic() - started
            before = self.pace.get(job.sender.pk, took)
            self.pace[job.sender.pk] = (before + took) / 2
            metrics.HAND_OVER_SECONDS.labels(self.channel, job.sender.name).observe(took)
            has_failed = isinstance(result, SenderFailure)
            outcomes.append(Outcome(job, attempt, result, self.clock()))
        return outcomes

    def _call(self, job: Job, attempt: Attempt) -> Receipt | DeliveryError:
        """One hand-over. Whatever the adapter raises that is no `DeliveryError` leaves it open
        whether the provider has the message."""
        message = job.claim.message
        try:
            outbound = Outbound(
                attempt_id=str(attempt.pk),
                message_id=message_id_header(message),
                content=content_from_json(message.channel, message.content),
            )
        except TypeError as error:
            return PermanentFailure("rejected", phase="content", words=str(error)[:200])
        try:
            adapter = self._adapter(job.sender)
        except SenderFailure as error:
            return error
        try:
            return adapter.send(outbound)
        except DeliveryError as error:
            return error
        except Exception as error:
            log.exception("adapter_broke", adapter=adapter.name, sender=job.sender.name)
            adapter.close()
            return OutcomeUnknown("internal_error", words=type(error).__name__)

    def _adapter(self, sender: Sender) -> ChannelAdapter:
        """Asked for once a batch: opening the credentials costs more than looking. Raises
        `SenderFailure`."""
        if sender.pk not in self.adapters:
            try:
                self.adapters[sender.pk] = adapter_for(sender.account(), sender.adapter)
            except UnreadableSecret as error:
                raise SenderFailure("misconfigured", phase="configure", words=str(error)) from error
            except KeyError as error:
                words = f"There is no adapter {sender.adapter!r}."
                raise SenderFailure("misconfigured", phase="configure", words=words) from error
        return self.adapters[sender.pk]

    def _release(self, jobs: Iterable[Job]) -> None:
        """Hand back what this drain will not get to."""
        by_sender: dict[int, list[Job]] = defaultdict(list)
        for job in jobs:
            by_sender[job.sender.pk].append(job)
        for unused in by_sender.values():
            give_back(unused[0].sender, len(unused), now=self.clock())
            sender_health.release_probe(unused[0].sender)
        states.release([*(job.claim for job in jobs), *self.again], now=self.clock())
        self.again = []
        doorbell.ring(channel=self.channel, lane=self.lane)

    # --- records ---------------------------------------------------------------------------------

    def _commit(self, outcomes: list[Outcome], group: list[Job]) -> list[Attempt]:
        """One commit: what came of the last group, and the start marks of the next."""
        now = self.clock()
        with transaction.atomic():
            if outcomes:
                self._record(outcomes)
            attempts = start_attempts(group, worker=self.worker, now=now)
        for outcome in outcomes:
            self._count(outcome)
        return attempts

    def _record(self, outcomes: list[Outcome]) -> None:
        close_attempts(outcomes)
        taken: dict[int, list[Outcome]] = defaultdict(list)
        for outcome in outcomes:
            if isinstance(outcome.result, Receipt):
                taken[outcome.job.sender.pk].append(outcome)
            elif isinstance(outcome.result, SenderFailure):
                self.never[outcome.job.claim.message.pk].add(outcome.job.sender.pk)
            elif outcome.result is not None:
                self._move(outcome, outcome.result)
        for sender_id, done in taken.items():
            ids = [outcome.job.claim.message.pk for outcome in done]
            if time.monotonic() - self.held_since > settings.LEASE_SECONDS:
                states.note_late(ids, now=done[-1].at)
            states.succeed(ids, sender_id=sender_id, now=done[-1].at)
        # After the messages' rows, see `Health`.
        for outcome in outcomes:
            self._judge(outcome)

    def _judge(self, outcome: Outcome) -> None:
        """What the outcome says of the sender. A message's own failure says that it works."""
        sender = outcome.job.sender
        if outcome.result is None or isinstance(outcome.result, SenderFailure):
            give_back(sender, 1, now=outcome.at)
        if isinstance(outcome.result, SenderFailure | OutcomeUnknown):
            if self.health.failed(sender, outcome.result, now=outcome.at):
                self.benched.add(sender.pk)
        elif outcome.result is not None:
            self.health.worked(sender, now=outcome.at)

    def _move(self, outcome: Outcome, error: DeliveryError) -> None:
        """Where a failure that is charged to the message takes it."""
        claim, sender_id, now = outcome.job.claim, outcome.job.sender.pk, outcome.at
        message = claim.message
        tries = message.tries + 1
        detail = mask_addresses(str(error))
        if isinstance(error, OutcomeUnknown):
            states.doubt(claim, detail=detail, tries=tries, sender_id=sender_id, now=now)
        elif isinstance(error, PermanentFailure):
            states.fail(
                claim, reason=error.kind, detail=detail, tries=tries, sender_id=sender_id, now=now
            )
        elif tries >= states.MAX_TRIES or (
            error.kind == "mailbox_full" and now - message.created_at > MAILBOX_FULL_FOR
        ):
            states.fail(
                claim,
                reason=Reason.EXHAUSTED,
                detail=detail,
                tries=tries,
                sender_id=sender_id,
                now=now,
            )
        else:
            delay = BACKOFF[message.lane].delay(message.tries, retry_after=error.retry_after)
            states.put_back(
                claim,
                reason=Reason.TEMPORARY,
                detail=detail,
                due_at=now + delay,
                tries=tries,
                sender_id=sender_id,
            )

    def _count(self, outcome: Outcome) -> None:
        message, sender = outcome.job.claim.message, outcome.job.sender
        word = word_of(outcome.result)
        metrics.ATTEMPTS.labels(self.channel, sender.name, word).inc()
        if word == Attempt.Outcome.ACCEPTED:
            metrics.LATENCY_SECONDS.labels(self.channel, self.lane).observe(
                max(0.0, (outcome.at - message.created_at).total_seconds())
            )
        # A message that went well has its row; a line for each would cost more than sending it.
        level = "debug" if word == Attempt.Outcome.ACCEPTED else "info"
        getattr(log, level)(
            "attempt_finished",
            message_id=str(message.pk),
            attempt_id=str(outcome.attempt.pk),
            request_id=message.request_id,
            sender=sender.name,
            outcome=word,
        )


def message_id_header(message: Message) -> str:
    """The same at every attempt and with every sender, so that mail clients see one message."""
    return f"<{message.pk}@{settings.MESSAGE_ID_DOMAIN}>"

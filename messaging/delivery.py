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
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction

from core.clock import Clock
from core.masking import mask_addresses
from core.secrets import UnreadableSecret
from messaging import doorbell, metrics, sender_pool, states
from messaging.channels.base import (
    ChannelAdapter,
    DeliveryError,
    Outbound,
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    SenderFailure,
    TemporaryFailure,
    content_from_json,
)
from messaging.channels.registry import adapter_for, close_idle
from messaging.models import Attempt, Lane, Message, Policy, Reason, Sender
from messaging.retries import BACKOFF
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
            batch = _Batch(channel=channel, lane=lane, clock=clock, ends_at=ends_at, pace=pace)
            batch.run(claimed.claims)
        if not is_full or time.monotonic() >= ends_at:
            break
    close_idle()
    return total


@dataclass(frozen=True, slots=True)
class _Job:
    """One claim with the sender it was given, and why that one."""

    claim: Claim
    sender: Sender
    decision: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a job; `result` is None for one that was not handed over at all."""

    job: _Job
    attempt: Attempt
    result: Receipt | DeliveryError | None
    at: datetime


class _Batch:
    """The claims of one round, and everything that is known only while they are sent."""

    def __init__(
        self, *, channel: str, lane: str, clock: Clock, ends_at: float, pace: dict[int, float]
    ) -> None:
        self.channel = channel
        self.lane = lane
        self.clock = clock
        self.ends_at = ends_at
        self.held_since = time.monotonic()
        # Asked for here: at import it would be the parent's id, the same for all its children.
        self.worker = f"{socket.gethostname()}:{os.getpid()}"[:100]
        self.pool = sender_pool.Pool(channel=channel, now=clock())
        self.benched: set[int] = set()
        # Seconds that a hand-over took lately, by sender. The drain's: batch after batch.
        self.pace = pace

    def run(self, claims: list[Claim]) -> None:
        waiting = claims
        while waiting:
            jobs = self._allot(waiting)
            waiting = self._work(jobs)

    def _allot(self, claims: list[Claim]) -> deque[_Job]:
        """Give each claim a sender; those that get none go back with the reason."""
        now = self.clock()
        allotment = self.pool.allot([c.message.application_id for c in claims], now=now)
        jobs: list[_Job] = []
        without: dict[int, list[Claim]] = defaultdict(list)
        for claim, sender, decision in zip(
            claims, allotment.senders, allotment.decisions, strict=True
        ):
            if sender is not None:
                jobs.append(_Job(claim, sender, decision))
            else:
                without[claim.message.application_id].append(claim)
        for application_id, stranded in without.items():
            why = mask_addresses(self.pool.why_nobody(application_id))
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

    def _work(self, jobs: deque[_Job]) -> list[Claim]:
        """Hand over `jobs`. Returns the claims whose sender failed: they get another one."""
        again: list[Claim] = []
        outcomes: list[_Outcome] = []
        while jobs:
            if stopping.is_set() or time.monotonic() >= self.ends_at:
                self._commit(outcomes, [])
                self._release(jobs, again)
                return []
            group = self._next_group(jobs, again)
            attempts = self._commit(outcomes, group)
            outcomes = self._hand_over(list(zip(group, attempts, strict=True)))
            again += [
                outcome.job.claim
                for outcome in outcomes
                if outcome.result is None or isinstance(outcome.result, SenderFailure)
            ]
        self._commit(outcomes, [])
        return again

    def _next_group(self, jobs: deque[_Job], again: list[Claim]) -> list[_Job]:
        """The next few jobs of one sender. Jobs of a benched sender are passed to `again`."""
        group: list[_Job] = []
        while jobs and len(group) < self._group_size(jobs[0]):
            if group and jobs[0].sender.pk != group[0].sender.pk:
                break
            job = jobs.popleft()
            if job.sender.pk in self.benched:
                again.append(job.claim)
                sender_pool.give_back(job.sender, 1, now=self.clock())
            else:
                group.append(job)
        return self._still_ours(group, jobs)

    def _group_size(self, job: _Job) -> int:
        """1 where each outcome counts or the provider is slow, so that little is ever in doubt."""
        if self.lane == Lane.HIGH or job.claim.message.policy == Policy.AT_MOST_ONCE:
            return 1
        pace = self.pace.get(job.sender.pk)
        return 1 if pace is None else max(1, min(GROUP, int(GROUP_SECONDS / max(pace, 1e-6))))

    def _still_ours(self, group: list[_Job], jobs: deque[_Job]) -> list[_Job]:
        """Renew the leases at half time, and drop what was given to others meanwhile."""
        lease = settings.LEASE_SECONDS
        if time.monotonic() - self.held_since < lease / 2:
            return group
        self.held_since = time.monotonic()
        kept = states.renew_leases(
            [job.claim for job in (*group, *jobs)],
            now=self.clock(),
            lease=timedelta(seconds=lease),
        )
        ours = {claim.message.pk for claim in kept}
        lost = [job for job in (*group, *jobs) if job.claim.message.pk not in ours]
        if lost:
            log.warning("leases_lost", count=len(lost))
            remaining = [job for job in jobs if job.claim.message.pk in ours]
            jobs.clear()
            jobs.extend(remaining)
        return [job for job in group if job.claim.message.pk in ours]

    def _hand_over(self, group: list[tuple[_Job, Attempt]]) -> list[_Outcome]:
        outcomes: list[_Outcome] = []
        for job, attempt in group:
            if job.sender.pk in self.benched:
                outcomes.append(_Outcome(job, attempt, None, self.clock()))
                continue
            started = time.monotonic()
            result = _call(job, attempt)
            took = time.monotonic() - started
            before = self.pace.get(job.sender.pk, took)
            self.pace[job.sender.pk] = (before + took) / 2
            metrics.HAND_OVER_SECONDS.labels(self.channel, job.sender.name).observe(took)
            if isinstance(result, SenderFailure):
                self.benched.add(job.sender.pk)
            outcomes.append(_Outcome(job, attempt, result, self.clock()))
        return outcomes

    def _release(self, jobs: Iterable[_Job], again: list[Claim]) -> None:
        by_sender: dict[int, list[_Job]] = defaultdict(list)
        for job in jobs:
            by_sender[job.sender.pk].append(job)
        for unused in by_sender.values():
            sender_pool.give_back(unused[0].sender, len(unused), now=self.clock())
        states.release([*(job.claim for job in jobs), *again], now=self.clock())
        doorbell.ring(channel=self.channel, lane=self.lane)

    # --- records ---------------------------------------------------------------------------------

    def _commit(self, outcomes: list[_Outcome], group: list[_Job]) -> list[Attempt]:
        """One commit: what came of the last group, and the start marks of the next."""
        now = self.clock()
        with transaction.atomic():
            if outcomes:
                self._record(outcomes)
            attempts = [
                Attempt(
                    message=job.claim.message,
                    sender=job.sender,
                    lease_token=job.claim.lease_token,
                    started_at=now,
                    decision=job.decision,
                    worker=self.worker,
                )
                for job in group
            ]
            Attempt.objects.bulk_create(attempts)
        for outcome in outcomes:
            self._count(outcome)
        return attempts

    def _record(self, outcomes: list[_Outcome]) -> None:
        _close_attempts(outcomes)
        taken: dict[int, list[_Outcome]] = defaultdict(list)
        for outcome in outcomes:
            if isinstance(outcome.result, Receipt):
                taken[outcome.job.sender.pk].append(outcome)
            elif isinstance(outcome.result, SenderFailure):
                self.pool.failed(outcome.job.sender, outcome.result, now=outcome.at)
                sender_pool.give_back(outcome.job.sender, 1, now=outcome.at)
            elif outcome.result is None:
                sender_pool.give_back(outcome.job.sender, 1, now=outcome.at)
            else:
                self._move(outcome, outcome.result)
        for sender_id, done in taken.items():
            ids = [outcome.job.claim.message.pk for outcome in done]
            if time.monotonic() - self.held_since > settings.LEASE_SECONDS:
                states.note_late(ids, now=done[-1].at)
            states.succeed(ids, sender_id=sender_id, now=done[-1].at)
            sender_pool.recovered(done[0].job.sender)

    def _move(self, outcome: _Outcome, error: DeliveryError) -> None:
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

    def _count(self, outcome: _Outcome) -> None:
        message, sender = outcome.job.claim.message, outcome.job.sender
        word = _word(outcome.result)
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


def _call(job: _Job, attempt: Attempt) -> Receipt | DeliveryError:
    """One hand-over. Whatever the adapter raises that is no `DeliveryError` leaves it open whether
    the provider has the message."""
    try:
        outbound = Outbound(
            attempt_id=str(attempt.pk),
            message_id=message_id_header(job.claim.message),
            content=content_from_json(job.claim.message.channel, job.claim.message.content),
        )
    except TypeError as error:
        return PermanentFailure("rejected", phase="content", words=str(error)[:200])
    try:
        adapter = _adapter(job.sender)
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


def _adapter(sender: Sender) -> ChannelAdapter:
    """Raises `SenderFailure`."""
    try:
        return adapter_for(sender.account(), sender.adapter)
    except UnreadableSecret as error:
        raise SenderFailure("misconfigured", phase="configure", words=str(error)) from error
    except KeyError as error:
        raise SenderFailure(
            "misconfigured", phase="configure", words=f"There is no adapter {sender.adapter!r}."
        ) from error


def message_id_header(message: Message) -> str:
    """The same at every attempt and with every sender, so that mail clients see one message."""
    return f"<{message.pk}@{settings.MESSAGE_ID_DOMAIN}>"


def _word(result: Receipt | DeliveryError | None) -> str:
    words: dict[type, str] = {
        Receipt: Attempt.Outcome.ACCEPTED,
        TemporaryFailure: Attempt.Outcome.TEMPORARY,
        PermanentFailure: Attempt.Outcome.PERMANENT,
        SenderFailure: Attempt.Outcome.SENDER,
        OutcomeUnknown: Attempt.Outcome.UNKNOWN,
    }
    return words[type(result)] if result is not None else Attempt.Outcome.NOT_SENT


_CLOSED = (
    "finished_at",
    "outcome",
    "unknown_at",
    "kind",
    "phase",
    "provider_code",
    "provider_words",
    "provider_message_id",
    "refused",
)


def _close_attempts(outcomes: list[_Outcome]) -> None:
    """Write the outcomes. `unknown_at` is set once and never cleared."""
    fields: list[Any] = [Attempt._meta.get_field(name) for name in _CLOSED]
    pk = Attempt._meta.pk
    rows = []
    for outcome in outcomes:
        values = _closing_values(outcome)
        row = [
            field.get_db_prep_save(value, connection)
            for field, value in zip(fields, values, strict=True)
        ]
        rows.append([*row, pk.get_db_prep_save(outcome.attempt.pk, connection)])
    assignments = ", ".join(
        "unknown_at = COALESCE(unknown_at, %s)" if name == "unknown_at" else f"{name} = %s"
        for name in _CLOSED
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE messaging_attempt SET {assignments} WHERE id = %s AND outcome = ''",  # noqa: S608
            rows,
        )


def _closing_values(outcome: _Outcome) -> tuple[Any, ...]:
    result = outcome.result
    word = _word(result)
    unknown_at = outcome.at if word == Attempt.Outcome.UNKNOWN else None
    if isinstance(result, Receipt):
        refused = [
            {"recipient": r.position, "code": r.code, "words": mask_addresses(r.words)}
            for r in result.refused
        ]
        told = ("", "", result.code, result.words, result.provider_message_id, refused)
    elif isinstance(result, DeliveryError):
        told = (result.kind, result.phase, result.code, result.words, "", [])
    else:
        told = ("", "", "", "The sender failed on an earlier message of the group.", "", [])
    kind, phase, code, words, provider_id, refused = told
    return (
        outcome.at,
        word,
        unknown_at,
        kind,
        phase,
        code[:60],
        mask_addresses(words)[:500],
        provider_id[:200],
        refused,
    )

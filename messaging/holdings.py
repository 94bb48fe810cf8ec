"""What one drain holds: claims without a sender, and jobs that wait for a connection of theirs."""

import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from core.clock import Clock
from core.crash import crash_at
from core.masking import mask_addresses
from messaging import doorbell, retries, sender_health, sender_quotas, states
from messaging.attempts import Job, senders_in_doubt
from messaging.models import Reason, Sender
from messaging.sender_pool import LOOK_AGAIN, Pool, Wish
from messaging.states import Claim

log = structlog.get_logger(__name__)


class Holdings:
    """Claims move from `waiting` to `jobs` to the hands of a provider; `held` is all of them."""

    def __init__(self, *, channel: str, lane: str, clock: Clock) -> None:
        self.channel = channel
        self.lane = lane
        self.clock = clock
        self.pool = Pool(channel=channel, now=clock())
        self.lease = timedelta(seconds=settings.LEASE_SECONDS)
        # By message: every claim whose lease is ours.
        self.held: dict[UUID, Claim] = {}
        # On the monotonic clock: the leases of all that is held were taken or renewed after this.
        self._held_since = time.monotonic()
        # Some leases were lost, so answers to what is under way may come late.
        self.has_lost = False
        self.waiting: list[Claim] = []
        # By sender id, in the order in which they are to go.
        self.jobs: dict[int, deque[Job]] = {}
        # By message: senders that failed it here, and those that had it and never answered.
        self._never: defaultdict[UUID, set[int]] = defaultdict(set)
        self._rather_not: dict[UUID, set[int]] = {}

    @property
    def queued(self) -> int:
        """Jobs that wait for a connection."""
        return sum(map(len, self.jobs.values()))

    def are_safe(self) -> bool:
        """False once leases may have run out: then nothing may be handed over. Any thread."""
        return time.monotonic() - self._held_since < self.lease.total_seconds()

    def claim(self, limit: int) -> int:
        """Claim what is due. Returns how many were; of those, what expired is not held."""
        started = time.monotonic()
        claimed = states.claim_due(
            channel=self.channel, lane=self.lane, limit=limit, now=self.clock(), lease=self.lease
        )
        if __debug__ and claimed.count:
            crash_at("after_claim")
        if not self.held:
            self._held_since = started
        self.held |= {claim.message.pk: claim for claim in claimed.claims}
        self.waiting += claimed.claims
        resent = [c.message.pk for c in claimed.claims if c.message.unknown_resends]
        if resent:
            self._rather_not |= senders_in_doubt(resent)
        return claimed.count

    def allot(self, *, busy: Collection[Sender], look_again: timedelta) -> None:
        """Give each waiting claim a sender; those that get none go back with the reason, to be
        looked at again after `look_again` if that is only because of `busy` senders."""
        now = self.clock()
        self.pool.refresh(now=now)
        claims, self.waiting = self.waiting, []
        wishes = [self._wish(claim) for claim in claims]
        allotment = self.pool.allot(
            wishes, now=now, busy={sender.pk: "does not answer" for sender in busy}
        )
        if __debug__:
            crash_at("after_allot")
        stranded: dict[Wish, list[Claim]] = defaultdict(list)
        for claim, wish, sender, decision in zip(
            claims, wishes, allotment.senders, allotment.decisions, strict=True
        ):
            if sender is not None:
                self.jobs.setdefault(sender.pk, deque()).append(Job(claim, sender, decision))
            else:
                stranded[wish].append(claim)
        latest = allotment.look_again_at or now + LOOK_AGAIN
        if busy:
            latest = min(latest, now + look_again)
        for wish, without in stranded.items():
            # Who failed once may do better soon, if it was not benched for it.
            soon = retries.delay(self.channel, self.lane, 0) if wish.never else LOOK_AGAIN
            due_at = min(latest, now + soon)
            why = mask_addresses(self.pool.why_nobody(wish))
            with transaction.atomic():
                states.note_waiting(without, details={"why": why}, now=now)
                for claim in without:
                    states.put_back(
                        claim,
                        reason=Reason.NO_SENDER,
                        detail=why,
                        due_at=due_at,
                        tries=claim.message.tries,
                    )
            self.forget(without)

    def _wish(self, claim: Claim) -> Wish:
        pk = claim.message.pk
        return Wish(
            claim.message.application_id,
            never=frozenset(self._never.get(pk, ())),
            rather_not=frozenset(self._rather_not.get(pk, ())),
        )

    def again(self, jobs: Collection[Job], *, is_sender_at_fault: bool = False) -> None:
        """Their sender failed, or their turn did not come: they need one anew."""
        unused: dict[int, list[Job]] = defaultdict(list)
        for job in jobs:
            pk = job.claim.message.pk
            unused[job.sender.pk].append(job)
            if pk in self.held:
                self.waiting.append(job.claim)
                if is_sender_at_fault:
                    self._never[pk].add(job.sender.pk)
        for sender, count in [(mine[0].sender, len(mine)) for mine in unused.values()]:
            sender_quotas.give_back(sender, count, now=self.clock())
            if not is_sender_at_fault:
                sender_health.release_probe(sender)

    def take_away(self, sender: Sender) -> None:
        """What waits for `sender` gets another one."""
        self.again(self.jobs.pop(sender.pk, ()))

    def renew(self) -> None:
        """Renew the leases in time, and drop what was given to others meanwhile."""
        started = time.monotonic()
        if not self.held or started - self._held_since < self.lease.total_seconds() / 3:
            return
        ours = states.renew_leases(list(self.held.values()), now=self.clock(), lease=self.lease)
        lost = self.held.keys() - ours
        self._held_since = started
        if not lost:
            return
        log.warning("leases_lost", count=len(lost))
        self.has_lost = True
        self.forget([self.held[pk] for pk in lost])
        self.waiting = [claim for claim in self.waiting if claim.message.pk in self.held]
        for sender_id, jobs in self.jobs.items():
            self.jobs[sender_id] = deque(j for j in jobs if j.claim.message.pk in self.held)

    def forget(self, claims: Iterable[Claim]) -> None:
        """They are over, or not ours any more."""
        for claim in claims:
            self.held.pop(claim.message.pk, None)
            self._never.pop(claim.message.pk, None)
            self._rather_not.pop(claim.message.pk, None)

    def release(self) -> None:
        """Hand back what this drain will not get to."""
        for sender in self.pool.senders():
            self.take_away(sender)
        claims, self.waiting = self.waiting, []
        if claims:
            states.release(claims, now=self.clock())
            self.forget(claims)
            doorbell.ring(channel=self.channel, lane=self.lane)

    def let_go(self) -> None:
        """Forget without a word what no provider has, while the database is away: the leases run
        out."""
        gone = [*self.waiting, *(job.claim for jobs in self.jobs.values() for job in jobs)]
        self.waiting = []
        self.jobs.clear()
        self.forget(gone)

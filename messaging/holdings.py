"""What one drain holds: claims without a sender, and jobs that wait for a connection of theirs."""

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from core.clock import Clock
from core.crash import crash_at
from core.masking import mask_addresses
from messaging import doorbell, retries, sender_health, sender_quotas, states
from messaging.attempts import Job, senders_in_doubt
from messaging.leaving_out import leave_out
from messaging.models import Reason
from messaging.sender_pool import LOOK_AGAIN, Pool, Wish
from messaging.states import Claim

log = structlog.get_logger(__name__)


# Claims without an outcome after which a message is worked alone: if it kills its workers, it takes
# no others along.
SUSPECT = 3
# Senders, their limits and health are read again after so many seconds; quotas hold all the same.
READ_POOL_EVERY = 0.25
# Messages a second that look again after nobody could take them.
LOOKS_A_SECOND = 500


class Holdings:
    """Claims move from `waiting` to `jobs` to the hands of a provider; `held` is all of them."""

    def __init__(self, *, channel: str, lane: str, clock: Clock) -> None:
        self.channel = channel
        self.lane = lane
        self.clock = clock
        self.pool = Pool(channel=channel, now=clock())
        # On the monotonic clock. 0: something was given back since that the pool does not know of.
        self._pool_read_at = time.monotonic()
        self._plain_wishes: dict[tuple[int, int | None], Wish] = {}
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
        # Messages in the hands of providers.
        self.under_way: set[UUID] = set()
        # Jobs whose quota could not be given back yet.
        self.owed: list[Job] = []
        # How many went back in this drain because nobody could take them.
        self.stranded = 0
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
        claims = claimed.claims
        suspects = [claim for claim in claims if claim.message.claims >= SUSPECT]
        if suspects:
            states.release([c for c in claims if c is not suspects[0]], now=self.clock())
            claims = suspects[:1]
        claims = leave_out(claims, channel=self.channel, now=self.clock())
        self.held |= {claim.message.pk: claim for claim in claims}
        self.waiting += claims
        resent = [claim.message.pk for claim in claims if claim.message.unknown_resends]
        if resent:
            self._rather_not |= senders_in_doubt(resent)
        return claimed.count

    def allot(
        self, *, busy: Mapping[int, str], capacity: Mapping[int, int], look_again: timedelta
    ) -> None:
        """Give each waiting claim a sender. Those for whom somebody has `capacity` soon go on
        waiting; the others go back with the reason, to be looked at again after `look_again` if
        that is only because of `busy` senders."""
        now = self.clock()
        if time.monotonic() - self._pool_read_at > READ_POOL_EVERY:
            self.pool.refresh(now=now)
            self._pool_read_at = time.monotonic()
        claims, wishes = self.waiting, [self._wish(claim) for claim in self.waiting]
        allotment = self.pool.allot(wishes, now=now, busy=busy, capacity=capacity)
        if __debug__:
            crash_at("after_allot")
        self.waiting = []
        stranded: dict[Wish, list[Claim]] = defaultdict(list)
        for claim, wish, sender, decision in zip(
            claims, wishes, allotment.senders, allotment.decisions, strict=True
        ):
            if sender is not None:
                job = Job(claim, sender, decision, reserved_at=now)
                self.jobs.setdefault(sender.pk, deque()).append(job)
            elif self.pool.is_soon_possible(wish):
                self.waiting.append(claim)
            else:
                stranded[wish].append(claim)
        latest = allotment.look_again_at or now + LOOK_AGAIN
        if busy:
            latest = min(latest, now + look_again)
        for wish, without in stranded.items():
            self._put_back(wish, without, latest)

    def _put_back(self, wish: Wish, claims: list[Claim], latest: datetime) -> None:
        """Nobody can take them. A large backlog is spread over the time after `latest`."""
        now = self.clock()
        # Who failed once may do better soon, if it was not benched for it.
        soon = retries.delay(self.channel, self.lane, 0) if wish.never else LOOK_AGAIN
        self.stranded += len(claims)
        spread = timedelta(seconds=self.stranded / LOOKS_A_SECOND)
        why = mask_addresses(self.pool.why_nobody(wish))
        with transaction.atomic():
            states.note_waiting(claims, details={"why": why}, now=now)
            states.put_back_together(
                claims,
                reason=Reason.NO_SENDER,
                detail=why,
                due_at=min(latest, now + soon) + spread,
            )
        self.forget(claims)

    def _wish(self, claim: Claim) -> Wish:
        pk, application_id = claim.message.pk, claim.message.application_id
        only = claim.message.only_sender_id
        if pk not in self._never and pk not in self._rather_not:
            # The same for nearly all of an application.
            wish = Wish(application_id, only=only)
            return self._plain_wishes.setdefault((application_id, only), wish)
        return Wish(
            application_id,
            never=frozenset(self._never.get(pk, ())),
            rather_not=frozenset(self._rather_not.get(pk, ())),
            only=only,
        )

    def again(self, jobs: Iterable[Job], *, is_sender_at_fault: bool = False) -> None:
        """Their sender failed, or their turn did not come: they need one anew."""
        unused: defaultdict[tuple[int, datetime], list[Job]] = defaultdict(list)
        for job in jobs:
            pk = job.claim.message.pk
            self.under_way.discard(pk)
            unused[job.sender.pk, job.reserved_at].append(job)
            if self.held.get(pk) is job.claim:
                self.waiting.append(job.claim)
                if is_sender_at_fault:
                    self._never[pk].add(job.sender.pk)
        if unused:
            self._pool_read_at = 0.0
        for mine in unused.values():
            sender = mine[0].sender
            sender_quotas.give_back(sender, len(mine), now=mine[0].reserved_at)
            if not is_sender_at_fault:
                sender_health.release_probe(sender)

    def take_away(self, sender_id: int) -> None:
        """What waits for that sender gets another one."""
        self.again(self.jobs.pop(sender_id, ()))

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
        for sender_id, jobs in list(self.jobs.items()):
            self.jobs[sender_id] = deque(j for j in jobs if j.claim.message.pk in self.held)
            self.again([job for job in jobs if job.claim.message.pk in lost])

    def forget(self, claims: Iterable[Claim]) -> None:
        """They are over, or not ours any more."""
        for claim in claims:
            pk = claim.message.pk
            self.under_way.discard(pk)
            # This drain may hold the message anew, under another token.
            if self.held.get(pk) is claim:
                del self.held[pk]
                self._never.pop(pk, None)
                self._rather_not.pop(pk, None)

    def release(self) -> None:
        """Hand back what this drain will not get to."""
        if self.owed:
            self.again(self.owed)
            self.owed = []
        for sender_id in list(self.jobs):
            self.take_away(sender_id)
        if self.waiting:
            states.release(self.waiting, now=self.clock())
            self.forget(self.waiting)
            self.waiting = []
            doorbell.ring(channel=self.channel, lane=self.lane)

    def let_go(self) -> None:
        """While the database is away: forget what no provider has. Its leases run out; its quota is
        given back when the database is there again."""
        self.owed += [job for jobs in self.jobs.values() for job in jobs]
        self.jobs.clear()
        self.waiting = []
        self.forget([claim for pk, claim in self.held.items() if pk not in self.under_way])

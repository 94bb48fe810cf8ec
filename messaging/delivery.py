"""Claim a batch, give it senders, hand it over, record what came of it.

One thread, the drain's, owns the database; the threads of `lines` own the connections to providers.
Nothing is held across a network call: the marks of a few small groups are committed together with
the outcomes that have come, the groups are handed over, and so on. A worker that dies leaves at
most the groups under way without outcomes, which the sweep finds.
"""

import os
import socket
import threading
import time
from collections.abc import Sequence
from datetime import timedelta

import structlog
from django.db import connection, transaction

from core.clock import Clock
from core.crash import crash_at
from core.flags import SharedFlag
from messaging import doorbell, states
from messaging.attempts import Job, Mark, Outcome, new_marks
from messaging.channels.base import ChannelAdapter, SenderFailure
from messaging.channels.registry import connections
from messaging.holdings import Holdings
from messaging.lines import Line, Lines
from messaging.models import Lane
from messaging.outcomes import DATABASE_AWAY, commit, count
from messaging.portions import GROUP, Portion, Portions
from messaging.sender_health import Health

log = structlog.get_logger(__name__)

# How many messages one claim takes. To give them senders costs the same, however many there are.
BATCH: dict[str, int] = {Lane.HIGH: 100, Lane.NORMAL: 100, Lane.BULK: 250}
# A drain works for this long and rings again, so that no lane holds a worker for good.
SLICE_SECONDS: dict[str, float] = {Lane.HIGH: 10.0, Lane.NORMAL: 5.0, Lane.BULK: 2.0}
# How long an outcome may wait for others, to be committed together.
LINGER: dict[str, float] = {Lane.HIGH: 0.0, Lane.NORMAL: 0.005, Lane.BULK: 0.008}
# In this last part of it nothing new is claimed, so that little has to be handed back at its end.
LAST_PART = 0.15
# How often the others look whether `high` has something due, and for how long they then do that.
LOOK_EVERY, URGENT_SECONDS = 0.1, 1.0
# Those that wait for a sender who is busy ask again after so long.
ALLOT_EVERY = 0.05
# A provider that owes an answer for longer gets nothing new; what waits for it goes elsewhere.
SILENT_SECONDS = 5.0
# A drain that has nothing to do but wait for late answers leaves that to a thread after so long.
PATIENCE = 2.0
# Between two tries to write outcomes down while the database is away, and until they are given up:
# then their attempts stay without an outcome, and the sweep finds them. Quota that was not used is
# worth a shorter wait.
DATABASE_REST, DATABASE_PATIENCE, OWED_PATIENCE = 0.5, 600.0, 30.0

# Set when the process is about to end: drains hand back what they hold. Children see it too.
stopping = SharedFlag()
_late: set[threading.Thread] = set()


def drain(*, channel: str, lane: str, clock: Clock, seconds: float | None = None) -> int:
    """Hand over what is due in one lane until nothing is, or the slice is over. Returns how many
    messages were claimed. `clock` is the database's; the lane says how many seconds a slice has."""
    work = _Drain(channel=channel, lane=lane, clock=clock, seconds=seconds or SLICE_SECONDS[lane])
    work.run()
    connections().close_idle()
    return work.total


def wait_for_late_answers(*, seconds: float) -> None:
    """Before the process ends: let the threads finish that wait for providers."""
    ends_at = time.monotonic() + seconds
    for thread in list(_late):
        thread.join(max(0.0, ends_at - time.monotonic()))


class _Drain:
    def __init__(self, *, channel: str, lane: str, clock: Clock, seconds: float) -> None:
        self.channel = channel
        self.lane = lane
        self.clock = clock
        self.ends_at = time.monotonic() + seconds
        self.claims_until = self.ends_at - seconds * LAST_PART
        self.looked_at = time.monotonic()
        self.allotted_at = 0.0
        # Asked for here: at import it would be the parent's id, the same for all its children.
        self.worker = f"{socket.gethostname()}:{os.getpid()}"[:100]
        self.holdings = Holdings(channel=channel, lane=lane, clock=clock)
        self.health = Health()
        self.lines = Lines(channel=channel, clock=clock, is_safe=self.holdings.are_safe)
        self.portions = Portions(lane=lane, holdings=self.holdings, lines=self.lines)
        # What came of groups that are through, not written down yet.
        self.outcomes: list[Outcome] = []
        self.total = 0
        # Whether the last claim was full, so that there is probably more.
        self.is_more = True
        self.failure: Exception | None = None
        self.away_since: float | None = None

    def run(self) -> None:
        """Until nothing is left that is this drain's. Late answers may be left to a thread, which
        comes here again. Raises what went wrong, after everything under way is through."""
        idle_since: float | None = None
        while True:
            try:
                if self._is_open():
                    self._let_urgent_pass()
                    self._take_more()
                else:
                    self.holdings.release()
                self._go_on()
            except DATABASE_AWAY as error:
                self._let_go(error)
            except Exception as error:
                if self.failure is not None:
                    raise
                log.exception("drain_failed", channel=self.channel, lane=self.lane)
                self.failure, self.ends_at = error, 0.0
            if self.outcomes:
                continue
            if self.holdings.queued or self.holdings.waiting or self._may_take_more():
                idle_since = None
            elif not self.lines.are_busy:
                break
            else:
                idle_since = idle_since or time.monotonic()
                if time.monotonic() - idle_since > PATIENCE and self._leave_to_thread():
                    return
            if self.lines.are_busy or self.holdings.queued or self.holdings.waiting:
                # Without a line of its own, this drain waits for one that others have.
                self.outcomes = self.lines.collect(
                    seconds=0.5 if self.lines.are_busy else 0.02, linger=LINGER[self.lane]
                )
        with transaction.atomic():
            self.health.flush(now=self.clock())
        if self.failure is not None:
            raise self.failure

    def _is_open(self) -> bool:
        return time.monotonic() < self.ends_at and not stopping.is_set()

    def _may_take_more(self) -> bool:
        return self.is_more and self._is_open() and time.monotonic() < self.claims_until

    def _let_urgent_pass(self) -> None:
        """Whatever this drain does, `high` does not wait until its slice is over."""
        if self.lane == Lane.HIGH or time.monotonic() - self.looked_at < LOOK_EVERY:
            return
        if states.is_due(channel=self.channel, lane=Lane.HIGH, now=self.clock()):
            drain(channel=self.channel, lane=Lane.HIGH, clock=self.clock, seconds=URGENT_SECONDS)
        self.looked_at = time.monotonic()

    def _take_more(self) -> None:
        """Keep as much queued as is under way, and give what has no sender one."""
        silent = self._silent_senders()
        for sender_id in silent:
            self.holdings.take_away(sender_id)
        capacity = self.portions.capacity()
        is_room = any(capacity.values()) or not capacity
        claimed = 0
        if (
            self._may_take_more()
            and is_room
            and self.portions.startable() <= max(GROUP, self.lines.total())
        ):
            claimed = self.holdings.claim(BATCH[self.lane])
            self.total += claimed
            self.is_more = self.portions.has_more = claimed == BATCH[self.lane]
        # Those that wait for a sender who is busy need no answer at every turn.
        is_time = claimed or time.monotonic() - self.allotted_at > ALLOT_EVERY
        if not (self.holdings.waiting and is_time):
            return
        self.allotted_at = time.monotonic()
        self.portions.accounts.clear()
        out = dict.fromkeys(self.lines.out, "failed just now") | silent
        look_again = timedelta(seconds=SILENT_SECONDS)
        self.holdings.allot(busy=out, capacity=capacity, look_again=look_again)
        if self.is_more and self.holdings.queued:
            # Idle workers join in while this one sends.
            doorbell.ring(channel=self.channel, lane=self.lane)

    def _silent_senders(self) -> dict[int, str]:
        before = time.monotonic() - SILENT_SECONDS
        return {
            sender.pk: "does not answer"
            for sender in self.holdings.pool.senders()
            if (since := connections().silent_since(sender.pk)) is not None and since < before
        }

    def _go_on(self) -> None:
        """One commit: what came of the groups that are through, and the marks of the next."""
        self.holdings.renew()
        groups: list[Portion] = []
        try:
            if self._is_open():
                self.portions.add_to(groups)
            outcomes, self.outcomes = self.outcomes, []
            jobs = [job for group, _ in groups for job in group]
            if not jobs and not outcomes:
                return
            if __debug__ and outcomes:
                crash_at("before_commit")
            marks = self._commit(outcomes, jobs)
            if __debug__ and outcomes:
                crash_at("after_commit")
            if __debug__ and jobs:
                crash_at("after_mark")
            while groups:
                group, way = groups.pop(0)
                self._start(group, way, marks)
        finally:
            # What was borrowed or promised and not used, because something broke in between.
            for _, way in groups:
                if isinstance(way, ChannelAdapter):
                    connections().give_back(way)
                elif isinstance(way, Line):
                    way.extend([])

    def _let_go(self, error: Exception) -> None:
        """The database is away: end the slice, but wait for what is under way."""
        log.warning("database_away", error=str(error)[:200], held=len(self.holdings.held))
        self.away_since = self.away_since or time.monotonic()
        self.ends_at = 0.0
        self.holdings.let_go()
        connection.close()
        patience = DATABASE_PATIENCE if self.outcomes else OWED_PATIENCE
        is_over = time.monotonic() - self.away_since > patience
        if not self.lines.are_busy and (is_over or not (self.outcomes or self.holdings.owed)):
            raise error
        time.sleep(DATABASE_REST)

    # --- hand-over -------------------------------------------------------------------------------

    def _start(
        self,
        group: list[Job],
        way: Line | ChannelAdapter | SenderFailure,
        marks: dict[Job, Mark],
    ) -> None:
        """Those without a mark are not ours any more."""
        marked = [(job, marks[job]) for job in group if job in marks]
        lost = [job for job in group if job not in marks]
        self.holdings.under_way |= {job.claim.message.pk for job, _ in marked}
        if isinstance(way, SenderFailure):
            self.outcomes += [Outcome(job, mark, way, self.clock()) for job, mark in marked]
        elif isinstance(way, Line):
            way.extend(marked)
        elif marked:
            self.lines.start(marked, way)
        else:
            connections().give_back(way)
        self.holdings.forget(job.claim for job in lost)
        self.holdings.again(lost)

    # --- records ---------------------------------------------------------------------------------

    def _commit(self, outcomes: list[Outcome], jobs: list[Job]) -> dict[Job, Mark]:
        """Write both, sort what came of it, and return the marks that were written.

        Outcomes are facts: while the database is away they are tried again until it is back. Nobody
        knows then whether the marks were written, so their jobs are not started but written down as
        not handed over."""
        marks = new_marks(jobs, worker=self.worker, now=self.clock())
        may_be_late = self.holdings.has_lost or not self.holdings.are_safe()
        patience_ends_at = time.monotonic() + (DATABASE_PATIENCE if outcomes else OWED_PATIENCE)
        while True:
            try:
                out, started = commit(outcomes, marks, health=self.health, may_be_late=may_be_late)
                break
            except DATABASE_AWAY as error:
                if time.monotonic() > patience_ends_at:
                    self.outcomes = outcomes
                    raise
                log.warning("outcomes_wait_for_database", error=str(error)[:200])
                connection.close()
                now = self.clock()
                dropped = zip(jobs[: len(marks)], marks, strict=True)
                outcomes = [*outcomes, *(Outcome(job, mark, None, now) for job, mark in dropped)]
                marks, self.ends_at, may_be_late = [], 0.0, True
                time.sleep(DATABASE_REST)
        self.lines.out |= out
        for outcome in outcomes:
            count(outcome)
        self._sort(outcomes)
        return {job: mark for job, mark in zip(jobs, marks, strict=False) if mark.pk in started}

    def _sort(self, outcomes: Sequence[Outcome]) -> None:
        """What is over is forgotten; what failed for its sender's sake gets another one."""
        self.holdings.forget(
            o.job.claim for o in outcomes if not isinstance(o.result, SenderFailure | None)
        )
        self.holdings.again([o.job for o in outcomes if o.result is None])
        failed = [o.job for o in outcomes if isinstance(o.result, SenderFailure)]
        self.holdings.again(failed, is_sender_at_fault=True)
        for sender_id in self.lines.out:
            self.holdings.take_away(sender_id)

    def _leave_to_thread(self) -> bool:
        """Let a thread wait for the last answers, so that a provider that is silent holds no place
        of a worker. False while the process ends: then the worker waits."""
        if stopping.is_set() or threading.current_thread() in _late:
            return False
        self.ends_at = 0.0
        thread = threading.Thread(target=self._wait_for_answers, name="late-answers")
        _late.add(thread)
        thread.start()
        return True

    def _wait_for_answers(self) -> None:
        try:
            self.run()
        except DATABASE_AWAY as error:
            log.warning("answers_lost", error=str(error)[:200])
        finally:
            connection.close()
            _late.discard(threading.current_thread())

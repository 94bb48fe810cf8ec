"""Works off what operators asked to be done to many messages.

A job is a row. Workers take it under a lease and do a slice at a time: in one transaction the
messages move and the row says how far it is. So a worker that dies, a second one and a task that
comes twice leave no message done twice and none left out: what was not committed was not done, and
whoever holds an older token writes nothing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce

from core.clock import Clock
from core.crash import crash_at
from core.database import delete_in_slices
from core.ids import lowest_uuid7
from core.vocabulary import Lane
from messaging import deeds, doorbell, resending, scheduling
from messaging.models import Job, Message
from messaging.selection import Selection

log = structlog.get_logger(__name__)

State = Job.State
# Each slice renews it, and takes well under a second.
LEASE = timedelta(seconds=30)
KEPT_FOR = timedelta(days=90)
# Then the worker is free for what else is to be done, and the job goes on as a task of its own.
RUN_SECONDS = 4.0
# Ids that are looked up at once: a filter may have to sort all that it finds.
AHEAD = 20_000
# Runs without progress, a second apart, after which what others hold is passed over.
MAX_VAIN_RUNS = 20
# Runs in a row that ended in an error after which the job has failed.
MAX_FAILURES = 5
# Said of what somebody held all the time.
HELD = "held"


def draft(
    *,
    kind: Job.Kind,
    selection: Selection,
    actor_id: int | None = None,
    may_duplicate: bool = False,
    to_lane: Lane | None = None,
) -> Job:
    """What would be done, not written down yet."""
    return Job(
        kind=kind,
        filters=dict(selection.filters),
        ids=None if selection.ids is None else [str(pk) for pk in selection.ids],
        newer_than=selection.newer_than,
        asked_at=selection.asked_at,
        to_lane=to_lane or "",
        may_duplicate=may_duplicate,
        actor_id=actor_id,
    )


def count(job: Job) -> int:
    """To how many messages it can be done, counted up to `resending.COUNT_LIMIT + 1`."""
    return resending.count_bounded(_open(job))


def is_for_any(job: Job) -> bool:
    return _open(job).exists()


def ask(
    *,
    kind: Job.Kind,
    selection: Selection,
    actor_id: int | None,
    may_duplicate: bool = False,
    to_lane: Lane | None = None,
    now: datetime,
) -> Job:
    """Write down what is to be done. It begins with `work_on` or `call_workers`; a sweep finds what
    was neither."""
    job = draft(
        kind=kind,
        selection=selection,
        actor_id=actor_id,
        may_duplicate=may_duplicate,
        to_lane=to_lane,
    )
    job.leased_until = now
    job.matched = count(job)
    if selection.is_picked and selection.ids is not None:
        # Of each that is passed over it is said why.
        open_ = set(_open(job).values_list("pk", flat=True))
        job.passed = deeds.why_not(job, set(selection.ids) - open_, now=now)
        job.matched += sum(job.passed.values())
    with transaction.atomic():
        job.save(force_insert=True)
        if kind == Job.Kind.CANCEL and set(selection.filters) == {"batch"}:
            scheduling.note_cancelled(UUID(selection.filters["batch"]), now=now)
    return job


def call_workers() -> None:
    doorbell.ring_jobs()


def stop(job_id: UUID, *, now: datetime) -> bool:
    """What it did stays done; its worker does not begin another slice. False if it was over."""
    still = Job.objects.filter(pk=job_id, state__in=Job.OPEN)
    return bool(still.update(state=State.STOPPED, finished_at=now))


def forget(*, now: datetime) -> int:
    """Remove those that have been over for 90 days."""
    old = Job.objects.filter(pk__lt=lowest_uuid7(now - KEPT_FOR)).exclude(state__in=Job.OPEN)
    return delete_in_slices(old)


def work_off(*, clock: Clock, is_stopping: Callable[[], bool] = lambda: False) -> None:
    """Go on with the jobs that nobody works on, the longest unattended first, for some seconds."""
    ends_at = clock() + timedelta(seconds=RUN_SECONDS)
    while not is_stopping() and clock() < ends_at:
        job = claim(now=clock())
        if job is None:
            return
        run(job, clock=clock, ends_at=ends_at, is_stopping=is_stopping)
    doorbell.ring_jobs()


def work_on(job: Job, *, clock: Clock, seconds: float) -> Job:
    """Do a small one at once. What is left of it after `seconds` is done by workers."""
    claimed = claim(now=clock(), pk=job.pk)
    if claimed is not None:
        run(claimed, clock=clock, ends_at=clock() + timedelta(seconds=seconds))
    return Job.objects.get(pk=job.pk)


def selection_of(job: Job) -> Selection:
    return Selection(
        asked_at=job.asked_at,
        filters=job.filters,
        ids=None if job.ids is None else [UUID(pk) for pk in job.ids],
        newer_than=job.newer_than,
    )


def claim(*, now: datetime, pk: UUID | None = None) -> Job | None:
    """One that nobody works on, or whose worker was lost."""
    free = Job.objects.filter(state__in=Job.OPEN, leased_until__lte=now)
    if pk is not None:
        free = free.filter(pk=pk)
    with transaction.atomic():
        ids = free.order_by("leased_until").select_for_update(skip_locked=True)
        chosen = ids.values_list("pk", flat=True).first()
        if chosen is None:
            return None
        Job.objects.filter(pk=chosen).update(
            state=State.RUNNING,
            lease_token=F("lease_token") + 1,
            leased_until=now + LEASE,
            started_at=Coalesce("started_at", now),
            heartbeat_at=now,
        )
        return Job.objects.get(pk=chosen)


def run(
    job: Job,
    *,
    clock: Clock,
    ends_at: datetime,
    is_stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Work on a claimed job until it is over, was stopped or taken away, or the time is up."""
    try:
        while not is_stopping() and clock() < ends_at:
            ids = list(_ahead(job))
            if not ids:
                _mine(job).update(state=State.DONE, finished_at=clock(), vain_runs=0, error="")
                return
            seen_before = job.seen
            for start in range(0, len(ids), resending.SLICE):
                if not _do_slice(job, ids[start : start + resending.SLICE], now=clock()):
                    return
                if is_stopping() or clock() >= ends_at:
                    break
            if job.seen == seen_before:
                _wait_for_others(job, ids, now=clock())
                return
        _mine(job).update(leased_until=clock())
    except Exception as error:
        log.exception("job_broke_off", job_id=str(job.pk))
        _note_failure(job, error, now=clock())


def _do_slice(job: Job, ids: Sequence[UUID], *, now: datetime) -> bool:
    """False if the job is not ours any more: it was stopped, or its lease ran out."""
    with transaction.atomic():
        # Holds the row until the commit: nobody stops it or takes it over in the middle.
        if not _mine(job).update(heartbeat_at=now, leased_until=now + LEASE):
            return False
        went = deeds.do(job, ids, now=now)
        if __debug__:
            crash_at("job_slice_done")
        rest = [pk for pk in ids if pk not in went]
        held = set(_open(job).filter(pk__in=rest).values_list("pk", flat=True))
        done = job.done + len(went)
        passed = Counter(job.passed) + deeds.why_not(job, set(rest) - held, now=now)
        # What somebody holds is looked at again, so the position stays before it.
        place = next((place for place, pk in enumerate(ids) if pk in held), len(ids))
        position = ids[place - 1] if place else job.position
        has_moved = done + passed.total() > job.seen
        vain_runs = 0 if has_moved else job.vain_runs
        _mine(job).update(done=done, passed=passed, position=position, vain_runs=vain_runs)
    job.done, job.passed, job.position, job.vain_runs = done, passed, position, vain_runs
    if __debug__:
        crash_at("job_slice_committed")
    return True


def _wait_for_others(job: Job, ids: Sequence[UUID], *, now: datetime) -> None:
    """All that is left is held by others: look again soon, and not for ever."""
    if job.vain_runs + 1 < MAX_VAIN_RUNS:
        later = now + timedelta(seconds=1)
        _mine(job).update(vain_runs=F("vain_runs") + 1, leased_until=later)
        return
    passed = Counter(job.passed) + Counter({HELD: len(ids)})
    _mine(job).update(passed=passed, position=ids[-1], vain_runs=0, leased_until=now)


def _note_failure(job: Job, error: Exception, *, now: datetime) -> None:
    """The kind of the error only: its words may hold what is nobody's business."""
    kind = type(error).__name__
    words = f"It was broken off by {kind}. The log of the worker says more (job_broke_off)."
    tries = job.vain_runs + 1
    if tries < MAX_FAILURES:
        later = now + timedelta(seconds=2**tries)
        _mine(job).update(error=words, vain_runs=tries, leased_until=later)
    else:
        _mine(job).update(error=words, state=State.FAILED, finished_at=now)


def _mine(job: Job) -> QuerySet[Job]:
    return Job.objects.filter(pk=job.pk, state=State.RUNNING, lease_token=job.lease_token)


def _open(job: Job) -> QuerySet[Message]:
    return selection_of(job).rows().filter(deeds.is_open_to(job))


def _ahead(job: Job) -> QuerySet[Message, UUID]:
    """The next ids, the oldest first."""
    rows = _open(job)
    if job.position is not None:
        rows = rows.filter(pk__gt=job.position)
    return rows.order_by("pk").values_list("pk", flat=True)[:AHEAD]

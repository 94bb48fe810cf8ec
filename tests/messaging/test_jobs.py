"""A job does its deed to each message once, whoever works on it and whenever they die."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from messaging import jobs, metrics, resending, tasks
from messaging.models import Event, Job, Message, Status
from messaging.selection import Selection, select
from tests.factories import (
    NOON,
    make_message,
    make_operator,
    reloaded,
)

pytestmark = pytest.mark.django_db

# Long after the rows were made, whose ids are of the tests' own time.
ASKED_AT = datetime(2099, 1, 1, tzinfo=UTC)
LATER = ASKED_AT + timedelta(minutes=5)
Kind = Job.Kind


def ask(kind, parameters=None, *, ids=None, at=ASKED_AT, **fields):
    selection = select(parameters or {}, at=at)
    if ids is not None:
        selection = Selection(asked_at=at, ids=ids, is_picked=True)
    return jobs.ask(**{"kind": kind, "selection": selection, "actor_id": None, "now": at} | fields)


def work_off(at=LATER):
    jobs.work_off(clock=lambda: at)


def failed(**fields):
    return make_message(status="failed", **fields)


def waiting(**fields):
    return make_message(**{"due_at": LATER + timedelta(hours=1)} | fields)


def statuses(messages):
    return [reloaded(message).status for message in messages]


# --- what is done --------------------------------------------------------------------------------


def test_failed_messages_are_sent_again_and_the_job_says_by_whom(bells):
    operator, messages = make_operator(), [failed() for _ in range(3)]
    other = make_message(status="success")

    job = ask(Kind.RESEND, {"status": "failed"}, actor_id=operator.pk)
    work_off()

    job = reloaded(job)
    assert (job.state, job.matched, job.done, job.passed) == ("done", 3, 3, {})
    assert job.finished_at == LATER
    assert statuses(messages) == ["pending"] * 3
    assert {message.events.get().actor for message in messages} == {operator}
    assert reloaded(other).status == Status.SUCCESS


def test_what_may_have_arrived_goes_only_if_that_was_said():
    certain, doubtful = failed(), failed(reason="unknown_outcome")

    ask(Kind.RESEND)
    work_off()
    assert statuses([certain, doubtful]) == ["pending", "failed"]

    ask(Kind.RESEND, may_duplicate=True)
    work_off()
    assert reloaded(doubtful).status == Status.PENDING


def test_what_waits_is_cancelled():
    messages = [waiting(), make_message(reason="temporary_failure"), make_message()]

    ask(Kind.CANCEL)
    work_off()

    assert statuses(messages) == ["cancelled"] * 3
    assert all(message.events.get().kind == Event.Kind.CANCELLED for message in messages)


def test_what_waits_moves_to_another_lane_and_the_story_says_so(
    bells, django_capture_on_commit_callbacks
):
    message, there, sent = make_message(lane="bulk"), make_message(lane="high"), failed(lane="bulk")

    job = ask(Kind.MOVE, to_lane="high")
    with django_capture_on_commit_callbacks(execute=True):
        work_off()

    assert reloaded(message).lane == "high"
    assert message.events.get().details == {"from": "bulk", "to": "high"}
    assert ("email", "high") in bells
    assert not there.events.exists()
    assert reloaded(sent).lane == "bulk"
    assert (reloaded(job).matched, reloaded(job).done) == (1, 1)


def test_what_waits_for_its_time_for_another_try_or_for_a_sender_goes_now():
    later = LATER + timedelta(hours=1)
    scheduled = waiting(expires_at=later + timedelta(hours=72))
    retrying = waiting(reason="temporary_failure", expires_at=later)
    without_sender = waiting(reason="no_sender", expires_at=later)
    due = make_message()

    job = ask(Kind.RELEASE)
    work_off()

    for message in (scheduled, retrying, without_sender):
        assert reloaded(message).due_at == LATER
        assert message.events.get().kind == Event.Kind.RELEASED
    # The lifetime of what was scheduled begins when it goes; the others have used theirs up.
    assert reloaded(scheduled).expires_at == LATER + timedelta(hours=72)
    # How late it is counts from then, too.
    assert reloaded(scheduled).send_at == LATER
    assert reloaded(retrying).expires_at == later
    assert not due.events.exists()
    assert reloaded(job).done == 3


def test_what_was_released_and_waits_again_is_not_released_again():
    message = waiting(reason="temporary_failure")
    job = ask(Kind.RELEASE)
    work_off()
    Message.objects.update(due_at=LATER + timedelta(hours=2))
    Job.objects.update(state="running", finished_at=None, position=None)

    work_off()

    assert message.events.count() == 1
    assert reloaded(job).done == 1


# --- to which messages ---------------------------------------------------------------------------


def test_what_came_after_it_was_asked_for_is_no_part_of_it():
    early, late = failed(), failed(finished_at=ASKED_AT + timedelta(seconds=1))
    old = make_message()
    new = make_message(created_at=ASKED_AT + timedelta(seconds=1))

    ask(Kind.CANCEL)
    work_off()
    ask(Kind.RESEND)
    work_off()

    assert statuses([early, late, old, new]) == ["pending", "failed", "cancelled", "pending"]


def test_of_chosen_ones_only_these():
    chosen, other = failed(), failed()

    ask(Kind.RESEND, ids=[chosen.pk])
    work_off()

    assert statuses([chosen, other]) == ["pending", "failed"]


def test_which_are_the_newest_is_settled_when_it_is_asked_for(monkeypatch):
    old, newer = failed(lane="high"), failed(lane="high")
    monkeypatch.setattr("messaging.selection.newest_begin_after", lambda model: old.pk)
    ask(Kind.RESEND, {"lane": "high"})
    monkeypatch.undo()

    work_off()

    assert statuses([old, newer]) == ["failed", "pending"]


# --- slices, crashes, doubles --------------------------------------------------------------------


@pytest.fixture
def small_slices(monkeypatch):
    monkeypatch.setattr(resending, "SLICE", 2)


class Killed(BaseException):
    """What a killed worker leaves: no handler runs."""


def die_at(monkeypatch, point, *, at_call):
    calls = []

    def crash_at(place):
        if place == point:
            calls.append(place)
            if len(calls) == at_call:
                raise Killed

    monkeypatch.setattr(jobs, "crash_at", crash_at)


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("kind", Kind.values)
@pytest.mark.parametrize(("point", "kept"), [("job_slice_done", 2), ("job_slice_committed", 4)])
def test_a_worker_that_dies_leaves_none_done_twice_and_none_left_out(
    kind, point, kept, monkeypatch
):
    make = failed if kind == Kind.RESEND else waiting
    messages = [make() for _ in range(7)]
    job = ask(kind, to_lane="high" if kind == Kind.MOVE else None)
    die_at(monkeypatch, point, at_call=2)

    with pytest.raises(Killed):
        work_off()
    assert reloaded(job).done == kept
    assert Event.objects.count() == kept

    # Nobody takes it as long as the dead worker's lease lasts.
    assert jobs.claim(now=LATER + timedelta(seconds=1)) is None
    work_off(LATER + jobs.LEASE)
    job = reloaded(job)
    assert (job.state, job.done, job.passed) == ("done", 7, {})
    assert all(message.events.count() == 1 for message in messages)


@pytest.mark.usefixtures("small_slices")
def test_who_lost_the_lease_does_nothing_any_more():
    messages = [failed() for _ in range(3)]
    ask(Kind.RESEND)
    frozen = jobs.claim(now=LATER)
    later = LATER + jobs.LEASE
    taken_over = jobs.claim(now=later)

    jobs.run(frozen, clock=lambda: later, ends_at=later + timedelta(seconds=9))
    assert statuses(messages) == ["failed"] * 3

    jobs.run(taken_over, clock=lambda: later, ends_at=later + timedelta(seconds=9))
    assert statuses(messages) == ["pending"] * 3
    assert reloaded(taken_over).state == "done"


@pytest.mark.usefixtures("small_slices")
def test_a_run_ends_in_time_and_the_next_goes_on(bells, django_capture_on_commit_callbacks):
    messages = [failed() for _ in range(7)]
    job = ask(Kind.RESEND)
    seconds = iter(range(1000))

    with django_capture_on_commit_callbacks(execute=True):
        jobs.work_off(clock=lambda: LATER + timedelta(seconds=next(seconds) / 2))

    assert 0 < reloaded(job).done < 7
    assert reloaded(job).state == "running"
    assert ("", "jobs") in bells

    work_off(LATER + timedelta(minutes=1))
    assert reloaded(job).state == "done"
    assert statuses(messages) == ["pending"] * 7


@pytest.mark.usefixtures("small_slices")
def test_a_stopping_worker_hands_its_job_on():
    messages = [failed() for _ in range(5)]
    ask(Kind.RESEND)
    asked = iter([False, False, True, True, True])

    jobs.work_off(clock=lambda: LATER, is_stopping=lambda: next(asked))
    assert statuses(messages).count("pending") == 2

    work_off()
    assert statuses(messages) == ["pending"] * 5


@pytest.mark.usefixtures("small_slices")
def test_a_stopped_job_begins_no_other_slice(monkeypatch):
    messages = [failed() for _ in range(5)]
    job = ask(Kind.RESEND)
    monkeypatch.setattr(
        jobs,
        "crash_at",
        lambda point: point == "job_slice_committed" and jobs.stop(job.pk, now=LATER),
    )

    work_off()

    assert (reloaded(job).state, reloaded(job).done) == ("stopped", 2)
    assert statuses(messages) == ["pending"] * 2 + ["failed"] * 3
    assert not jobs.stop(job.pk, now=LATER)


def test_what_moved_meanwhile_is_passed_over_and_it_says_what_it_is(monkeypatch):
    first, second = failed(), failed()
    job = ask(Kind.RESEND)
    ahead = jobs._ahead

    def be_overtaken(job):
        ids = list(ahead(job))
        Message.objects.filter(pk=second.pk).update(status="success", reason="")
        return ids

    monkeypatch.setattr(jobs, "_ahead", be_overtaken)

    work_off()

    assert reloaded(job).passed == {"success": 1}
    assert statuses([first, second]) == ["pending", "success"]


def test_what_others_hold_is_looked_at_again_and_not_for_ever(monkeypatch):
    held, free = failed(), failed()
    job = ask(Kind.RESEND)
    real = jobs.deeds.do
    monkeypatch.setattr(
        jobs.deeds,
        "do",
        lambda job, ids, now: real(job, [pk for pk in ids if pk != held.pk], now=now),
    )
    moment = LATER
    for _ in range(jobs.MAX_VAIN_RUNS - 1):
        work_off(moment)
        moment += timedelta(seconds=1)
    assert (reloaded(job).state, reloaded(job).done) == ("running", 1)

    for _ in range(2):
        work_off(moment)
        moment += timedelta(seconds=1)

    job = reloaded(job)
    assert (job.state, job.passed) == ("done", {"held": 1})
    assert statuses([held, free]) == ["failed", "pending"]


def test_a_job_that_breaks_off_again_and_again_has_failed_and_says_so(monkeypatch):
    message = failed(recipient="eve@example.com")
    job = ask(Kind.RESEND)

    def break_off(*arguments, **options):
        raise RuntimeError("eve@example.com")

    monkeypatch.setattr(jobs.deeds, "do", break_off)
    for minutes in range(jobs.MAX_FAILURES):
        work_off(LATER + timedelta(minutes=minutes))

    job = reloaded(job)
    assert job.state == "failed"
    assert "RuntimeError" in job.error
    assert "eve@" not in job.error
    assert reloaded(message).status == Status.FAILED


def test_the_sweep_finds_jobs_whose_worker_was_lost(bells, django_capture_on_commit_callbacks):
    job = ask(Kind.RESEND, at=NOON)
    jobs.claim(now=NOON)
    Job.objects.update(leased_until=timezone.now() + timedelta(hours=1))
    assert metrics.due_lanes() == []
    Job.objects.update(leased_until=NOON)

    with django_capture_on_commit_callbacks(execute=True):
        tasks.look_around()

    assert ("", "jobs") in bells
    tasks.work_off_jobs()
    assert reloaded(job).state == "done"

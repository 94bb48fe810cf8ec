"""What got no answer is asked about before it is sent again."""

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from messaging import delivery, doorbell, metrics, reconciliation, states, tasks
from messaging.channels.base import Found, OutcomeUnknown, SenderFailure, Standing
from messaging.models import Attempt, Event, Policy, Reason, Status
from tests.factories import NOON, make_message, make_sender, reloaded
from tests.fakes import FakeEmail
from tests.messaging.reporting import in_state

pytestmark = pytest.mark.django_db


def ask(now):
    return reconciliation.ask_about_unknown(clock=lambda: now)


def doubtful(sender, now=NOON, **message):
    return in_state(sender, "unknown", status="unknown", due_at=now, **message)


# --- what is decided -----------------------------------------------------------------------------


def test_absent_and_at_most_once_fails_and_says_that_it_was_asked(asked):
    asked["one"] = Found(Standing.ABSENT)
    message, _ = doubtful(make_sender(name="one"), policy=Policy.AT_MOST_ONCE)

    ask(NOON)

    message = reloaded(message)
    assert (message.status, message.reason) == (Status.FAILED, Reason.UNKNOWN_OUTCOME)
    assert "had none" in message.reason_detail
    assert message.events.get().details["reason"] == "unknown_outcome"


def test_absent_after_the_one_resend_fails(asked):
    asked["one"] = Found(Standing.ABSENT)
    message, _ = doubtful(make_sender(name="one"), unknown_resends=1)

    ask(NOON)

    assert reloaded(message).status == Status.FAILED


def test_the_provider_is_asked_about_the_attempt(asked, adapter):
    message, attempt = doubtful(make_sender(name="one"))

    ask(NOON)

    (handed,) = adapter.calls
    assert (handed.attempt_id, handed.address) == (str(attempt.pk), "ann@example.com")
    assert handed.at == NOON
    assert reloaded(message).due_at == NOON + states.ASK_AGAIN


def test_taken_writes_down_the_providers_id(asked):
    asked["one"] = Found(Standing.TAKEN, "provider-7")
    message, attempt = doubtful(make_sender(name="one"))

    ask(NOON)

    assert reloaded(message).status == Status.SUCCESS
    assert reloaded(attempt).provider_message_id == "provider-7"


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (Standing.TAKEN, Standing.UNSURE, Status.SUCCESS),
        (Standing.ABSENT, Standing.TAKEN, Status.SUCCESS),
        (Standing.ABSENT, Standing.UNSURE, Status.UNKNOWN),
        (Standing.ABSENT, Standing.ABSENT, Status.PENDING),
    ],
)
def test_of_two_hand_overs_one_proves_it_and_both_are_needed_for_the_contrary(
    asked, first, second, status
):
    asked |= {"one": Found(first), "two": Found(second)}
    message, _ = doubtful(make_sender(name="one"))
    Attempt.objects.create(
        message=message,
        sender=make_sender(name="two"),
        lease_token=1,
        started_at=NOON,
        finished_at=NOON,
        unknown_at=NOON,
        outcome="unknown",
    )

    ask(NOON)

    assert reloaded(message).status == status


def test_what_somebody_else_had_too_who_cannot_be_asked_is_settled_as_ever(asked, monkeypatch):
    message, _ = doubtful(make_sender(name="one"))
    Attempt.objects.create(
        message=message,
        sender=make_sender(adapter="smtp"),
        lease_token=1,
        started_at=NOON,
        finished_at=NOON,
        unknown_at=NOON,
        outcome="unknown",
    )

    assert ask(NOON) == 0
    states.settle_unknown(now=NOON)

    assert reloaded(message).status == Status.PENDING


def test_who_cannot_be_asked_is_settled_as_ever(adapter):
    message, _ = doubtful(make_sender())

    assert ask(NOON) == 0
    assert states.settle_unknown(now=NOON) == 1

    assert reloaded(message).reason_detail == "No answer came; it is sent once more."


def test_a_provider_that_fails_is_asked_once_and_the_others_go_on(asked, adapter):
    asked |= {"dead": SenderFailure("transient"), "well": Found(Standing.ABSENT)}
    dead, well = make_sender(name="dead"), make_sender(name="well")
    resting = [doubtful(dead)[0] for _ in range(3)]
    settled, _ = doubtful(well)

    ask(NOON)

    assert len(adapter.calls) == 2
    assert reloaded(settled).status == Status.PENDING
    assert {reloaded(message).status for message in resting} == {Status.UNKNOWN}


def test_an_adapter_that_breaks_leaves_it_unsure(asked):
    asked["one"] = ZeroDivisionError("a bug")
    message, _ = doubtful(make_sender(name="one"))

    ask(NOON)

    assert reloaded(message).status == Status.UNKNOWN


def test_a_sender_whose_secret_is_lost_leaves_it_unsure(asked, settings):
    asked["one"] = Found(Standing.ABSENT)
    message, _ = doubtful(make_sender(name="one", credentials={"password": "x"}))
    settings.CREDENTIALS_KEYS = [Fernet.generate_key().decode()]

    ask(NOON)

    assert reloaded(message).status == Status.UNKNOWN


def test_when_the_time_is_over_the_rest_is_left_to_others(asked, adapter, monkeypatch):
    monkeypatch.setattr(reconciliation, "SECONDS", -1.0)
    message, _ = doubtful(make_sender(name="one"))

    assert ask(NOON) == 1

    assert adapter.calls == []
    assert reloaded(message).due_at == NOON


def test_what_was_settled_while_it_was_asked_about_stays_settled(asked, monkeypatch):
    message, _ = doubtful(make_sender(name="one"))

    def look_up(self, handed):
        # An operator sent it again meanwhile.
        states.resend_many([message.pk], may_duplicate=True, now=NOON, actor_id=None)
        return Found(Standing.ABSENT)

    monkeypatch.setattr(FakeEmail, "look_up", look_up)

    ask(NOON)

    assert reloaded(message).reason == Reason.RESENT
    assert not Event.objects.filter(kind=Event.Kind.SENT_AGAIN).exists()


def test_a_lost_workers_message_is_asked_about_too(asked):
    asked["one"] = Found(Standing.TAKEN)
    message, attempt = in_state(
        make_sender(name="one"), "", status="sending", leased_until=NOON, lease_token=1
    )
    states.recover_leases(now=NOON)

    states.settle_unknown(now=NOON)
    ask(NOON)

    assert reloaded(message).status == Status.SUCCESS
    assert reloaded(attempt).outcome == "accepted"


# --- the sweep -----------------------------------------------------------------------------------


def test_the_sweep_rings_for_what_it_leaves_alone(asked, bells, django_capture_on_commit_callbacks):
    now = timezone.now()
    message, _ = doubtful(make_sender(name="one"), now=now - timedelta(seconds=1))
    Attempt.objects.update(unknown_at=now)

    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep()

    assert doorbell.RECONCILE in bells
    assert reloaded(message).status == Status.UNKNOWN


def test_the_tasks_ask_by_the_databases_clock(asked):
    asked["one"] = Found(Standing.TAKEN)
    now = timezone.now()
    message, _ = doubtful(make_sender(name="one"), now=now - timedelta(seconds=1))
    Attempt.objects.update(unknown_at=now)

    tasks.reconcile()
    tasks.poll()

    assert reloaded(message).status == Status.SUCCESS


def test_the_bell_wakes_the_task_that_asks(monkeypatch, settings):
    hints = []
    monkeypatch.setattr(doorbell, "_hint", lambda *args, **named: hints.append(args))

    doorbell.publish(doorbell.RECONCILE)

    assert hints == [("messaging.reconcile", {}, settings.HOUSEKEEPING_QUEUE)]


def test_a_crowd_that_is_asked_about_keeps_nobody_else_waiting(asked):
    crowd = make_sender(name="one")
    for _ in range(5):
        doubtful(crowd, now=NOON - timedelta(minutes=1))
    other, _ = doubtful(make_sender(adapter="smtp"))

    assert states.settle_unknown(now=NOON, limit=3) == 1

    assert reloaded(other).status == Status.PENDING


def test_the_lane_of_unknown_outcomes_is_due_when_one_is(asked):
    assert metrics.UNKNOWN_LANE not in metrics.due_lanes()

    doubtful(make_sender(name="one"), now=timezone.now() - timedelta(seconds=1))

    assert metrics.UNKNOWN_LANE in metrics.due_lanes()


def test_an_unknown_outcome_by_the_drain_rests_before_it_is_asked_about(asked, adapter):
    make_sender(name="one")
    make_message()
    adapter.failure = OutcomeUnknown("no_answer", phase="response")
    delivery.drain(channel="email", lane="normal", clock=lambda: NOON)

    assert ask(NOON) == 0
    assert ask(NOON + states.UNKNOWN_REST) == 1

"""What got no answer is asked about before it is sent again."""

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.utils import timezone

from messaging import delivery, doorbell, metrics, reconciliation, states, story, tasks
from messaging.channels.base import Found, OutcomeUnknown, SenderFailure, Standing
from messaging.channels.http_api import HttpApi
from messaging.models import Attempt, Event, FeedbackEvent, Policy, Reason, Status
from notification_platform.embedded.providers.aliyun import AliyunSmsServer
from notification_platform.embedded.providers.server import Act, Answer
from tests.factories import NOON, make_message, make_sender, reloaded
from tests.fakes import FakeEmail
from tests.messaging.channels.aliyun import sms_message, sms_sender
from tests.messaging.reporting import in_state

pytestmark = pytest.mark.django_db

NOW = timezone.now()
LATER = NOW + timedelta(minutes=2)
TOO_LATE = NOW + timedelta(minutes=11)


@pytest.fixture
def provider():
    with AliyunSmsServer() as running:
        yield running


def drain(now=NOW, channel="sms"):
    return delivery.drain(channel=channel, lane="normal", clock=lambda: now)


def ask(now=LATER, **limits):
    return reconciliation.ask_about_unknown(clock=lambda: now, **limits)


def doubtful(sender, now=NOON, **message):
    return in_state(sender, "unknown", status="unknown", due_at=now, **message)


def sms(**fields):
    times = {"created_at": NOW, "due_at": NOW, "expires_at": NOW + timedelta(hours=1)}
    return sms_message(**times | fields)


def at_the_provider(provider, *, ago=timedelta(minutes=2)):
    """The attempts were made that long ago, by everybody's clock."""
    then = timezone.now() - ago
    Attempt.objects.update(started_at=then)
    for one in provider.sent:
        one.at = then


# --- with a provider -----------------------------------------------------------------------------


def test_a_lost_answer_to_an_sms_that_was_taken_sends_nothing_again(provider):
    sms_sender(provider)
    message = sms()
    provider.lose.append(Act.RESET)
    drain()
    assert reloaded(message).status == Status.UNKNOWN

    states.settle_unknown(now=LATER)
    assert reloaded(message).status == Status.UNKNOWN
    assert ask() == 1
    drain(LATER)

    message = reloaded(message)
    assert (message.status, message.unknown_resends) == (Status.SUCCESS, 0)
    assert (len(provider.sent), provider.duplicates()) == (1, 0)
    assert message.attempts.get().unknown_at is not None
    assert message.events.get(kind=Event.Kind.LATE_SUCCESS)


def test_what_was_not_taken_is_sent_again_once(provider):
    sms_sender(provider)
    message = sms()
    provider.once.append(Act.RESET)
    drain()
    at_the_provider(provider)

    ask()
    message = reloaded(message)
    assert (message.status, message.reason) == (Status.PENDING, Reason.TEMPORARY)
    assert "the provider, when it was asked, had none" in message.reason_detail
    drain(LATER)
    drain(LATER)

    assert reloaded(message).status == Status.SUCCESS
    assert len(provider.sent) == 1
    assert message.attempts.count() == 2
    assert any("had none" in step.detail for step in story.tell(message))


def test_what_was_taken_and_arrived_is_told_in_one_go(provider):
    sms_sender(provider)
    message = sms()
    provider.lose.append(Act.CLOSE)
    drain()
    provider.settle(provider.sent[0])

    ask()

    assert (reloaded(message).status, reloaded(message).feedback) == ("success", "delivered")
    assert FeedbackEvent.objects.get().recipient == "to/0"


def test_a_provider_that_cannot_be_asked_decides_nothing_for_ten_minutes(provider):
    sms_sender(provider)
    message = sms()
    provider.once.append(Act.RESET)
    drain()
    provider.script = Answer(500, "")

    ask()
    states.settle_unknown(now=LATER)
    waiting = reloaded(message)
    assert (waiting.status, waiting.due_at) == (Status.UNKNOWN, LATER + states.ASK_AGAIN)

    assert ask(TOO_LATE) == 0
    states.settle_unknown(now=TOO_LATE)
    assert reloaded(message).status == Status.PENDING
    assert reloaded(message).reason_detail == "No answer came; it is sent once more."


def test_with_two_accounts_one_fails_and_the_other_sends(provider):
    with AliyunSmsServer() as second:
        second.templates = {"SMS_200": "验证码${code}"}
        provider.keys = {}
        sms_sender(provider, name="first", priority=1)
        sms_sender(second, name="second", options={"template_ids": "SMS_100=SMS_200"})
        message = sms()

        drain()

        assert reloaded(message).status == Status.SUCCESS
        assert [a.outcome for a in message.attempts.order_by("started_at", "pk")] == [
            "sender",
            "accepted",
        ]
        assert (len(provider.sent), len(second.sent)) == (0, 1)


def test_nothing_is_held_while_a_provider_is_asked(provider, monkeypatch):
    sms_sender(provider)
    sms()
    provider.lose.append(Act.RESET)
    drain()
    depth = len(connection.savepoint_ids)
    seen = []
    call = HttpApi.call

    def looking(self, *args, **named):
        seen.append(len(connection.savepoint_ids))
        return call(self, *args, **named)

    monkeypatch.setattr(HttpApi, "call", looking)

    ask()

    assert seen
    assert set(seen) == {depth}


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

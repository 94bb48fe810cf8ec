from datetime import timedelta

import pytest

from messaging import delivery, states, story
from messaging.channels.base import (
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    Refusal,
    SenderFailure,
    TemporaryFailure,
)
from messaging.models import Attempt, Message, Status
from tests.factories import (
    NOON,
    drain,
    make_application,
    make_message,
    make_sender,
    reloaded,
)

pytestmark = pytest.mark.django_db


def test_a_due_message_is_sent_and_its_attempt_is_closed(adapter):
    sender, message = make_sender(), make_message()

    drain()

    message = reloaded(message)
    attempt = message.attempts.get()
    assert (message.status, message.sender, message.leased_until) == (Status.SUCCESS, sender, None)
    assert (attempt.outcome, attempt.provider_message_id) == (Attempt.Outcome.ACCEPTED, "fake-1")
    assert attempt.decision["chosen"] == sender.name
    assert len(adapter.sent) == 1


def test_a_message_that_is_not_due_stays(adapter):
    make_sender()
    message = make_message(due_at=NOON + timedelta(seconds=1))

    drain()

    assert reloaded(message).status == Status.PENDING
    assert adapter.sent == []


def test_a_sender_at_fault_is_benched_and_the_message_loses_no_try(adapter):
    message, sender = make_message(), make_sender()
    adapter.failure = SenderFailure("credentials", phase="auth")

    drain()

    message, benched_until = reloaded(message), reloaded(sender).benched_until
    assert benched_until is not None
    assert benched_until > NOON
    assert (message.status, message.reason, message.tries) == (Status.PENDING, "no_sender", 0)
    assert sender.name in message.reason_detail
    assert message.due_at > NOON


def test_when_a_sender_fails_the_next_one_sends_in_the_same_drain(adapter):
    make_sender(name="first", priority=1)
    make_sender(name="second")
    messages = [make_message() for _ in range(5)]
    adapter.failures = {"first": SenderFailure("transient", phase="connect")}

    drain()

    assert {reloaded(message).status for message in messages} == {Status.SUCCESS}
    assert [name for name, _ in adapter.sent] == ["second"] * 5


def test_a_sender_that_fails_once_goes_on_and_the_message_goes_to_another(adapter):
    first = make_sender(name="first", priority=1)
    make_sender(name="second")
    message = make_message()
    adapter.failures = {"first": SenderFailure("transient", phase="connect")}

    drain()

    assert reloaded(first).benched_until is None
    assert reloaded(message).status == Status.SUCCESS
    last = message.attempts.order_by("started_at", "pk").last()
    assert last.decision["excluded"] == {"first": "failed this message just now"}


def test_a_temporary_failure_waits_longer_than_the_floor_and_is_charged(adapter):
    make_sender()
    message = make_message()
    adapter.failure = TemporaryFailure("greylisted", phase="rcpt", retry_after=60)

    drain()

    message = reloaded(message)
    assert (message.status, message.reason, message.tries) == ("pending", "temporary_failure", 1)
    assert message.due_at >= NOON + timedelta(seconds=60)


def test_a_permanent_failure_ends_it_and_says_why(adapter):
    make_sender()
    message = make_message()
    adapter.failure = PermanentFailure(
        "hard_bounce", phase="rcpt", code="550 5.1.1", words="<ann@example.com> unknown"
    )

    drain()

    message = reloaded(message)
    assert (message.status, message.reason) == (Status.FAILED, "hard_bounce")
    assert "ann@example.com" not in message.reason_detail
    assert "ann@example.com" not in message.attempts.get().provider_words


def test_silence_leaves_it_unknown_and_marks_the_attempt_for_good(adapter):
    make_sender()
    message = make_message()
    adapter.failure = OutcomeUnknown("no_answer", phase="final_dot")

    drain()

    assert reloaded(message).status == Status.UNKNOWN
    assert message.attempts.get().unknown_at == NOON


def test_what_an_adapter_breaks_with_leaves_it_unknown(adapter):
    make_sender()
    message = make_message()
    adapter.failure = ZeroDivisionError("a bug")

    drain()

    assert reloaded(message).status == Status.UNKNOWN


def test_an_expired_message_fails_without_being_sent(adapter):
    make_sender()
    message = make_message(expires_at=NOON - timedelta(seconds=1))

    drain()

    message = reloaded(message)
    assert (message.status, message.reason) == (Status.FAILED, "expired")
    assert adapter.sent == []


def test_a_message_that_may_go_out_once_only_shares_its_marks_with_no_other(adapter, monkeypatch):
    make_sender()
    application = make_application()
    for policy in ("at_least_once", "at_least_once", "at_most_once", "at_least_once"):
        make_message(application=application, policy=policy)
    groups = []
    start = delivery.start_attempts

    def record(jobs, **fields):
        groups.append([job.claim.message.policy for job in jobs])
        return start(jobs, **fields)

    monkeypatch.setattr(delivery, "start_attempts", record)

    drain()

    assert ["at_most_once"] in groups
    assert all("at_most_once" not in group or len(group) == 1 for group in groups)


def test_leases_are_renewed_at_half_time_for_all_that_is_held(adapter, monkeypatch, settings):
    settings.LEASE_SECONDS = 0
    make_sender(name="failing", priority=1)
    make_sender(name="working")
    application = make_application()
    messages = [make_message(application=application) for _ in range(5)]
    adapter.failures = {"failing": SenderFailure("transient")}
    held = []
    renew = states.renew_leases

    def record(claims, **fields):
        held.append(len(claims))
        return renew(claims, **fields)

    monkeypatch.setattr(states, "renew_leases", record)

    drain()

    assert {reloaded(message).status for message in messages} == {Status.SUCCESS}
    # Those of the failed sender are held too, until they get another one.
    assert held[:2] == [5, 5]


def test_what_was_given_to_another_worker_is_not_sent(adapter, settings):
    settings.LEASE_SECONDS = 0
    make_sender()
    application = make_application()
    first, second = (make_message(application=application) for _ in range(2))
    send = adapter.send

    def lose_the_second(self, outbound):
        Message.objects.filter(pk=second.pk).update(lease_token=9)
        return send(self, outbound)

    adapter.send, before = lose_the_second, adapter.send
    try:
        drain()
    finally:
        adapter.send = before

    assert reloaded(first).status == Status.SUCCESS
    assert reloaded(second).status == Status.SENDING
    assert len(adapter.sent) == 1


def test_a_recipient_that_was_refused_while_others_were_taken_is_in_the_story(adapter, monkeypatch):
    make_sender()
    message = make_message()
    receipt = Receipt(code="250", words="OK", refused=(Refusal("cc/0", "550 5.1.1", "no"),))
    monkeypatch.setattr(adapter, "send", lambda self, outbound: receipt)

    drain()

    assert reloaded(message).status == Status.SUCCESS
    assert story.tell(message)[-1].detail == "accepted: 250 OK Refused: cc/0 (550 5.1.1)."

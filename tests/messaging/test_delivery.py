import threading
import time
from collections import Counter, defaultdict
from datetime import timedelta

import pytest
from django.db import OperationalError

from messaging import delivery, lines, portions, states, story
from messaging.channels.base import (
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    Refusal,
    SenderFailure,
    TemporaryFailure,
)
from messaging.holdings import Holdings
from messaging.models import Attempt, Event, Message, Status
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


def test_a_message_that_may_go_out_once_only_is_in_a_group_of_its_own(adapter, monkeypatch):
    make_sender()
    application = make_application()
    # Fast, so that groups are as large as they get.
    monkeypatch.setattr(lines, "PACE", defaultdict(lambda: 0.001))
    monkeypatch.setattr(portions, "PACE", lines.PACE)
    for policy in ("at_least_once",) * 4 + ("at_most_once",) + ("at_least_once",) * 4:
        make_message(application=application, policy=policy)
    groups = []
    extend = lines.Line.extend

    def record(self, group):
        groups.append([job.claim.message.policy for job, _ in group])
        extend(self, group)

    monkeypatch.setattr(lines.Line, "extend", record)

    drain()

    assert ["at_most_once"] in groups
    assert all("at_most_once" not in group or len(group) == 1 for group in groups)
    assert max(map(len, groups)) > 1


def test_leases_are_renewed_in_time_for_all_that_is_held(adapter, monkeypatch, settings):
    settings.LEASE_SECONDS = 0.3
    make_sender()
    application = make_application()
    messages = [make_message(application=application) for _ in range(8)]
    send = adapter.send

    def send_slowly(self, outbound):
        time.sleep(0.12)
        return send(self, outbound)

    monkeypatch.setattr(adapter, "send", send_slowly)
    held = []
    renew = states.renew_leases

    def record(claims, **fields):
        held.append(len(claims))
        return renew(claims, **fields)

    monkeypatch.setattr(states, "renew_leases", record)

    drain()

    assert {reloaded(message).status for message in messages} == {Status.SUCCESS}
    # Those under way are held too, until their outcome is written down.
    assert held[0] >= 7


def test_what_was_given_to_another_worker_while_this_one_slept_is_not_sent(adapter, monkeypatch):
    sender = make_sender(per_day=100)
    application = make_application()
    first, second = (make_message(application=application) for _ in range(2))
    commit = delivery.commit

    def wake_up_late(outcomes, marks, **fields):
        Message.objects.filter(pk=second.pk).update(lease_token=9)
        return commit(outcomes, marks, **fields)

    monkeypatch.setattr(delivery, "commit", wake_up_late)

    drain()

    assert reloaded(first).status == Status.SUCCESS
    assert reloaded(second).status == Status.SENDING
    assert (len(adapter.sent), second.attempts.count()) == (1, 0)
    assert sender.windows.get(window="day").used == 1


def test_a_lease_that_ran_out_before_the_mark_is_not_handed_over(adapter):
    make_sender()
    message = make_message()
    moments = iter([NOON] * 3)

    def clock():
        return next(moments, NOON + timedelta(hours=1))

    delivery.drain(channel="email", lane="normal", clock=clock)

    assert (adapter.sent, message.attempts.count()) == ([], 0)
    assert reloaded(message).status == Status.SENDING


def test_a_worker_that_slept_past_its_leases_hands_over_nothing(adapter, monkeypatch):
    make_sender()
    message = make_message()
    monkeypatch.setattr(Holdings, "are_safe", lambda self: False)
    monkeypatch.setitem(delivery.SLICE_SECONDS, "normal", 0.1)

    drain()

    assert adapter.sent == []
    assert {a.outcome for a in message.attempts.all()} == {Attempt.Outcome.NOT_SENT}
    assert reloaded(message).status == Status.PENDING


def test_an_answer_that_comes_after_the_message_was_given_up_still_counts(adapter, monkeypatch):
    make_sender()
    message = make_message()
    commit = delivery.commit

    def commit_late(outcomes, marks, **fields):
        if outcomes:
            states.recover_leases(now=NOON + timedelta(days=1))
            fields["may_be_late"] = True
        return commit(outcomes, marks, **fields)

    monkeypatch.setattr(delivery, "commit", commit_late)

    drain()

    attempt = message.attempts.get()
    assert reloaded(message).status == Status.SUCCESS
    assert (attempt.outcome, attempt.unknown_at is not None) == (Attempt.Outcome.ACCEPTED, True)
    assert message.events.filter(kind=Event.Kind.LATE_SUCCESS).count() == 1


def test_what_waits_for_a_provider_that_is_silent_goes_to_another(adapter, monkeypatch):
    monkeypatch.setattr(delivery, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(delivery, "PATIENCE", 30.0)
    make_sender(name="silent", priority=1)
    make_sender(name="working")
    application = make_application()
    messages = [make_message(application=application) for _ in range(8)]
    send, is_heard = adapter.send, threading.Event()

    def send_or_hang(self, outbound):
        if self.account.name == "silent":
            is_heard.wait(20)
        elif len(adapter.sent) >= 5:
            is_heard.set()
        return send(self, outbound)

    monkeypatch.setattr(adapter, "send", send_or_hang)

    drain()

    assert {reloaded(message).status for message in messages} == {Status.SUCCESS}
    assert Counter(name for name, _ in adapter.sent)["working"] >= 6


@pytest.mark.django_db(transaction=True)
def test_a_provider_that_is_silent_holds_no_place_of_a_worker(adapter, monkeypatch):
    monkeypatch.setattr(delivery, "PATIENCE", 0.05)
    make_sender()
    message = make_message()
    send, may_answer = adapter.send, threading.Event()

    def answer_late(self, outbound):
        may_answer.wait(20)
        return send(self, outbound)

    monkeypatch.setattr(adapter, "send", answer_late)

    drain()
    meanwhile = reloaded(message).status
    may_answer.set()
    delivery.wait_for_late_answers(seconds=20)

    assert meanwhile == Status.SENDING
    assert reloaded(message).status == Status.SUCCESS


def test_what_is_urgent_goes_before_the_rest_of_a_bulk_run(adapter, monkeypatch):
    make_sender(max_connections=1)
    application = make_application()
    for _ in range(12):
        make_message(application=application, lane="bulk")
    urgent = make_message(application=application, lane="high")
    monkeypatch.setattr(delivery, "LOOK_EVERY", 0.05)
    send = adapter.send

    def send_slowly(self, outbound):
        time.sleep(0.03)
        return send(self, outbound)

    monkeypatch.setattr(adapter, "send", send_slowly)

    drain(lane="bulk")

    order = [str(urgent.pk) in outbound.message_id for _, outbound in adapter.sent]
    assert len(order) == 13
    assert 0 < order.index(True) < 8


def test_a_sender_gets_no_more_connections_at_once_than_it_may_have(adapter, monkeypatch):
    make_sender(name="narrow", max_connections=3)
    application = make_application()
    for _ in range(12):
        make_message(application=application, lane="high")
    send, open_now, most = adapter.send, [], []

    def send_slowly(self, outbound):
        open_now.append(1)
        most.append(len(open_now))
        time.sleep(0.05)
        open_now.pop()
        return send(self, outbound)

    monkeypatch.setattr(adapter, "send", send_slowly)
    monkeypatch.setattr(portions, "SOON", 0.01)

    drain(lane="high")

    assert (len(adapter.sent), max(most)) == (12, 3)


@pytest.mark.django_db(transaction=True)
def test_an_outcome_is_written_down_although_the_database_was_away(adapter, monkeypatch):
    make_sender()
    message = make_message()
    monkeypatch.setattr(delivery, "DATABASE_REST", 0.01)
    commit, failures = delivery.commit, [OperationalError("gone"), OperationalError("gone")]

    def fail_at_first(outcomes, marks, **fields):
        if outcomes and failures:
            raise failures.pop()
        return commit(outcomes, marks, **fields)

    monkeypatch.setattr(delivery, "commit", fail_at_first)

    drain()

    assert failures == []
    assert reloaded(message).status == Status.SUCCESS
    assert len(adapter.sent) == 1


def test_a_recipient_that_was_refused_while_others_were_taken_is_in_the_story(adapter, monkeypatch):
    make_sender()
    message = make_message()
    receipt = Receipt(code="250", words="OK", refused=(Refusal("cc/0", "550 5.1.1", "no"),))
    monkeypatch.setattr(adapter, "send", lambda self, outbound: receipt)

    drain()

    assert reloaded(message).status == Status.SUCCESS
    assert story.tell(message)[-1].detail == "accepted: 250 OK Refused: cc/0 (550 5.1.1)."

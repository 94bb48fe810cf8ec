"""What a drain does when the database, an adapter or an operator comes in between."""

import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import IntegrityError, OperationalError

from messaging import delivery, lines, portions
from messaging.channels.base import OutcomeUnknown, Receipt, SenderFailure
from messaging.channels.registry import connections
from messaging.models import Attempt, Message, Sender, Status
from messaging.sender_pool import Pool
from messaging.sender_quotas import give_back, reserve
from messaging.senders import save_sender
from tests.factories import (
    NOON,
    drain,
    make_application,
    make_message,
    make_sender,
    reloaded,
)

pytestmark = pytest.mark.django_db


def failing(monkeypatch, errors):
    """The next commits of a drain raise `errors`, one each."""
    commit = delivery.commit

    def fail_first(outcomes, marks, **fields):
        if errors:
            raise errors.pop(0)
        return commit(outcomes, marks, **fields)

    monkeypatch.setattr(delivery, "commit", fail_first)
    monkeypatch.setattr(delivery, "DATABASE_REST", 0.01)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [OperationalError("away"), IntegrityError("broken")])
def test_connections_are_given_back_when_the_marks_cannot_be_written(adapter, monkeypatch, error):
    sender = make_sender()
    message = make_message()
    failing(monkeypatch, [error])

    with suppress(IntegrityError):
        drain()

    assert connections().silent_since(sender.pk) is None
    assert reloaded(message).status in {Status.PENDING, Status.SENDING}
    assert adapter.sent == []


@pytest.mark.django_db(transaction=True)
def test_marks_of_which_nobody_knows_whether_they_were_written_are_closed_as_not_sent(
    adapter, monkeypatch
):
    sender = make_sender(per_day=10)
    message = make_message(policy="at_most_once")
    commit, answers_lost = delivery.commit, [True]

    def lose_the_answer(outcomes, marks, **fields):
        done = commit(outcomes, marks, **fields)
        if answers_lost:
            answers_lost.pop()
            raise OperationalError("the connection broke after the commit")
        return done

    monkeypatch.setattr(delivery, "commit", lose_the_answer)
    monkeypatch.setattr(delivery, "DATABASE_REST", 0.01)

    drain()

    assert message.attempts.get().outcome == Attempt.Outcome.NOT_SENT
    assert reloaded(message).status == Status.PENDING
    assert sender.windows.get(window="day").used == 0
    drain()
    assert reloaded(message).status == Status.SUCCESS


def test_what_broke_a_drain_is_raised_after_everything_under_way_is_written_down(
    adapter, monkeypatch
):
    make_sender()
    application = make_application()
    for _ in range(6):
        make_message(application=application)
    start, count = lines.Lines.start, []

    def break_down(self, group, adapter):
        count.append(1)
        if len(count) == 2:
            connections().give_back(adapter)
            raise RuntimeError("broken")
        start(self, group, adapter)

    monkeypatch.setattr(lines.Lines, "start", break_down)

    with pytest.raises(RuntimeError):
        drain()

    taken = len(adapter.sent)
    assert taken >= 1
    assert Message.objects.filter(status=Status.SUCCESS).count() == taken


def test_a_message_that_was_claimed_thrice_without_outcome_takes_no_others_along(
    adapter, monkeypatch
):
    make_sender()
    application = make_application()
    suspects = [make_message(application=application, claims=3) for _ in range(5)]
    held = []

    def look(self, outbound):
        held.append(Message.objects.filter(status=Status.SENDING).count())
        return Receipt(code="250")

    # In the drain's own thread, where the test's transaction is seen.
    monkeypatch.setattr(lines, "_threads", Inline)
    monkeypatch.setattr(adapter, "send", look)

    drain()
    drain()

    assert {reloaded(message).status for message in suspects} == {Status.SUCCESS}
    assert held[0] == 1


def test_words_that_cannot_be_stored_lose_no_outcome(adapter, monkeypatch):
    make_sender()
    application = make_application()
    messages = [make_message(application=application) for _ in range(4)]
    receipt = Receipt(code="250", words="OK\x00\ud800 taken", provider_message_id="a\x00b")
    monkeypatch.setattr(adapter, "send", lambda self, outbound: receipt)

    drain()

    assert {reloaded(message).status for message in messages} == {Status.SUCCESS}
    assert messages[0].attempts.get().provider_words == "OK   taken"


def test_a_content_of_a_wrong_shape_fails_alone(adapter):
    make_sender()
    application = make_application()
    good = [make_message(application=application) for _ in range(3)]
    bad = make_message(application=application, content={"to": ["ann@example.com"]})

    drain()

    assert reloaded(bad).status == Status.FAILED
    assert {reloaded(message).status for message in good} == {Status.SUCCESS}


def test_a_slow_sender_does_not_hold_what_a_fast_one_could_do(adapter, monkeypatch):
    make_sender(name="fast")
    make_sender(name="slow")
    application = make_application()
    for _ in range(250):
        make_message(application=application)
    monkeypatch.setitem(delivery.SLICE_SECONDS, "normal", 3.0)
    send = adapter.send

    def send_slowly(self, outbound):
        if self.account.name == "slow":
            time.sleep(0.5)
        return send(self, outbound)

    monkeypatch.setattr(adapter, "send", send_slowly)

    drain()

    counts = Counter(name for name, _ in adapter.sent)
    assert counts["fast"] >= 180
    assert Message.objects.filter(status=Status.SENDING).count() == 0


def test_a_failure_of_old_settings_does_not_bench_the_new_ones(adapter, monkeypatch):
    sender = make_sender(credentials={"password": "old"})
    message = make_message()

    def log_in(self, outbound):
        if self.account.credentials["password"] == "old":
            save_sender(Sender.objects.get(pk=sender.pk), credentials={"password": "new"})
            raise SenderFailure("credentials", phase="auth", code="535")
        return Receipt(code="250")

    # In the drain's own thread, where the test's transaction is seen.
    monkeypatch.setattr(lines, "_threads", Inline)
    monkeypatch.setattr(adapter, "send", log_in)

    drain()
    sender = reloaded(sender)

    assert sender.benched_until is None
    drain(now=NOON + timedelta(minutes=2))
    assert reloaded(message).status == Status.SUCCESS


class Inline:
    """Stands for the pool of threads."""

    def submit(self, call, *arguments):
        call(*arguments)


def test_an_adapter_that_breaks_is_no_fault_of_its_account(adapter, monkeypatch):
    sender = make_sender()
    application = make_application()
    for _ in range(5):
        make_message(application=application)
    monkeypatch.setattr(adapter, "send", lambda self, outbound: 1 / 0)

    drain()

    assert (reloaded(sender).failures, reloaded(sender).benched_until) == (0, None)


def test_silence_counts_against_the_account(adapter):
    sender = make_sender()
    application = make_application()
    for _ in range(3):
        make_message(application=application)
    adapter.failure = OutcomeUnknown("no_answer", phase="final_dot")

    drain()

    assert reloaded(sender).benched_until > NOON


def test_quota_is_given_back_to_the_window_it_was_taken_from():
    sender = make_sender(per_minute=60)
    before = NOON + timedelta(seconds=59)
    after = NOON + timedelta(seconds=61)
    assert reserve(sender, 50, now=before) == 50
    assert reserve(sender, 50, now=after) == 50

    give_back(sender, 50, now=before)

    assert reserve(sender, 60, now=after) == 10


def test_a_sender_that_left_the_pool_keeps_no_message(adapter, monkeypatch):
    make_sender(max_connections=1)
    application = make_application()
    messages = [make_message(application=application) for _ in range(4)]
    monkeypatch.setitem(delivery.SLICE_SECONDS, "normal", 0.2)
    monkeypatch.setattr(Pool, "senders", lambda self: [])
    monkeypatch.setattr(portions.Portions, "_borrow", lambda self, sender: None)

    drain()

    assert {reloaded(message).status for message in messages} == {Status.PENDING}


def test_who_is_urgent_has_the_next_connection_of_an_account_with_one(adapter):
    account = make_sender().account()
    pool = connections()
    first = pool.borrow(account, "fake", limit=1)

    assert pool.borrow(account, "fake", limit=1, is_urgent=True) is None
    pool.give_back(first)
    assert pool.borrow(account, "fake", limit=1) is None
    urgent = pool.borrow(account, "fake", limit=1, is_urgent=True)
    assert urgent is first
    pool.give_back(urgent)
    assert pool.borrow(account, "fake", limit=1) is first
    pool.give_back(first)


def test_a_backlog_that_nobody_can_take_is_spread_over_time(adapter):
    make_sender(is_active=False)
    application = make_application()
    Message.objects.bulk_create(
        Message(
            application=application,
            channel="email",
            recipient="ann@example.com",
            content={"to": [["", "ann@example.com"]], "subject": "x"},
            due_at=NOON,
            expires_at=NOON + timedelta(days=1),
        )
        for _ in range(1200)
    )

    drain()

    due = sorted(Message.objects.values_list("due_at", flat=True))
    assert set(Message.objects.values_list("reason", flat=True)) == {"no_sender"}
    assert due[-1] - due[0] > timedelta(seconds=1)
    assert threading.active_count() < 50

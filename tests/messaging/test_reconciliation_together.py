"""Many who ask at once, with real connections."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from messaging import reconciliation, states
from messaging.channels.base import Found, Standing
from messaging.models import Event, Message, Status
from tests.factories import NOON, make_application, make_sender, reloaded
from tests.fakes import FakeEmail
from tests.messaging.reporting import in_state

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls):
    def run(call):
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


def ask():
    return reconciliation.ask_about_unknown(clock=lambda: NOON)


def sweep():
    return states.settle_unknown(now=NOON)


def test_two_who_ask_and_two_sweeps_settle_each_message_once(asked, adapter, monkeypatch):
    sender, application = make_sender(name="one"), make_application()
    messages = [
        in_state(sender, "unknown", status="unknown", application=application)[0] for _ in range(20)
    ]

    def look_up(self, handed):
        self.calls.append(handed.attempt_id)
        time.sleep(0.005)
        return Found(Standing.ABSENT)

    monkeypatch.setattr(FakeEmail, "look_up", look_up)

    taken = at_once(ask, sweep, ask, sweep)

    assert sum(taken) == 20
    assert len(adapter.calls) == len(set(adapter.calls)) == 20
    assert Message.objects.filter(status=Status.PENDING, unknown_resends=1).count() == 20
    assert Event.objects.filter(kind=Event.Kind.SENT_AGAIN).count() == len(messages)


def test_who_asks_too_long_decides_nothing(asked, adapter, monkeypatch):
    """Its claim ran out; another one took the message and settled it."""
    message, _ = in_state(make_sender(name="one"), "unknown", status="unknown")
    is_asked, may_answer = threading.Event(), threading.Event()

    def look_up(self, handed):
        self.calls.append(handed.attempt_id)
        if len(self.calls) == 1:
            is_asked.set()
            assert may_answer.wait(20)
        return Found(Standing.ABSENT)

    monkeypatch.setattr(FakeEmail, "look_up", look_up)
    later = NOON + timedelta(minutes=5)

    def second():
        assert is_asked.wait(20)
        taken = reconciliation.ask_about_unknown(clock=lambda: later)
        may_answer.set()
        return taken

    assert at_once(ask, second) == [1, 1]

    assert reloaded(message).due_at == later
    assert Event.objects.filter(kind=Event.Kind.SENT_AGAIN).count() == 1
    assert len(adapter.calls) == 2

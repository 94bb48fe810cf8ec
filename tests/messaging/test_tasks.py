from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging import delivery, metrics, tasks
from messaging.models import Status
from tests.factories import make_application, make_message, make_sender, reloaded

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _run_on_commit(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        yield


def due_now(**fields):
    now = timezone.now()
    # A second ago: inside a transaction PostgreSQL says when that began.
    due_at = now - timedelta(seconds=1)
    return make_message(created_at=now, due_at=due_at, expires_at=now + timedelta(days=1), **fields)


def test_a_drain_by_the_database_clock_sends(adapter):
    make_sender()
    message = due_now()

    tasks.drain(channel="email", lane="normal")

    assert reloaded(message).status == Status.SUCCESS


def test_the_backlog_counts_by_lane_what_is_due_and_how_old_it_is():
    due_now(lane="high")
    make_message(
        created_at=timezone.now(),
        due_at=timezone.now() - timedelta(minutes=10),
        expires_at=timezone.now() + timedelta(days=1),
    )
    make_message(due_at=timezone.now() + timedelta(hours=1))

    backlog = {lane: (count, age) for _, lane, count, age in metrics.backlog()}

    assert backlog["high"][0] == 1
    assert backlog["normal"][0] == 1
    assert backlog["normal"][1] == pytest.approx(600, abs=30)


def test_a_busy_lane_hides_no_other_one():
    due_now(lane="bulk"), due_now(lane="bulk"), due_now(lane="high")
    make_message(due_at=timezone.now() + timedelta(hours=1))

    assert metrics.due_lanes() == [("email", "high"), ("email", "bulk")]


def test_a_sweep_rings_for_each_lane_in_which_something_is_due(
    bells, django_capture_on_commit_callbacks
):
    due_now(lane="bulk"), due_now(lane="high")

    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep()

    assert bells == [("email", "high"), ("email", "bulk")]


def test_a_sweep_that_finds_nothing_asks_seven_questions_at_most():
    with CaptureQueriesContext(connection) as queries:
        tasks.sweep()

    assert len(queries) <= 7


def test_what_waits_for_a_sender_is_counted_by_lane_since_it_was_accepted():
    now = timezone.now()
    waiting = {"reason": "no_sender", "expires_at": now + timedelta(days=1)}
    for minutes in (5, 10):
        make_message(
            created_at=now - timedelta(minutes=minutes),
            due_at=now + timedelta(seconds=30),
            **waiting,
        )
    due_now()

    ((channel, lane, count, age),) = metrics.waiting_for_sender()

    assert (channel, lane, count) == ("email", "normal", 2)
    assert age == pytest.approx(600, abs=30)


def test_lost_leases_and_open_outcomes_that_nobody_took_are_counted():
    now = timezone.now()
    make_message(status="sending", leased_until=now - timedelta(minutes=10))
    make_message(status="sending", leased_until=now + timedelta(minutes=5))
    make_message(status="unknown", due_at=now - timedelta(minutes=20))
    make_message(status="unknown", due_at=now + timedelta(minutes=1))

    (lost, (status, count, age)) = metrics.unswept()

    assert lost == ("sending", 1, pytest.approx(600, abs=30))
    assert (status, count, age) == ("unknown", 1, pytest.approx(1200, abs=30))


def test_a_stopping_worker_gives_its_claims_back(adapter, monkeypatch):
    sender = make_sender(per_day=100)
    application = make_application()
    messages = [due_now(application=application) for _ in range(5)]
    send = adapter.send

    def send_and_stop(self, outbound):
        delivery.stopping.set()
        return send(self, outbound)

    monkeypatch.setattr(adapter, "send", send_and_stop)

    tasks.drain(channel="email", lane="normal")

    statuses = sorted(reloaded(message).status for message in messages)
    # Two connections were under way; what they had in hand was finished.
    assert statuses == ["pending"] * 3 + ["success"] * 2
    assert all(reloaded(message).claims == 0 for message in messages)
    assert sender.windows.get().used == 2

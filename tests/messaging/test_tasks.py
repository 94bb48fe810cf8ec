from datetime import timedelta

import pytest
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
    return make_message(created_at=now, due_at=now, expires_at=now + timedelta(days=1), **fields)


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

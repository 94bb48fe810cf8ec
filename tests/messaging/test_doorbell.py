import threading
from contextlib import suppress

import pytest
from django.db import transaction

from messaging import doorbell


@pytest.fixture
def published(monkeypatch):
    bells: list[tuple[str, str]] = []
    arrived = threading.Semaphore(0)

    def publish(bell):
        bells.append(bell)
        arrived.release()

    monkeypatch.setattr(doorbell, "publish", publish)
    return bells, arrived


def test_many_rings_within_a_pause_are_one_wake_up(published, monkeypatch):
    bells, arrived = published
    monkeypatch.setattr(doorbell, "PAUSE", 0.3)
    ringer = doorbell.Ringer()

    ringer.ring(("email", "high"))
    assert arrived.acquire(timeout=5)
    for _ in range(100):
        ringer.ring(("email", "normal"))
    assert arrived.acquire(timeout=5)

    assert bells == [("email", "high"), ("email", "normal")]


def test_after_a_failure_it_rests_and_rings_again(monkeypatch):
    tries = []
    rung = threading.Event()

    def publish(bell):
        tries.append(bell)
        if len(tries) == 1:
            raise ConnectionError("the broker is away")
        rung.set()

    monkeypatch.setattr(doorbell, "publish", publish)
    monkeypatch.setattr(doorbell, "REST_AFTER_FAILURE", 0.01)
    ringer = doorbell.Ringer()

    ringer.ring(("email", "bulk"))

    assert rung.wait(5)
    assert tries == [("email", "bulk")] * 2


def test_a_ring_never_waits_for_the_broker(monkeypatch):
    is_hanging, may_end = threading.Event(), threading.Event()

    def publish(bell):
        is_hanging.set()
        may_end.wait(5)

    monkeypatch.setattr(doorbell, "publish", publish)
    ringer = doorbell.Ringer()

    ringer.ring(("email", "high"))
    assert is_hanging.wait(5)
    ringer.ring(("email", "high"))

    may_end.set()


def test_every_lane_has_a_queue(settings):
    names = {queue.name for queue in settings.CELERY_TASK_QUEUES}

    for channel in settings.CHANNEL_FAMILIES:
        for lane in settings.LANES:
            assert doorbell.queue_name(channel, lane) in names


@pytest.fixture
def sent(monkeypatch):
    """What `send_task` was called with by this test: (task, options). The threads of ringers that
    others started go on, and publish when they have rested."""
    calls, mine = [], threading.current_thread()

    def send_task(task, **options):
        if threading.current_thread() is mine:
            calls.append((task, options))

    monkeypatch.setattr(doorbell.current_app, "send_task", send_task)
    return calls


def test_a_hint_for_a_lane_and_one_for_a_sweep_go_to_their_queues(sent, settings):
    doorbell.publish(("email", "high"))
    doorbell.publish(doorbell.SWEEP)

    (drain, of_drain), (sweep, of_sweep) = sent
    assert (drain, sweep) == ("messaging.drain", "messaging.sweep")
    assert of_drain["kwargs"] == {"channel": "email", "lane": "high"}
    assert of_drain["queue"] == doorbell.queue_name("email", "high")
    assert of_sweep["kwargs"] == {}
    assert of_sweep["queue"] == settings.HOUSEKEEPING_QUEUE
    assert (of_drain["expires"], of_sweep["expires"]) == (60, 5)
    assert not of_sweep["retry"]


def test_asking_for_a_sweep_rings_the_bell(bells):
    doorbell.ring_sweep()

    assert bells == [doorbell.SWEEP]


@pytest.mark.django_db(transaction=True)
def test_a_bell_rings_after_the_commit_and_never_for_what_was_rolled_back(bells):
    with transaction.atomic():
        doorbell.ring(channel="email", lane="high")
        before = list(bells)
    with suppress(ZeroDivisionError), transaction.atomic():
        doorbell.ring(channel="email", lane="bulk")
        raise ZeroDivisionError

    assert (before, bells) == ([], [("email", "high")])

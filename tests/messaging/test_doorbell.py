import threading

import pytest

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

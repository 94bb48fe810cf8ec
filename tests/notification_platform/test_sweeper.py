"""Workers ask for sweeps themselves, so that nothing depends on beat."""

import threading

import pytest
from celery import signals

from notification_platform import celery
from notification_platform.embedded import parts


@pytest.fixture(autouse=True)
def _ended():
    yield
    celery.end_sweepers()


def test_a_ready_worker_asks_for_sweeps_until_it_shuts_down(bells, monkeypatch):
    monkeypatch.setattr(celery.Sweeper.__init__, "__kwdefaults__", {"seconds": 0.01})
    asked = threading.Semaphore(0)
    monkeypatch.setattr("messaging.doorbell.ring_sweep", asked.release)

    celery.start_sweeper()
    (sweeper,) = celery.sweepers
    assert all(asked.acquire(timeout=5) for _ in range(3))

    signals.worker_shutting_down.send(sender=None, sig="TERM", how="Warm", exitcode=0)
    sweeper.join(5)

    assert not sweeper.is_alive()
    assert not celery.sweepers


def test_a_worker_that_is_ready_again_has_one_sweeper():
    celery.start_sweeper()
    (first,) = celery.sweepers
    celery.start_sweeper()
    (second,) = celery.sweepers
    first.join(5)

    assert not first.is_alive()
    assert second.is_alive()
    assert second.daemon


def test_it_stops_when_the_worker_does():
    celery.start_sweeper()

    signals.worker_shutdown.send(sender=None)

    assert not celery.sweepers


def test_both_signals_of_the_worker_are_listened_to():
    listening = {
        name: [receiver() for _, receiver in getattr(signals, name).receivers]
        for name in ("worker_ready", "worker_shutting_down", "worker_shutdown")
    }

    assert celery.start_sweeper in listening["worker_ready"]
    assert celery.end_sweepers in listening["worker_shutting_down"]
    assert celery.end_sweepers in listening["worker_shutdown"]


def test_the_embedded_worker_has_beat_beside_it_and_starts_none():
    worker = parts.start_worker()
    try:
        assert not celery.sweepers
    finally:
        worker.stop()

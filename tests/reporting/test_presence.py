"""Workers show that they are there, and the first page tells when one is not."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from reporting import presence
from reporting.models import Worker
from reporting.presence import Presence, workers
from tests.factories import NOON

SECOND = timedelta(seconds=1)


@pytest.mark.django_db(transaction=True)
def test_a_worker_shows_itself_until_it_ends():
    shown = Presence("celery@one", processes=4, seconds=0.01)
    shown.start()
    try:
        first = _wait_for(lambda row: True)
        _wait_for(lambda row: row.seen_at > first.seen_at)
        assert first.processes == 4
    finally:
        shown.end(wait=5)

    assert not Worker.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_next_worker_takes_away_what_those_before_it_left():
    Worker.objects.create(name="was once", processes=2, seen_at=NOON - timedelta(days=400))
    shown = Presence("celery@one", processes=4, seconds=0.01)
    shown.start()
    try:
        _wait_for(lambda row: row.name == "celery@one")
    finally:
        shown.end(wait=5)

    assert not Worker.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_does_not_end_it(monkeypatch):
    failed = threading.Event()

    def fail(self):
        failed.set()
        monkeypatch.undo()
        with connection.cursor() as cursor:
            cursor.execute("SELECT nonsense")

    monkeypatch.setattr(Presence, "_show", fail)
    shown = Presence("celery@one", processes=4, seconds=0.01)
    shown.start()
    try:
        assert failed.wait(5)
        assert _wait_for(lambda row: True).name == "celery@one"
    finally:
        shown.end(wait=5)


@pytest.mark.django_db
def test_who_has_not_shown_itself_lately_is_gone_and_later_forgotten():
    late, forgotten = presence.IS_LATE, presence.KEPT
    Worker.objects.create(name="works", processes=2, seen_at=NOON - late + SECOND)
    Worker.objects.create(name="is gone", processes=2, seen_at=NOON - late)
    Worker.objects.create(name="was once", processes=2, seen_at=NOON - forgotten)

    assert [(seen.name, seen.is_there) for seen in workers(now=NOON)] == [
        ("is gone", False),
        ("works", True),
    ]


def _wait_for(is_so):
    """Its row, as soon as it is as asked."""
    ended = threading.Event()
    for _ in range(1000):
        row = Worker.objects.first()
        if row is not None and is_so(row):
            return row
        ended.wait(0.01)
    raise AssertionError("It did not show itself.")

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from messaging.models import Message
from reporting import rollups
from reporting.models import Hour, HourlyDetail
from tests.factories import NOON
from tests.reporting.messages import accepted, by_sql, by_statistics

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor == 'sqlite'", reason="It has one writer at a time."),
]


def in_thread(call):
    def run():
        try:
            call()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_many_who_count_one_hour_at_once_count_it_once():
    for _ in range(5):
        accepted()

    threads = [in_thread(lambda: rollups.recount(NOON, now=NOON)) for _ in range(6)]
    for thread in threads:
        thread.join()

    assert by_statistics() == by_sql()
    assert HourlyDetail.objects.count() == 5


def test_what_is_marked_while_it_is_counted_stays_marked(monkeypatch):
    """Whoever counts read before the change, and took the mark away after it."""
    message = accepted()
    rollups.mark([NOON], now=NOON)
    has_read, count = threading.Event(), rollups._count
    may_go_on = threading.Event()

    def slow(hour):
        count(hour)
        has_read.set()
        assert may_go_on.wait(10)

    monkeypatch.setattr(rollups, "_count", slow)
    counting = in_thread(lambda: rollups.recount(NOON, now=NOON))
    assert has_read.wait(10)
    Message.objects.filter(pk=message.pk).update(reason="resent")
    marking = in_thread(lambda: rollups.mark([NOON], now=NOON + timedelta(seconds=1)))
    marking.join(0.5)
    is_waiting = marking.is_alive()
    may_go_on.set()
    counting.join()
    marking.join()

    assert is_waiting
    assert Hour.objects.get(began_at=NOON).dirty_since == NOON + timedelta(seconds=1)


def test_readers_see_the_hour_whole_while_it_is_counted():
    accepted()
    rollups.recount(NOON, now=NOON)

    with transaction.atomic():
        rollups.recount(NOON, now=NOON)
        seen = []
        reading = in_thread(lambda: seen.append(HourlyDetail.objects.count()))
        reading.join(10)

    assert seen == [1]

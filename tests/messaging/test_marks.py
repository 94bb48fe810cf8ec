"""The marks of hand-overs and the sweep, both at the same time, each on a connection of its own."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction

from messaging import states
from messaging.attempts import Job, new_marks, start_attempts
from messaging.models import Attempt, Message, Status
from tests.factories import NOON, drain, make_application, make_message, make_sender, reloaded

pytestmark = pytest.mark.django_db(transaction=True)

several_writers = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite has one writer at a time"
)
LEASE = timedelta(minutes=5)
# By the worker's clock the lease just holds; by the sweep's it just ran out.
LAST_MOMENT = NOON + LEASE - timedelta(microseconds=1)
AFTER_LEASE = NOON + LEASE


def in_passing(call):
    """`call` by somebody else, on a connection of its own."""

    def run():
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result()


def claim():
    claimed = states.claim_due(channel="email", lane="normal", limit=100, now=NOON, lease=LEASE)
    return claimed.claims


def marks_for(claims, sender):
    jobs = [Job(claim, sender, {}, NOON) for claim in claims]
    return new_marks(jobs, worker="w", now=LAST_MOMENT)


@contextmanager
def just_before(statement, call):
    """`call` before this connection executes the first that contains `statement`."""
    is_done = False

    def look(execute, sql, params, many, context):
        nonlocal is_done
        if statement in sql and not is_done:
            is_done = True
            call()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        yield
    assert is_done


def is_waiting_for_a_lock(pid):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", [pid])
        return cursor.fetchone() is not None


@several_writers
def test_the_sweep_passes_over_a_message_whose_mark_is_being_written():
    message = make_message()
    marks = marks_for(claim(), make_sender())

    with transaction.atomic():
        started = start_attempts(marks)
        meanwhile = in_passing(lambda: states.recover_leases(now=AFTER_LEASE))
    later = states.recover_leases(now=AFTER_LEASE)

    assert (started, meanwhile, later) == ({mark.pk for mark in marks}, 0, 1)
    assert reloaded(message).status == Status.UNKNOWN


@several_writers
def test_a_mark_that_is_committed_while_the_sweep_begins_is_seen():
    message = make_message()
    marks = marks_for(claim(), make_sender())

    with just_before("FOR UPDATE", lambda: in_passing(lambda: start_attempts(marks))):
        states.recover_leases(now=AFTER_LEASE)

    assert message.attempts.count() == 1
    assert reloaded(message).status == Status.UNKNOWN


@several_writers
def test_a_mark_that_comes_while_the_sweep_holds_the_message_is_not_written():
    message = make_message()
    marks = marks_for(claim(), make_sender())
    pids, has_pid = [], threading.Event()

    def start():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.append(cursor.fetchone()[0])
        has_pid.set()
        return start_attempts(marks)

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            states.recover_leases(now=AFTER_LEASE)
            starting = pool.submit(in_passing, start)
            assert has_pid.wait(60)
            while not (starting.done() or is_waiting_for_a_lock(pids[0])):
                time.sleep(0.01)
        started = starting.result()

    assert started == set()
    assert not Attempt.objects.exists()
    assert reloaded(message).status == Status.PENDING


def test_what_is_handed_over_has_a_mark_that_everybody_can_see(adapter, monkeypatch):
    make_sender()
    application = make_application()
    made = {make_message(application=application).pk for _ in range(5)}
    send, seen = adapter.send, []

    def look_and_send(self, outbound):
        # A thread of the drain's: its connection sees what is committed, and nothing else.
        try:
            mark = Attempt.objects.filter(pk=outbound.attempt_id, outcome="")
            seen.extend(mark.values_list("message_id", flat=True))
        finally:
            connection.close()
        return send(self, outbound)

    monkeypatch.setattr(adapter, "send", look_and_send)

    drain()

    assert (len(seen), set(seen)) == (5, made)


@several_writers
def test_a_claim_never_waits_for_a_message_that_somebody_holds():
    application = make_application()
    held, free = (make_message(application=application) for _ in range(2))

    def claim_beside():
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        return claim()

    with transaction.atomic():
        Message.objects.select_for_update().get(pk=held.pk)
        claims = in_passing(claim_beside)

    assert [claim.message.pk for claim in claims] == [free.pk]
    assert reloaded(held).status == Status.PENDING

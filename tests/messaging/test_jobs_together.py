"""Several workers at one job, with real connections and real transactions."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from messaging import jobs, resending
from messaging.models import Event, Job
from messaging.selection import select
from tests.factories import NOON, make_application, make_message, reloaded
from tests.messaging.test_concurrency import at_once

pytestmark = pytest.mark.django_db(transaction=True)

LATER = NOON + timedelta(days=1)


def make_job(count):
    application = make_application()
    for _ in range(count):
        make_message(application=application, status="failed")
    selection = select({"application": str(application.pk)}, at=LATER)
    return jobs.ask(kind=Job.Kind.RESEND, selection=selection, actor_id=None, now=LATER)


def test_tasks_that_come_twice_do_it_once(monkeypatch):
    monkeypatch.setattr(resending, "SLICE", 5)
    job = make_job(40)

    at_once(lambda _: jobs.work_off(clock=lambda: LATER), count=4)

    job = reloaded(job)
    assert (job.state, job.done, job.passed) == ("done", 40, {})
    assert Event.objects.count() == 40


def test_a_worker_that_froze_in_the_middle_and_its_successor_do_each_message_once(monkeypatch):
    monkeypatch.setattr(resending, "SLICE", 5)
    job = make_job(20)
    is_frozen, may_go_on = threading.Event(), threading.Event()

    def freeze(point):
        if point == "job_slice_committed" and threading.current_thread().name == "frozen":
            is_frozen.set()
            assert may_go_on.wait(timeout=20)

    monkeypatch.setattr(jobs, "crash_at", freeze)

    def work():
        try:
            jobs.work_off(clock=lambda: LATER)
        finally:
            connection.close()

    frozen = threading.Thread(target=work, name="frozen")
    frozen.start()
    assert is_frozen.wait(timeout=20)
    jobs.work_off(clock=lambda: LATER + jobs.LEASE)
    may_go_on.set()
    frozen.join(timeout=20)

    job = reloaded(job)
    assert (job.state, job.done, job.passed) == ("done", 20, {})
    assert Event.objects.count() == 20

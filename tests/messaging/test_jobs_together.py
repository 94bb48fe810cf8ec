"""Several workers at one job, with real connections and real transactions."""

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection

from messaging import jobs, resending
from messaging.models import Event, Job
from messaging.selection import select
from tests.factories import NOON, make_application, make_message, reloaded
from tests.messaging.test_concurrency import at_once

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[2]
LATER = NOON + timedelta(days=1)
WORK = """
import sys
from datetime import datetime
import tests.environment
import django
django.setup()
from django.db import connection
from messaging import jobs, resending
connection.settings_dict["NAME"] = sys.argv[1]
resending.SLICE = 5
jobs.work_off(clock=lambda: datetime.fromisoformat(sys.argv[2]))
"""


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


@pytest.mark.parametrize(("point", "kept"), [("job_slice_done", 0), ("job_slice_committed", 5)])
def test_a_process_that_is_killed_leaves_the_rest_to_the_next_one(point, kept, tmp_path):
    job = make_job(12)
    armed = tmp_path / "armed"
    armed.touch()
    environment = os.environ | {
        "CRASH_AT": f"{point}@{armed}",
        "DJANGO_SETTINGS_MODULE": "notification_platform.settings",
    }
    name = str(connection.settings_dict["NAME"])

    done = subprocess.run(
        [sys.executable, "-c", WORK, name, LATER.isoformat()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (reloaded(job).done, Event.objects.count()) == (kept, kept)

    jobs.work_off(clock=lambda: LATER + jobs.LEASE)
    job = reloaded(job)
    assert (job.state, job.done, job.passed) == ("done", 12, {})
    assert Event.objects.count() == 12

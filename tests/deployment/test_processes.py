"""What the processes of a deployment do around our own code: heartbeat, gunicorn, first secrets."""

import os
import re
import runpy
import shutil
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import signals
from structlog.testing import capture_logs

from notification_platform.celery import show_heartbeat, touch_heartbeat

TOP = Path(__file__).resolve().parent.parent.parent

# --- Heartbeat -----------------------------------------------------------------------------------


@pytest.fixture
def heartbeat(settings, tmp_path):
    settings.HEARTBEAT_PATH = str(tmp_path / "heartbeat")
    # A worker without a broker refuses to start.
    settings.CELERY_BROKER_URL = "amqp://broker.example.com"
    yield tmp_path / "heartbeat"
    signals.heartbeat_sent.disconnect(touch_heartbeat)
    signals.after_task_publish.disconnect(touch_heartbeat)


def test_a_worker_shows_that_its_main_loop_turns(heartbeat):
    signals.celeryd_init.send(sender="worker", conf=None)

    signals.after_task_publish.send(sender="a doorbell")
    assert not heartbeat.exists()
    signals.heartbeat_sent.send(sender=None)
    assert heartbeat.exists()


def test_beat_shows_that_the_broker_takes_its_tasks(heartbeat):
    signals.beat_init.send(sender=None)

    signals.after_task_publish.send(sender="messaging.sweep")

    assert heartbeat.exists()


def test_without_a_path_nothing_is_touched(settings):
    settings.HEARTBEAT_PATH = ""

    show_heartbeat(signal=signals.beat_init)

    assert not signals.after_task_publish.has_listeners()


# --- Gunicorn ------------------------------------------------------------------------------------


@pytest.fixture
def gunicorn(monkeypatch):
    monkeypatch.setenv("WEB_CONCURRENCY", "")
    return SimpleNamespace(**runpy.run_path(str(TOP / "docker" / "gunicorn.conf.py")))


def logged(gunicorn, path: str, status: int = 200) -> list:
    answer = SimpleNamespace(status_code=status, headers=[("X-Request-ID", "r1")])
    request = {"PATH_INFO": path, "QUERY_STRING": "recipient=ann@example.com"}
    with capture_logs() as lines:
        gunicorn.Log.access(None, answer, None, request, timedelta(milliseconds=12))
    return lines


def test_gunicorn_has_one_worker_more_than_cores_and_no_control_socket(gunicorn):
    assert gunicorn.workers == len(os.sched_getaffinity(0)) + 1
    assert gunicorn.control_socket_disable


def test_the_access_log_names_no_recipient(gunicorn):
    [line] = logged(gunicorn, "/api/v1/suppressions/ann@example.com")

    assert line["request_id"] == "r1"
    assert line["milliseconds"] == 12
    assert "ann" not in str(line)


def test_only_failing_probes_are_logged(gunicorn):
    assert logged(gunicorn, "/health/live") == logged(gunicorn, "/metrics") == []
    assert len(logged(gunicorn, "/health/ready", status=503)) == 1


def test_a_fresh_web_process_takes_the_place_that_became_free(gunicorn):
    server = SimpleNamespace(WORKERS={11: SimpleNamespace(place=0), 13: SimpleNamespace(place=2)})
    fresh, next_one = SimpleNamespace(), SimpleNamespace()

    gunicorn.pre_fork(server, fresh)
    server.WORKERS[14] = fresh
    gunicorn.pre_fork(server, next_one)

    assert (fresh.place, next_one.place) == (1, 3)


# --- First secrets -------------------------------------------------------------------------------


@pytest.fixture
def make_env(tmp_path):
    """Runs the script on a copy of the example; answers the finished process."""
    (tmp_path / "docker").mkdir()
    shutil.copy(TOP / ".env.example", tmp_path)
    script = shutil.copy(TOP / "docker" / "make_env.py", tmp_path / "docker")
    return lambda: subprocess.run(
        [sys.executable, "-I", script], capture_output=True, text=True, check=False
    )


def test_the_made_file_is_private_and_satisfies_the_platform(make_env, tmp_path):
    assert make_env().returncode == 0

    file = tmp_path / ".env"
    check = subprocess.run(
        [sys.executable, TOP / "manage.py", "check", "--fail-level", "ERROR"],
        env={"PATH": os.environ["PATH"], "ENV_FILE": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert check.returncode == 0, check.stderr
    assert not re.search(r"^[A-Z_]+=$", file.read_text(), flags=re.MULTILINE)


def test_secrets_in_use_are_never_overwritten(make_env, tmp_path):
    make_env()
    before = (tmp_path / ".env").read_text()

    again = make_env()

    assert again.returncode == 1
    assert "exists" in again.stderr
    assert (tmp_path / ".env").read_text() == before

"""The entrypoint is really run, with stand-ins that print what they were started with."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent.parent
PRINT_ARGUMENTS = '#!/bin/sh\necho "$(basename "$0") $*"\n'
# Names of queues are asked of the real thing; `check` can be made to fail.
PYTHON = f"""#!/bin/sh
case "$*" in
    "-m notification_platform.queues"*) exec "{sys.executable}" "$@" ;;
    *check*) echo "python $*"; exit "${{CHECK_FAILS:-0}}" ;;
    *) echo "python $*" ;;
esac
"""
CHECKED = "python manage.py check --fail-level ERROR"


@pytest.fixture
def entrypoint(tmp_path):
    """Runs the script in any folder; answers `(exit status, lines of output, errors)`."""
    for name, text in {
        "python": PYTHON,
        "gunicorn": PRINT_ARGUMENTS + 'test -d "$PROMETHEUS_MULTIPROC_DIR" && echo shared\n',
        "celery": PRINT_ARGUMENTS + 'echo "metrics ${PROMETHEUS_MULTIPROC_DIR:+shared}"\n',
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(stat.S_IRWXU)

    def run(*arguments: str, **environment: str) -> tuple[int, list[str], str]:
        done = subprocess.run(
            [TOP / "docker" / "entrypoint.sh", *arguments],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", "TMPDIR": str(tmp_path), **environment},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    return run


def test_web_checks_and_serves_with_shared_metrics(entrypoint):
    served = "gunicorn -c docker/gunicorn.conf.py notification_platform.wsgi:application"

    assert entrypoint("web") == (0, [CHECKED, served, "shared"], "")


def test_a_worker_serves_every_lane_unless_told(entrypoint):
    queues = ",".join(
        f"notifications.{channel}.{lane}"
        for channel in ("email", "sms", "wechat", "wechat_official", "chat")
        for lane in ("high", "normal", "bulk")
    )
    started = (
        "celery -A notification_platform worker -P threads -c 8 "
        f"-Q {queues},notifications.housekeeping,notifications.webhooks"
    )

    assert entrypoint("worker") == (0, [CHECKED, started, "metrics "], "")


def test_a_worker_serves_the_lanes_it_is_told(entrypoint):
    _, lines, _ = entrypoint(
        "worker",
        "--loglevel",
        "DEBUG",
        WORKER_LANES="high, housekeeping",
        WORKER_CONCURRENCY="3",
        QUEUE_PREFIX="blue",
    )

    assert " -c 3 -Q blue.email.high,blue.sms.high,blue.wechat.high," in lines[1]
    assert ",blue.chat.high,blue.housekeeping --" in lines[1]
    assert lines[1].endswith("--loglevel DEBUG")


def test_a_worker_with_a_metrics_port_keeps_its_metrics_in_files(entrypoint):
    _, lines, _ = entrypoint("worker", WORKER_METRICS_PORT="9100")

    assert lines[-1] == "metrics shared"


def test_a_worker_of_an_unknown_lane_does_not_start(entrypoint):
    status, lines, errors = entrypoint("worker", WORKER_LANES="high,fast")

    assert (status, lines) == (1, [CHECKED])
    assert errors == (
        "WORKER_LANES: There is no lane 'fast'. "
        "There is: high, normal, bulk, housekeeping, webhooks.\n"
    )


def test_beat_schedules(entrypoint):
    started = "celery -A notification_platform beat"

    assert entrypoint("beat") == (0, [CHECKED, started, "metrics "], "")


def test_migrate_asks_nothing(entrypoint):
    assert entrypoint("migrate") == (0, ["python manage.py migrate --noinput"], "")


def test_manage_passes_everything_on(entrypoint):
    status, lines, _ = entrypoint("manage", "resend_messages", "--since", "2 hours")

    assert (status, lines) == (0, ["python manage.py resend_messages --since 2 hours"])


@pytest.mark.parametrize("command", ["web", "worker", "beat"])
def test_nothing_starts_when_the_configuration_is_wrong(entrypoint, command):
    assert entrypoint(command, CHECK_FAILS="1") == (1, [CHECKED], "")


@pytest.mark.parametrize("arguments", [["serve"], []])
def test_an_unknown_command_is_told_what_there_is(entrypoint, arguments):
    status, lines, errors = entrypoint(*arguments)

    assert (status, lines) == (64, [])
    assert errors.endswith("There is: web, worker, beat, migrate, manage.\n")
    assert errors.count("\n") == 1

"""How many messages a second go from rows to an SMTP server, with their marks and outcomes.

The workers are `celery worker` with its prefork pool of one or two processes, as in production: one
process drains with one connection, so two are compared with the same single connection of smtplib.
"""

import os
import smtplib
import subprocess
import sys
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from django.db import connection
from django.utils import timezone

from accounts.models import Application
from bench.letter import HTML, SUBJECT, TEXT
from bench.report import Figure
from bench.stage import ROOT, BenchError, Process, Stage, wait_for
from messaging import doorbell
from messaging.models import Attempt, Message, Sender, Status

TARGETS = {"high": 0.15, "bulk": 0.25}
PROCESSES = (1, 2)
WARM_UP = 250
# A drain that stands still for this long is not slow but broken.
PATIENCE = 180
# Enough for seconds: a fraction of one says more about the moment than about smtplib.
REFERENCE_MESSAGES = 10_000


class Sink:
    """The sink's process, asked over a connection of its own."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.port = int(process.first_line())
        self._control = smtplib.SMTP("127.0.0.1", self.port, local_hostname="bench")

    def reset(self) -> None:
        self._control.docmd("XRESET")

    def messages(self) -> int:
        self.process.check()
        return int(self._control.docmd("XCOUNT")[1].split()[0])

    def size(self) -> int:
        """Bytes of all messages together."""
        return int(self._control.docmd("XCOUNT")[1].split()[1])

    def close(self) -> None:
        self._control.close()


def measure(stage: Stage, *, rounds: int, count: int) -> list[Figure]:
    letter = stage.folder / "letter.eml"
    rates: dict[tuple[str, int], list[float]] = {
        (lane, processes): [] for processes in PROCESSES for lane in TARGETS
    }
    references: dict[tuple[str, int], list[float]] = {key: [] for key in rates}
    with ExitStack() as stack:
        command = [sys.executable, "-m", "bench.smtp_sink", "--keep", str(letter)]
        sink = Sink(stage.start("sink", command))
        stack.callback(sink.process.stop)
        stack.callback(sink.close)
        _make_sender(sink.port)
        application, _ = Application.objects.get_or_create(name="bench")
        for number in range(rounds):
            # Neither a number of processes nor a lane is always first: the load of a shared machine
            # drifts, and a fixed order would be taken for a difference.
            turn = 1 if number % 2 == 0 else -1
            for processes in PROCESSES[::turn]:
                with _worker(stage, processes) as worker:
                    for lane in TARGETS:
                        _round(worker, sink, application, lane=lane, count=WARM_UP)
                    for lane in list(TARGETS)[::turn]:
                        rate = _round(worker, sink, application, lane=lane, count=count)
                        _check_workers(processes)
                        rates[lane, processes].append(rate)
                        size = sink.size() / count
                        reference = _reference(sink, size=size, letter=letter)
                        references[lane, processes].append(reference)
    return [
        Figure(
            f"deliver: {lane}, {processes} process{'es' if processes > 1 else ''}",
            found,
            "smtplib, bytes built before",
            references[lane, processes],
            TARGETS[lane],
        )
        for (lane, processes), found in rates.items()
    ]


def _make_sender(port: int) -> None:
    Sender.objects.create(
        name="bench",
        channel="email",
        adapter="smtp",
        from_address="bench@example.com",
        from_name="Bench",
        options={"host": "127.0.0.1", "port": port, "security": "none"},
    )


class _worker(ExitStack):  # noqa: N801  (reads as a function)
    """A Celery worker with so many processes; leaving it ends it."""

    def __init__(self, stage: Stage, processes: int) -> None:
        super().__init__()
        self.process = stage.start(
            f"worker-{processes}",
            [
                *(sys.executable, "-m", "celery", "-A", "notification_platform", "worker"),
                *("--pool", "prefork", "--concurrency", str(processes)),
                # Its own name, and no talk with workers of others on the same broker.
                *("--hostname", f"{stage.name}@%h"),
            ],
        )
        self.callback(self.process.stop)


def _round(
    worker: _worker, sink: Sink, application: Application, *, lane: str, count: int
) -> float:
    """Messages a second from the bell to the last recorded outcome, by the database's clock."""
    _fill(application, lane=lane, count=count)
    sink.reset()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE messaging_message")
        cursor.execute("SELECT clock_timestamp()")
        started_at = cursor.fetchone()[0]
        doorbell.publish(("email", lane))

        def is_handed_over() -> bool:
            worker.process.check()
            return sink.messages() >= count

        wait_for(is_handed_over, seconds=PATIENCE, what=f"{count} messages in {lane} to be sent")
        wait_for(_nothing_is_open, seconds=30, what="the outcomes to be recorded")
        cursor.execute("SELECT MAX(finished_at) FROM messaging_message")
        ended_at = cursor.fetchone()[0]
    _check(sink, count=count)
    return count / (ended_at - started_at).total_seconds()


def _fill(application: Application, *, lane: str, count: int) -> None:
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE messaging_message CASCADE")
    for start in range(0, count, 1000):
        Message.objects.bulk_create(
            Message(
                application=application,
                channel="email",
                lane=lane,
                recipient=f"customer-{number}@example.com",
                content={
                    "to": [["", f"customer-{number}@example.com"]],
                    "subject": SUBJECT,
                    "html": HTML,
                    "text": TEXT,
                },
                expires_at=now + timedelta(hours=72),
            )
            for number in range(start, min(start + 1000, count))
        )


def _nothing_is_open() -> bool:
    return not Message.objects.exclude(status=Status.SUCCESS).exists()


def _check(sink: Sink, *, count: int) -> None:
    """Everything once at the sink, `success` in its row, and closed in its one attempt."""
    seen = {
        "at the sink": sink.messages(),
        "rows with success": Message.objects.filter(status=Status.SUCCESS).count(),
        "attempts": Attempt.objects.count(),
        "accepted attempts": Attempt.objects.filter(outcome=Attempt.Outcome.ACCEPTED).count(),
    }
    if set(seen.values()) != {count}:
        raise BenchError(f"Of {count} messages: {seen}. No figure comes of that.")


def _check_workers(processes: int) -> None:
    """That so many processes really shared the round, or its name would be a lie."""
    seen = Attempt.objects.values("worker").distinct().count()
    if seen != processes:
        raise BenchError(f"{seen} of {processes} processes delivered. No figure comes of that.")


def _reference(sink: Sink, *, size: float, letter: Path) -> float:
    """smtplib with what the platform itself sent first, over one open connection, right after the
    round that it is held against. `size` is what a message of that round had."""
    sink.reset()
    count = REFERENCE_MESSAGES
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.references.smtplib_loop"),
            *(str(sink.port), str(count), str(letter)),
        ],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if done.returncode or sink.messages() != count:
        raise BenchError(f"smtplib sent {sink.messages()} of {count}: {done.stderr[-1000:]}")
    if abs(sink.size() / count / size - 1) > 0.01:
        raise BenchError(f"smtplib sent {sink.size() / count:.0f} bytes each, not {size:.0f}.")
    return count / float(done.stdout)

"""What all parts that deliver share: the sink, the sender, workers, and rows to hand over."""

import smtplib
import sys
from contextlib import ExitStack
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Application
from bench.letter import HTML, SUBJECT, TEXT
from bench.stage import BenchError, Process, Stage, wait_for
from messaging import doorbell
from messaging.models import Attempt, Message, Sender, Status

WARM_UP = 250
# A drain that stands still for this long is not slow but broken.
PATIENCE = 180


class Sink:
    """The sink's process, asked over a connection of its own."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.port = int(process.first_line())
        self._control = smtplib.SMTP("127.0.0.1", self.port, local_hostname="bench")

    def reset(self) -> None:
        self._control.docmd("XRESET")

    def messages(self) -> int:
        return self._counts()[0]

    def size(self) -> int:
        """Bytes of all messages together."""
        return self._counts()[1]

    def connections(self) -> int:
        """The most that sent messages at the same time."""
        return self._counts()[2]

    def times(self) -> dict[str, float]:
        """The Unix time of each message's arrival, by its id. Raises `BenchError` when one came
        twice."""
        lines = self._control.docmd("XTIMES")[1].decode().splitlines()[:-1]
        times = {id_: float(at) for id_, at in (line.split() for line in lines)}
        if len(times) != len(lines):
            raise BenchError(f"{len(lines) - len(times)} messages came twice or without an id.")
        return times

    def close(self) -> None:
        self._control.close()

    def _counts(self) -> list[int]:
        self.process.check()
        return [int(number) for number in self._control.docmd("XCOUNT")[1].split()]


def open_sink(stage: Stage, stack: ExitStack, *options: str) -> Sink:
    """Until `stack` is left. `options` are those of `python -m bench.smtp_sink`."""
    process = stage.start("sink", [sys.executable, "-m", "bench.smtp_sink", *options])
    stack.callback(process.stop)
    sink = Sink(process)
    stack.callback(sink.close)
    return sink


def make_sender(sink: Sink, **fields: object) -> None:
    """The one account of a run, at the sink of the part that runs. Of `fields`, those that this
    version of the platform knows."""
    known = {field.name for field in Sender._meta.get_fields()}
    account = {
        "channel": "email",
        "adapter": "smtp",
        "from_address": "bench@example.com",
        "from_name": "Bench",
        "options": {"host": "127.0.0.1", "port": sink.port, "security": "none"},
    }
    given = {name: value for name, value in fields.items() if name in known}
    # Not updated: whatever it learnt of itself with another sink must not count here.
    empty()
    Sender.objects.filter(name="bench").delete()
    Sender.objects.create(name="bench", **account, **given)


class Workers(ExitStack):
    """A Celery worker for all lanes with so many processes; leaving it ends it."""

    def __init__(self, stage: Stage, processes: int) -> None:
        super().__init__()
        stage.empty_queues()
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


def drain(
    workers: Workers, sink: Sink, application: Application, *, lane: str, count: int
) -> float:
    """Messages a second from the bell to the last recorded outcome, by the database's clock."""
    fill(application, lane=lane, count=count)
    sink.reset()
    with connection.cursor() as cursor:
        started_at = make_due()
        doorbell.publish(("email", lane))
        wait_until_sent(workers, sink, count=count)
        cursor.execute("SELECT MAX(finished_at) FROM messaging_message")
        ended_at = cursor.fetchone()[0]
    check_ledger(sink, count=count)
    return count / (ended_at - started_at).total_seconds()


def fill(application: Application, *, lane: str, count: int) -> None:
    """So many messages in one lane, and nothing else. `make_due` starts them: workers look around
    by themselves every few seconds."""
    now = timezone.now()
    empty()
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
                due_at=now + timedelta(hours=1),
                expires_at=now + timedelta(hours=72),
            )
            for number in range(start, min(start + 1000, count))
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE messaging_message")


def make_due() -> datetime:
    """Everything, at once. Returns when, by the database's clock."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE messaging_message SET due_at = now()")
        cursor.execute("SELECT clock_timestamp()")
        started_at: datetime = cursor.fetchone()[0]
        return started_at


def empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE messaging_message CASCADE")


def wait_until_sent(workers: Workers, sink: Sink, *, count: int) -> None:
    def is_handed_over() -> bool:
        workers.process.check()
        return sink.messages() >= count

    def nothing_is_open() -> bool:
        return not Message.objects.exclude(status=Status.SUCCESS).exists()

    wait_for(is_handed_over, seconds=PATIENCE, what=f"{count} messages to be sent")
    wait_for(nothing_is_open, seconds=30, what="the outcomes to be recorded")


def check_ledger(sink: Sink, *, count: int) -> None:
    """Everything once at the sink, `success` in its row, and closed in its one attempt."""
    seen = {
        "at the sink": sink.messages(),
        "rows with success": Message.objects.filter(status=Status.SUCCESS).count(),
        "attempts": Attempt.objects.count(),
        "accepted attempts": Attempt.objects.filter(outcome=Attempt.Outcome.ACCEPTED).count(),
    }
    if set(seen.values()) != {count}:
        raise BenchError(f"Of {count} messages: {seen}. No figure comes of that.")


def check_workers(processes: int) -> None:
    """That so many processes really shared the round, or its name would be a lie."""
    seen = Attempt.objects.values("worker").distinct().count()
    if seen != processes:
        raise BenchError(f"{seen} of {processes} processes delivered. No figure comes of that.")

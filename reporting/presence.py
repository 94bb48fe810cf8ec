"""Which workers are there: the main process of each says so every few seconds, in a row."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import Error, connection
from django.db.models.functions import Now

from reporting.models import Worker

log = structlog.get_logger(__name__)

EVERY_SECONDS = 10.0
# A worker that has not shown itself for so long is gone, or hangs.
IS_LATE = timedelta(seconds=45)
# One that is gone is a warning for so long, and then only a line: containers get new names.
IS_NEWS = timedelta(minutes=15)
KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker: how many processes or threads it has, and when it showed itself last."""

    name: str
    processes: int
    seen_at: datetime
    is_there: bool


class Presence(threading.Thread):
    """Shows a worker until `end`, in the main process: a pool that hangs is told by what waits, and
    a worker that is gone by its absence. A database that is away is no reason to stop."""

    def __init__(self, name: str, *, processes: int, seconds: float = EVERY_SECONDS) -> None:
        super().__init__(name="presence", daemon=True)
        self._worker = name
        self._processes = processes
        self._seconds = seconds
        self._ended = threading.Event()

    def run(self) -> None:
        self._try(self._tidy)
        while True:
            self._try(self._show)
            if self._ended.wait(self._seconds):
                break
        self._try(self._leave)

    def end(self, *, wait: float) -> None:
        """Take the row away; seconds to wait for it."""
        self._ended.set()
        self.join(wait)

    def _show(self) -> None:
        Worker.objects.update_or_create(
            name=self._worker, defaults={"processes": self._processes, "seen_at": Now()}
        )

    def _tidy(self) -> None:
        """Take away those that ended without a word."""
        Worker.objects.filter(seen_at__lt=Now() - KEPT).delete()

    def _leave(self) -> None:
        Worker.objects.filter(name=self._worker).delete()

    def _try(self, deed: Callable[[], object]) -> None:
        """On a connection of its own, closed at once: a pool forks, and its children inherit what
        is open."""
        try:
            deed()
        except Error:
            log.warning("worker_not_shown", worker=self._worker, exc_info=True)
        finally:
            connection.close()


def workers(*, now: datetime) -> list[Seen]:
    """Those of the last day, by name."""
    rows = Worker.objects.filter(seen_at__gt=now - KEPT).order_by("name")
    return [
        Seen(row.name, row.processes, row.seen_at, is_there=now - row.seen_at < IS_LATE)
        for row in rows
    ]

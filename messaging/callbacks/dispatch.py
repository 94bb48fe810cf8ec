"""Calls what is due. One dispatcher at a time in each process, and any number of processes.

The dispatcher's thread owns the database; threads of a pool own the connections. Each endpoint has
a few lines of its own, and one that fails or is slow has one, so that it holds up nobody else.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from uuid import UUID

import structlog

from core.clock import Clock
from messaging import doorbell
from messaging.callbacks import calls, claims, measures
from messaging.callbacks.calls import Call, Result
from messaging.models import WebhookEndpoint

log = structlog.get_logger(__name__)

# Calls at the same time: in all, to one endpoint, and to all that are not well together.
LINES, LINES_OF_ONE, LINES_OF_SICK = 64, 8, 32
# Who failed so often in a row, or took so long the last time, gets one line.
SICK_FAILURES, SICK_SECONDS = 3, 2.0
# A dispatcher leaves the rest to another after so long, so that no worker is held for good.
SLICE_SECONDS = 60.0
# How often it looks for more while calls are under way.
LOOK_EVERY = 0.1

_turn = threading.Lock()
_again = threading.Event()
# How long the last call to an endpoint took, as this process knows it.
_pace: dict[UUID, float] = {}
PACES_KEPT = 10_000


def dispatch(
    *, clock: Clock, is_stopping: Callable[[], bool] = bool, seconds: float = SLICE_SECONDS
) -> int:
    """Call what is due, until nothing is or the slice is over. Returns how many calls were made.
    While another dispatcher of this process is at it, that one looks again, and this makes none.
    `clock` is the database's."""
    if not _turn.acquire(blocking=False):
        _again.set()
        # It may have ended between the two.
        if not _turn.acquire(blocking=False):
            return 0
    work = _Dispatch(clock, is_stopping)
    try:
        try:
            _again.clear()
            work.run(seconds)
        finally:
            _turn.release()
        if work.has_more or _again.is_set():
            doorbell.ring_webhooks()
        # Another may take its turn while the last calls come to their end.
        work.finish()
    finally:
        work.pool.shutdown()
    return work.total


class _Dispatch:
    def __init__(self, clock: Clock, is_stopping: Callable[[], bool]) -> None:
        self.clock = clock
        self.is_stopping = is_stopping
        self.pool = ThreadPoolExecutor(LINES, thread_name_prefix="webhook")
        self.under_way: dict[Future[Result], Call] = {}
        self.sick: set[UUID] = set()
        self.has_more = False
        self.total = 0

    def run(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while not self.is_stopping():
            if time.monotonic() > ends_at:
                self.has_more = True
                return
            self._start_more()
            if not self.under_way:
                return
            self._collect(LOOK_EVERY)

    def finish(self) -> None:
        while self.under_way:
            self._collect(None)

    def _start_more(self) -> None:
        if len(self.under_way) >= LINES:
            return
        endpoints = claims.endpoints_with_due(now=self.clock())
        # Whoever is first in the table is not always first here.
        random.shuffle(endpoints)
        for endpoint in endpoints:
            room = self._room_of(endpoint)
            if room <= 0:
                continue
            for call in claims.claim(endpoint, limit=room, now=self.clock()):
                self.under_way[self.pool.submit(_make, call, self.clock)] = call
                self.total += 1

    def _room_of(self, endpoint: WebhookEndpoint) -> int:
        busy = Counter(call.endpoint_id for call in self.under_way.values())
        free = LINES - len(self.under_way)
        slow = _pace.get(endpoint.pk, 0.0) > SICK_SECONDS
        if not slow and endpoint.failures < SICK_FAILURES:
            self.sick.discard(endpoint.pk)
            return min(free, LINES_OF_ONE - busy[endpoint.pk])
        self.sick.add(endpoint.pk)
        free = min(free, LINES_OF_SICK - sum(busy[pk] for pk in self.sick))
        return min(free, 1 - busy[endpoint.pk])

    def _collect(self, seconds: float | None) -> None:
        """Write down what has come within so long."""
        done, _ = wait(self.under_way, timeout=seconds, return_when=FIRST_COMPLETED)
        if not done:
            return
        results = [(self.under_way.pop(future), future.result()) for future in done]
        words = claims.record(results, now=self.clock())
        for (call, result), word in zip(results, words, strict=True):
            measures.CALLS.labels(word).inc()
            _note_pace(call.endpoint_id, result.milliseconds / 1000)
            # What went well has its row.
            getattr(log, "debug" if word == "delivered" else "info")(
                "webhook_called",
                endpoint=str(call.endpoint_id),
                event_id=call.event_id,
                outcome=word,
                code=result.code,
                milliseconds=result.milliseconds,
            )


def _make(call: Call, clock: Clock) -> Result:
    """In a thread of the pool, which has no connection to the database."""
    started = time.monotonic()
    try:
        code, words, retry_after = calls.make(call, now=clock())
    except Exception:
        log.exception("webhook_call_broke", endpoint=str(call.endpoint_id))
        code, words, retry_after = None, "Not called: a fault of the platform.", None
    milliseconds = round((time.monotonic() - started) * 1000)
    return Result(code, words, milliseconds, retry_after)


def _note_pace(endpoint_id: UUID, seconds: float) -> None:
    if len(_pace) >= PACES_KEPT:
        _pace.clear()
    _pace[endpoint_id] = seconds

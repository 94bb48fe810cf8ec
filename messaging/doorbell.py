"""Tells workers that there is something to do. Only a hint: rows are the truth, and a sweep finds
what no hint told of.

Requests must not wait for the broker, so they only set a flag; a background thread of the process
publishes at most one wake-up per lane every 20 ms, or 50 ms while they never stop, and rests for
10 s after a failure.
"""

import os
import threading
import time

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from prometheus_client import Counter

from messaging import metrics

log = structlog.get_logger(__name__)

# Under a steady load workers are awake anyway, and each wake-up costs a request's third.
PAUSE, LONGEST_PAUSE = 0.02, 0.05
REST_AFTER_FAILURE = 10.0
TIMEOUT = 3.0
# A hint that nobody took for this long is worth less than the sweep's next one.
HINT_SECONDS = 60

FAILED_HINTS = Counter(
    "notifications_failed_hints", "Wake-ups that the broker did not take; the sweep makes up."
)

# A channel and a lane.
Bell = tuple[str, str]
# Asks any worker for a sweep.
SWEEP: Bell = ("", "sweep")
# Asks any worker to call webhooks.
WEBHOOKS: Bell = ("", "webhooks")
# The next one is near.
SWEEP_HINT_SECONDS = 5
# Tells of reports that wait to be processed.
REPORTS: Bell = metrics.REPORTS_LANE
# Tells of outcomes that stayed unknown and that providers are asked about.
RECONCILE: Bell = metrics.UNKNOWN_LANE
# Tells of jobs that operators asked for.
JOBS: Bell = metrics.JOBS_LANE


def queue_name(channel: str, lane: str) -> str:
    return f"{settings.QUEUE_PREFIX}.{channel}.{lane}"


def ring(*, channel: str, lane: str) -> None:
    """After the open transaction commits, wake a worker for one lane. Never waits, never raises."""
    transaction.on_commit(lambda: _ringer().ring((channel, lane)))


def ring_sweep() -> None:
    """Ask for a sweep. Never waits, never raises."""
    _ringer().ring(SWEEP)


def ring_webhooks() -> None:
    """After the open transaction commits, have webhooks called. Never waits, never raises."""
    transaction.on_commit(lambda: _ringer().ring(WEBHOOKS))


def ring_reports() -> None:
    """After the open transaction commits, have reports of providers processed. Never waits, never
    raises."""
    transaction.on_commit(lambda: _ringer().ring(REPORTS))


def ring_jobs() -> None:
    """After the open transaction commits, have jobs worked off. Never waits, never raises."""
    transaction.on_commit(lambda: _ringer().ring(JOBS))


class Ringer:
    """The bells of one process. `ring` may be called from any thread."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._bells: set[Bell] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
        self._thread.start()

    def ring(self, bell: Bell) -> None:
        with self._lock:
            self._bells.add(bell)
        self._wake.set()

    def _run(self) -> None:
        pause = PAUSE
        while True:
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                bells, self._bells = self._bells, set()
            try:
                for bell in sorted(bells):
                    publish(bell)
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE) if self._wake.is_set() else PAUSE
            except Exception as error:
                FAILED_HINTS.inc()
                log.warning("doorbell_failed", error=repr(error)[:300], rest=REST_AFTER_FAILURE)
                with self._lock:
                    self._bells |= bells
                time.sleep(REST_AFTER_FAILURE)
                self._wake.set()


def publish(bell: Bell) -> None:
    """Put one wake-up into the broker. Raises what the broker's client raises."""
    channel, lane = bell
    if bell == SWEEP:
        _hint("messaging.sweep", {}, settings.HOUSEKEEPING_QUEUE, seconds=SWEEP_HINT_SECONDS)
    elif bell == WEBHOOKS:
        _hint("messaging.call_webhooks", {}, settings.WEBHOOK_QUEUE, seconds=HINT_SECONDS)
    elif bell == REPORTS:
        _hint("messaging.process_reports", {}, settings.HOUSEKEEPING_QUEUE, seconds=HINT_SECONDS)
    elif bell == RECONCILE:
        _hint("messaging.reconcile", {}, settings.HOUSEKEEPING_QUEUE, seconds=SWEEP_HINT_SECONDS)
    elif bell == JOBS:
        _hint("messaging.work_off_jobs", {}, settings.HOUSEKEEPING_QUEUE, seconds=HINT_SECONDS)
    else:
        kwargs = {"channel": channel, "lane": lane}
        _hint("messaging.drain", kwargs, queue_name(channel, lane), seconds=HINT_SECONDS)


def _hint(task: str, kwargs: dict[str, str], queue: str, *, seconds: int) -> None:
    current_app.send_task(
        task,
        kwargs=kwargs,
        queue=queue,
        retry=False,
        ignore_result=True,
        expires=seconds,
        expiration=seconds,
        timeout=TIMEOUT,
        confirm_timeout=TIMEOUT,
        # A hint is not worth a write to the broker's disk.
        delivery_mode="transient",
    )


_lock = threading.Lock()
_current: Ringer | None = None


def _ringer() -> Ringer:
    """This process's ringer; a forked child starts its own."""
    global _current
    if _current is None or _current.pid != os.getpid():
        with _lock:
            if _current is None or _current.pid != os.getpid():
                _current = Ringer()
    return _current

"""The Celery application: `celery -A notification_platform worker | beat`."""

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery import Celery, signals

if TYPE_CHECKING:
    from reporting.presence import Presence

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notification_platform.settings")

# How often a worker asks for a sweep, give or take a fifth. Beat asks every second.
SWEEP_SECONDS = 5.0

app = Celery("notification_platform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Settings have configured it; Celery must not do it again."""


@signals.celeryd_init.connect
def refuse_misconfiguration(**_: Any) -> None:
    from celery.worker.consumer import Gossip, Mingle
    from django.conf import settings

    from notification_platform.checks import refuse

    refuse()
    # Workers have nothing to say to each other, and the exclusive queues for it are one more reason
    # not to come back after a broken connection. What `--without-gossip --without-mingle` says.
    Gossip.compatible_transports = Mingle.compatible_transports = set()
    if settings.CELERY_BROKER_URL.startswith("memory") and not settings.EMBEDDED:
        raise SystemExit("CELERY_BROKER_URL is not set: a worker of its own would never be woken.")


@signals.worker_ready.connect
def serve_metrics(**_: Any) -> None:
    from django.conf import settings
    from prometheus_client import start_http_server

    from core import metrics_page

    if settings.WORKER_METRICS_PORT:
        start_http_server(settings.WORKER_METRICS_PORT, registry=metrics_page.registry())


class Sweeper(threading.Thread):
    """Asks for a sweep every few seconds, so that workers do not depend on beat: without one,
    retries and what dead workers left wait some seconds longer, not until the next message.

    It only rings the doorbell: a dead broker is never waited for.
    """

    def __init__(self, ring: Callable[[], None], *, seconds: float = SWEEP_SECONDS) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._ring = ring
        self._seconds = seconds
        self._ended = threading.Event()

    def run(self) -> None:
        # Spread, so that workers that were started together do not ask together.
        while not self._ended.wait(self._seconds * random.uniform(0.8, 1.2)):  # noqa: S311
            self._ring()

    def end(self) -> None:
        self._ended.set()


sweepers: list[Sweeper] = []


@signals.worker_ready.connect
def start_sweeper(**_: Any) -> None:
    """Once in the main process of `celery worker`, whenever it is ready again. The embedded mode
    has beat in the same process and never sends this signal."""
    from messaging import doorbell

    end_sweepers()
    sweepers.append(Sweeper(doorbell.ring_sweep))
    sweepers[-1].start()


@signals.worker_shutting_down.connect
@signals.worker_shutdown.connect
def end_sweepers(**_: Any) -> None:
    while sweepers:
        sweepers.pop().end()


presences: list["Presence"] = []


@signals.worker_ready.connect
def show_presence(sender: Any, **_: Any) -> None:
    """Whenever the worker is ready again. The embedded mode shows its own."""
    from reporting.presence import Presence

    end_presence()
    presences.append(Presence(sender.hostname, processes=sender.pool.num_processes))
    presences[-1].start()


@signals.worker_shutdown.connect
def end_presence(**_: Any) -> None:
    while presences:
        presences.pop().end(wait=2.0)


@signals.worker_shutting_down.connect
def hand_claims_back(**_: Any) -> None:
    """Drains hand back what no provider has yet, and finish the rest. The flag is shared memory:
    the children of a prefork pool, which do not hear of the stop, see it too."""
    from messaging import delivery

    delivery.stopping.set()


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def wait_for_late_answers(**_: Any) -> None:
    from django.conf import settings

    from messaging import delivery

    delivery.wait_for_late_answers(seconds=settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT)


def touch_heartbeat(**_: Any) -> None:
    from django.conf import settings

    Path(settings.HEARTBEAT_PATH).touch()


@signals.celeryd_init.connect
@signals.beat_init.connect
def show_heartbeat(signal: Any, **_: Any) -> None:
    """Touch a file while this process works, so that its health check needs no Python.

    A worker touches it every two seconds while its main loop turns and the broker listens, beat
    whenever the broker took a task. Its own publishing says nothing about a worker.
    """
    from django.conf import settings

    if settings.HEARTBEAT_PATH:
        is_beat = signal is signals.beat_init
        sign_of_life = signals.after_task_publish if is_beat else signals.heartbeat_sent
        sign_of_life.connect(touch_heartbeat)

"""The Celery application: `celery -A notification_platform worker | beat`."""

import os
from pathlib import Path
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notification_platform.settings")

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

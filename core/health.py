"""Is the process alive, and is the platform working? Answers name parts, never secrets."""

import time
from collections.abc import Callable

import structlog
from celery import current_app
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

log = structlog.get_logger(__name__)


class NotReady(Exception):
    """A part does not work; the text is shown to whoever asks, so it names no host and no user."""


# Returns what is worth showing besides "ok", or nothing.
Check = Callable[[], dict[str, object] | None]


def check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_cache() -> None:
    cache.set("health", "1", timeout=10)
    if cache.get("health") != "1":
        raise NotReady("what was written could not be read back")


def check_broker() -> None:
    with current_app.connection_for_write(
        connect_timeout=2, transport_options={"max_retries": 0}
    ) as connection_to_broker:
        connection_to_broker.ensure_connection(max_retries=1, interval_start=0, timeout=3)


PARTS: dict[str, Check] = {
    "database": check_database,
    "cache": check_cache,
    "broker": check_broker,
}


def register(name: str, check: Check) -> None:
    """Add a part to `/health/ready`. `check` raises when the part does not work."""
    PARTS[name] = check


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """The process answers. Restart it when this does not."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Every part works and messages move. 503 names the parts that do not."""
    parts = {name: _result(name, check) for name, check in PARTS.items()}
    is_ready = all(part["status"] == "ok" for part in parts.values())
    return JsonResponse(
        {"status": "ok" if is_ready else "failing", "parts": parts},
        status=200 if is_ready else 503,
    )


def _result(name: str, check: Check) -> dict[str, object]:
    started = time.monotonic()
    try:
        details = check() or {}
    except NotReady as error:
        return {"status": "failing", "detail": str(error)}
    except Exception as error:
        # The cause may hold hosts and users: it goes to the log, the answer keeps its class only.
        log.warning("health_part_failing", part=name, error=repr(error))
        return {"status": "failing", "detail": type(error).__name__}
    milliseconds = round((time.monotonic() - started) * 1000)
    return {"status": "ok", "milliseconds": milliseconds, **details}

"""`python -m bench.growth_probe` asks the filled database of `DATABASE_URL` what people and workers
ask, and prints as JSON how long its SQL took (the median, milliseconds) and how a claim is planned.

Every question goes through the platform's own code; statements about other tables (keys, logins)
are not counted.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from statistics import median
from typing import Any

import django

WARM_UP, SAMPLES = 5, 30
CLAIM = 100


class Watch:
    """Times the statements about messages while it is entered; bounded counts apart."""

    def __init__(self) -> None:
        self.rows_ms = self.count_ms = 0.0
        self.statements: list[tuple[str, Any]] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            took = (time.perf_counter() - started) * 1000
            if "messaging_" in sql:
                self.statements.append((sql, params))
                if sql.startswith("SELECT COUNT("):
                    self.count_ms += took
                else:
                    self.rows_ms += took


@contextmanager
def watched() -> Iterator[Watch]:
    from django.db import connection

    watch = Watch()
    with connection.execute_wrapper(watch):
        yield watch


def main() -> dict[str, Any]:
    django.setup()
    from accounts.models import Application

    application = Application.objects.get(name="growth-0")
    questions = _questions(application) | {"claim of 100": _claim}
    p50_ms: dict[str, float] = {}
    for name, ask in questions.items():
        seen: list[Watch] = []
        for _ in range(WARM_UP + SAMPLES):
            with watched() as watch:
                ask()
            seen.append(watch)
        if not all(watch.statements for watch in seen):
            raise SystemExit(f"{name} asked for no messages.")
        p50_ms[name] = median(watch.rows_ms for watch in seen[WARM_UP:])
        if seen[0].count_ms:
            p50_ms[f"{name}: count"] = median(watch.count_ms for watch in seen[WARM_UP:])
    return {"p50_ms": p50_ms, "plan": _plan()}


def _questions(application: Any) -> dict[str, Callable[[], None]]:
    from django.test import Client

    from accounts.authentication import issue_token
    from accounts.keys import issue_key
    from accounts.models import User

    token = issue_token(issue_key(application=application, name="growth").key)
    api = Client(SERVER_NAME="127.0.0.1", HTTP_AUTHORIZATION=f"Bearer {token}")
    operator, _ = User.objects.get_or_create(
        username="growth", defaults={"is_staff": True, "is_superuser": True}
    )
    admin = Client(SERVER_NAME="127.0.0.1")
    admin.force_login(operator)
    ids = iter(_some_ids(application, count=WARM_UP + SAMPLES))

    def get(client: Client, path: str) -> None:
        response = client.get(path, secure=True)
        if response.status_code != 200:
            raise SystemExit(f"{path} answered with {response.status_code}.")

    narrowed = f"?status=success&application={application.pk}"
    return {
        "list (API)": lambda: get(api, "/api/v1/messages?status=success&page_size=10"),
        "list (admin)": lambda: get(admin, f"/admin/messaging/message/{narrowed}"),
        "detail (API)": lambda: get(api, f"/api/v1/messages/{next(ids)}"),
    }


def _some_ids(application: Any, *, count: int) -> list[Any]:
    """Of messages from all of the 90 days."""
    from django.utils import timezone

    from core.ids import lowest_uuid7
    from messaging.models import Message

    rows = Message.objects.filter(application=application).order_by("pk")
    moments = [timezone.now() - timedelta(days=random.uniform(0.5, 89.5)) for _ in range(count)]
    found = [rows.filter(pk__gte=lowest_uuid7(moment)).only("pk").first() for moment in moments]
    return [row.pk for row in found if row is not None]


def _claim() -> None:
    """Rolled back, so that there is always a batch to claim."""
    from django.db import connection, transaction
    from django.utils import timezone

    from messaging import states

    with transaction.atomic():
        claimed = states.claim_due(
            channel="email",
            lane="bulk",
            limit=CLAIM,
            now=timezone.now(),
            lease=timedelta(seconds=60),
        )
        connection.set_rollback(True)
    if claimed.count != CLAIM:
        raise SystemExit(f"Only {claimed.count} of {CLAIM} were claimed.")


def _plan() -> list[str]:
    """The nodes of the claiming statement's plan, each with its index."""
    from django.db import connection

    with watched() as watch:
        _claim()
    sql, params = next(found for found in watch.statements if "UPDATE" in found[0])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        plan = cursor.fetchone()[0]
    return list(nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))


def nodes(plan: dict[str, Any]) -> Iterator[str]:
    yield f"{plan['Node Type']} {plan.get('Index Name', '')}".strip()
    for child in plan.get("Plans", ()):
        yield from nodes(child)


if __name__ == "__main__":
    print(json.dumps(main()))

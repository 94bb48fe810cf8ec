"""The rows of the outbox: claimed under a lease, called by `dispatch`, written down here."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from core.database import delete_in_slices
from core.ids import lowest_uuid7
from core.secrets import UnreadableSecret
from messaging import outbox
from messaging.callbacks import ladder
from messaging.callbacks.calls import GONE, Call, Result, body_of
from messaging.models import WebhookDelivery, WebhookEndpoint

log = structlog.get_logger(__name__)

State = WebhookDelivery.State
Reason = WebhookEndpoint.DisabledReason

# A call takes 10 s at most, and begins as soon as its row is claimed.
LEASE = timedelta(seconds=60)
# An endpoint that took nothing for so long is switched off.
DISABLE_AFTER = timedelta(days=5)
# How many tries a row remembers.
HISTORY = 20
# How often an endpoint that works has that written down.
SUCCESS_EVERY = timedelta(seconds=60)
KEPT_FOR = timedelta(days=30)
CLEANED_AT_ONCE = 1000


def endpoints_with_due(*, now: datetime) -> list[WebhookEndpoint]:
    """Those that something can be claimed for now."""
    due = WebhookDelivery.objects.filter(
        endpoint=OuterRef("pk"), state=State.PENDING, due_at__lte=now
    )
    rows = WebhookEndpoint.objects.filter(Exists(due), is_active=True, application__is_active=True)
    return list(rows.order_by())


def claim(endpoint: WebhookEndpoint, *, limit: int, now: datetime) -> list[Call]:
    """pending -> delivering: up to `limit` due deliveries of one endpoint, oldest first. Two
    dispatchers at once get different ones."""
    with transaction.atomic():
        due = WebhookDelivery.objects.filter(
            endpoint=endpoint, state=State.PENDING, due_at__lte=now
        ).order_by("due_at")
        free = due.select_for_update(skip_locked=True).values_list("pk", flat=True)
        chosen = WebhookDelivery.objects.filter(pk__in=list(free[:limit]))
        chosen.update(
            state=State.DELIVERING,
            leased_until=now + LEASE,
            lease_token=F("lease_token") + 1,
            tries=F("tries") + 1,
        )
        rows = list(chosen.order_by("due_at"))
    secrets, obstacle = _secrets_of(endpoint, now=now)
    return [
        Call(
            delivery_id=row.pk,
            endpoint_id=endpoint.pk,
            lease_token=row.lease_token,
            tries=row.tries,
            url=endpoint.url,
            event_id=str(row.event_id),
            body=body_of(row.payload),
            history=tuple(row.history),
            secrets=secrets,
            obstacle=obstacle,
        )
        for row in rows
    ]


def record(done: Sequence[tuple[Call, Result]], *, now: datetime) -> list[str]:
    """delivering -> delivered, failed, or pending for another try: all of them in one commit.
    Returns a word for each: `delivered`, `retried`, `failed`, or `lost` where another had it."""
    # Rows are locked in one order, whoever else records at the same moment.
    in_order = sorted(done, key=lambda pair: pair[0].delivery_id)
    by_endpoint: dict[UUID, list[Result]] = {}
    for call, result in done:
        by_endpoint.setdefault(call.endpoint_id, []).append(result)
    with transaction.atomic():
        words = {call.delivery_id: _record(call, result, now=now) for call, result in in_order}
        for endpoint_id in sorted(by_endpoint):
            endpoint = WebhookEndpoint.objects.filter(pk=endpoint_id)
            _note_health(endpoint, by_endpoint[endpoint_id], now=now)
    return [words[call.delivery_id] for call, _ in done]


def recover(*, now: datetime) -> int:
    """delivering -> pending, by the sweep: leases that ran out. Nobody knows whether they were
    called, so they are called again, with the same id."""
    with transaction.atomic():
        lost = WebhookDelivery.objects.filter(state=State.DELIVERING, leased_until__lte=now)
        free = lost.select_for_update(skip_locked=True).values_list("pk", flat=True)
        return WebhookDelivery.objects.filter(pk__in=list(free[:CLEANED_AT_ONCE])).update(
            state=State.PENDING, leased_until=None, due_at=now
        )


def clean(*, now: datetime) -> int:
    """Remove what is older than 30 days, and endpoints that were deleted once nothing is left of
    them. How many deliveries went."""
    # The ids tell when they were made, so the primary key finds the old ones.
    old = WebhookDelivery.objects.filter(pk__lt=lowest_uuid7(now - KEPT_FOR))
    removed = delete_in_slices(old)
    # Deleted means off, so nothing new is written for them.
    WebhookEndpoint.objects.filter(
        ~Exists(WebhookDelivery.objects.filter(endpoint=OuterRef("pk"))),
        deleted_at__lt=now - KEPT_FOR,
    ).delete()
    return removed


def switch_off(
    endpoints: QuerySet[WebhookEndpoint], reason: WebhookEndpoint.DisabledReason, *, now: datetime
) -> int:
    """Those that are on: they hear nothing new, and what waits for them waits on."""
    changed = endpoints.filter(is_active=True).update(
        is_active=False, disabled_at=now, disabled_reason=reason
    )
    outbox.forget()
    return changed


def signing_secrets(endpoint: WebhookEndpoint, *, now: datetime) -> tuple[str, ...]:
    """The present one, and the former while it is good. Raises `UnreadableSecret`."""
    found = [endpoint.secret.open()]
    if endpoint.old_secret_until is not None and endpoint.old_secret_until > now:
        found.append(endpoint.old_secret.open())
    return tuple(secret for secret in found if secret)


def _secrets_of(endpoint: WebhookEndpoint, *, now: datetime) -> tuple[tuple[str, ...], str]:
    try:
        secrets = signing_secrets(endpoint, now=now)
    except UnreadableSecret:
        return (), "Not called. Its secret cannot be read with the present CREDENTIALS_KEYS."
    return secrets, "" if secrets else "Not called. It has no secret; rotate it."


def _record(call: Call, result: Result, *, now: datetime) -> str:
    ours = WebhookDelivery.objects.filter(
        pk=call.delivery_id, state=State.DELIVERING, lease_token=call.lease_token
    )
    told: dict[str, Any] = {
        "leased_until": None,
        "last_code": result.code,
        "last_words": result.words[:300],
        "history": [*call.history, _entry(result, now=now)][-HISTORY:],
    }
    if result.is_delivered:
        # A fact, whoever holds it now: it need not be called again.
        ours = WebhookDelivery.objects.filter(
            Q(state=State.PENDING) | Q(state=State.DELIVERING), pk=call.delivery_id
        )
        won = ours.update(state=State.DELIVERED, finished_at=now, **told)
        return "delivered" if won else "lost"
    wait = ladder.wait_after(call.tries, retry_after=result.retry_after)
    if wait is None or result.code == GONE:
        won = ours.update(state=State.FAILED, finished_at=now, **told)
        return "failed" if won else "lost"
    won = ours.update(state=State.PENDING, due_at=now + wait, **told)
    return "retried" if won else "lost"


def _entry(result: Result, *, now: datetime) -> dict[str, Any]:
    return {
        "at": outbox.moment(now),
        "code": result.code,
        "words": result.words[:300],
        "milliseconds": result.milliseconds,
    }


def _note_health(
    endpoint: QuerySet[WebhookEndpoint], results: Sequence[Result], *, now: datetime
) -> None:
    if any(result.is_delivered for result in results):
        # Once a minute: it is one row for all that call it.
        endpoint.filter(
            Q(failures__gt=0)
            | Q(last_success_at=None)
            | Q(last_success_at__lte=now - SUCCESS_EVERY)
        ).update(failures=0, failing_since=None, last_success_at=now)
        return
    endpoint.update(
        failures=F("failures") + len(results),
        failing_since=Coalesce(F("failing_since"), Value(now)),
    )
    if any(result.code == GONE for result in results):
        reason = Reason.GONE
    elif endpoint.filter(failing_since__lte=now - DISABLE_AFTER).exists():
        reason = Reason.FAILING
    else:
        return
    if switch_off(endpoint, reason, now=now):
        pk = endpoint.values_list("pk", flat=True).get()
        log.warning("webhook_endpoint_switched_off", endpoint=str(pk), reason=reason.value)

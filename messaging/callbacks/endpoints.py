"""The use cases: make, change, switch, rotate, delete, test an endpoint; replay what it missed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from core.errors import Code, DomainError, FieldError
from core.ids import lowest_uuid7
from core.outgoing_addresses import ForbiddenUrl, read_url
from core.secrets import UnreadableSecret
from messaging import doorbell, outbox
from messaging.callbacks import claims, signing
from messaging.callbacks.calls import rules
from messaging.models import PING, WebhookDelivery, WebhookEndpoint
from messaging.models.webhook import all_events

MAX_ENDPOINTS = 20
# How long a secret goes on after it was rotated, unless somebody says otherwise.
OVERLAP = timedelta(days=1)
LONGEST_OVERLAP = timedelta(days=7)
# One statement, which others wait for.
REPLAYED_AT_ONCE = 5_000

State = WebhookDelivery.State
Reason = WebhookEndpoint.DisabledReason


@dataclass(frozen=True, slots=True)
class IssuedSecret:
    """An endpoint with its new secret in the clear, for this one answer."""

    endpoint: WebhookEndpoint
    secret: str = field(repr=False)


def of_application(application_id: int) -> QuerySet[WebhookEndpoint]:
    return WebhookEndpoint.objects.filter(application=application_id, deleted_at=None)


def find(application_id: int, pk: UUID) -> WebhookEndpoint:
    """Raises `DomainError` (`not_found`)."""
    found = of_application(application_id).filter(pk=pk).first()
    if found is None:
        raise DomainError(Code.NOT_FOUND, f"There is no webhook endpoint {pk}.")
    return found


def check_url(url: str) -> None:
    """Whether it may be called, as far as it tells by itself; its addresses are judged at each
    call. Raises `DomainError`."""
    allowed = rules()
    try:
        read_url(url, networks=allowed.networks, allows_http=allowed.allows_http)
    except ForbiddenUrl as error:
        words = _("This URL cannot be called. %(why)s") % {"why": error}
        raise DomainError(
            Code.INVALID_REQUEST, words, errors=(FieldError("/url", "invalid_url", words),)
        ) from error


def create_endpoint(
    *, application_id: int, url: str, description: str, events: Sequence[str] | None
) -> IssuedSecret:
    """For all events that there are, unless `events` names some. Raises `DomainError`: a URL that
    cannot be called, or too many endpoints."""
    check_url(url)
    if of_application(application_id).count() >= MAX_ENDPOINTS:
        raise DomainError(
            Code.CONFLICT,
            _("An application has at most %(most)s webhook endpoints; delete one first.")
            % {"most": MAX_ENDPOINTS},
        )
    endpoint = WebhookEndpoint(
        application_id=application_id,
        url=url,
        description=description,
        events=list(dict.fromkeys(events)) if events is not None else all_events(),
    )
    secret = give_secret(endpoint)
    endpoint.save(force_insert=True)
    # As it is stored: without its secret in the clear.
    endpoint.refresh_from_db()
    outbox.forget()
    return IssuedSecret(endpoint, secret)


def give_secret(endpoint: WebhookEndpoint) -> str:
    """Set a new secret on an endpoint that is not saved yet."""
    secret = signing.make_secret()
    endpoint.secret = secret
    return secret


def change_endpoint(
    endpoint: WebhookEndpoint, *, changes: dict[str, Any], now: datetime
) -> WebhookEndpoint:
    """`changes` of url, description, events and is_active. Raises `DomainError`."""
    if "url" in changes:
        check_url(changes["url"])
    fields = {name: changes[name] for name in ("url", "description", "events") if name in changes}
    if "events" in fields:
        fields["events"] = list(dict.fromkeys(fields["events"]))
    with transaction.atomic():
        if fields:
            WebhookEndpoint.objects.filter(pk=endpoint.pk, deleted_at=None).update(**fields)
        if "is_active" in changes:
            switch(endpoint, is_on=changes["is_active"], by=Reason.OWNER, now=now)
    outbox.forget()
    endpoint.refresh_from_db()
    return endpoint


def switch(
    endpoint: WebhookEndpoint,
    *,
    is_on: bool,
    by: WebhookEndpoint.DisabledReason,
    now: datetime,
) -> bool:
    """On: what waited goes out, and its failures are forgotten. Off: it hears nothing new, and what
    waits for it waits on. False when it was so before."""
    row = WebhookEndpoint.objects.filter(pk=endpoint.pk, deleted_at=None)
    if not is_on:
        return bool(claims.switch_off(row, by, now=now))
    changed = row.filter(is_active=False).update(
        is_active=True, disabled_at=None, disabled_reason="", failing_since=None, failures=0
    )
    outbox.forget()
    doorbell.ring_webhooks()
    return bool(changed)


def delete_endpoint(endpoint: WebhookEndpoint, *, now: datetime) -> None:
    """It is out of sight and called no more, its secrets are gone; its log stays for a while."""
    with transaction.atomic():
        row = WebhookEndpoint.objects.filter(pk=endpoint.pk)
        claims.switch_off(row, Reason.OWNER, now=now)
        row.update(deleted_at=now, secret="", old_secret="", old_secret_until=None)


def rotate_secret(endpoint: WebhookEndpoint, *, overlap: timedelta, now: datetime) -> IssuedSecret:
    """A new secret; the one before signs too for `overlap` more, so that receivers can be changed
    in between."""
    with transaction.atomic():
        locked = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        try:
            former = locked.secret.open()
        except UnreadableSecret:
            former = ""
        secret = give_secret(locked)
        is_kept = bool(former) and overlap > timedelta(0)
        locked.old_secret = former if is_kept else ""
        locked.old_secret_until = now + overlap if is_kept else None
        locked.save(update_fields=["secret", "old_secret", "old_secret_until"])
        locked.refresh_from_db()
    return IssuedSecret(locked, secret)


def ping(endpoint: WebhookEndpoint, *, now: datetime) -> WebhookDelivery:
    """Send it an event that says nothing. Raises `DomainError` when it is off."""
    _refuse_if_off(endpoint)
    return outbox.ping(endpoint, PING, now=now)


def find_delivery(endpoint: WebhookEndpoint, pk: UUID) -> WebhookDelivery:
    """Raises `DomainError` (`not_found`)."""
    found = WebhookDelivery.objects.filter(endpoint=endpoint, pk=pk).first()
    if found is None:
        raise DomainError(Code.NOT_FOUND, f"There is no delivery {pk} of this endpoint.")
    return found


def replay(delivery: WebhookDelivery, *, now: datetime) -> WebhookDelivery:
    """Call it now, whatever came of it before: the same id and body, a new ladder of tries. Raises
    `DomainError` while it is being called, or when its endpoint is off."""
    _refuse_if_off(delivery.endpoint)
    # Of those that are being called nobody knows yet.
    won = (
        WebhookDelivery.objects.filter(pk=delivery.pk)
        .exclude(state=State.DELIVERING)
        .update(state=State.PENDING, due_at=now, tries=0, finished_at=None)
    )
    if not won:
        raise DomainError(Code.CONFLICT, _("It is being called at this moment; look again soon."))
    doorbell.ring_webhooks()
    delivery.refresh_from_db()
    return delivery


def replay_failed(endpoint: WebhookEndpoint, *, since: datetime, now: datetime) -> int:
    """Call again all that failed and was made since then, the oldest first; how many those are. At
    most `REPLAYED_AT_ONCE`: if it is as many, there may be more. Raises `DomainError` when it is
    off."""
    _refuse_if_off(endpoint)
    failed = WebhookDelivery.objects.filter(endpoint=endpoint, state=State.FAILED)
    made_since = failed.filter(pk__gte=lowest_uuid7(since), created_at__gte=since)
    oldest = list(made_since.order_by("pk").values_list("pk", flat=True)[:REPLAYED_AT_ONCE])
    # Those that somebody else calls again meanwhile are theirs.
    count = failed.filter(pk__in=oldest).update(
        state=State.PENDING, due_at=now, tries=0, finished_at=None
    )
    doorbell.ring_webhooks()
    return count


def _refuse_if_off(endpoint: WebhookEndpoint) -> None:
    if not endpoint.is_active:
        raise DomainError(Code.CONFLICT, _("The endpoint is switched off; switch it on first."))

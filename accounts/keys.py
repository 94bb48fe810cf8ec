"""The life of an API key: issue, find, rotate, revoke."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from accounts.limits import COLUMNS, Limits, limits_of
from accounts.models import ApiKey, Application
from accounts.networks import IPAddress, is_allowed
from core.database import first_row
from core.errors import Code, DomainError

ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
# Writing the last use on every request would cost a write per read.
LAST_USE_EVERY = timedelta(minutes=1)
# Somebody should look at a valid key that ends within this time, or that nobody used for so long.
EXPIRES_SOON = timedelta(days=14)
UNUSED_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its secret: the one moment at which the secret exists outside the caller."""

    key: ApiKey
    secret: str


def issue_key(
    *,
    application: Application,
    name: str,
    kind: str = ApiKey.Kind.LIVE,
    scopes: Sequence[str] | None = None,
    allowed_networks: Sequence[str] = (),
    expires_at: datetime | None = None,
    replaces: ApiKey | None = None,
) -> IssuedKey:
    """Raises Django's `ValidationError` for scopes and networks that make no sense."""
    key = ApiKey(
        application=application,
        name=name,
        kind=kind,
        allowed_networks=list(allowed_networks),
        expires_at=expires_at,
        replaces=replaces,
    )
    if scopes is not None:
        key.scopes = list(scopes)
    secret = give_secret(key)
    key.full_clean(exclude=["key_id", "secret_hash"])
    key.save(force_insert=True)
    return IssuedKey(key, secret)


def give_secret(key: ApiKey) -> str:
    """Set a new id and secret on an unsaved key; the secret is returned and kept nowhere."""
    secret = secrets.token_urlsafe(32)
    key.key_id = f"noti_{key.kind}_" + "".join(secrets.choice(ID_ALPHABET) for _ in range(20))
    key.secret_hash = hash_secret(secret)
    return secret


def hash_secret(secret: str) -> str:
    if not settings.API_KEY_PEPPER:
        raise ImproperlyConfigured("API_KEY_PEPPER is not set: no key can be issued or checked.")
    return hmac.new(settings.API_KEY_PEPPER.encode(), secret.encode(), hashlib.sha256).hexdigest()


def authenticate_key(
    *, key_id: str, secret: str, address: IPAddress | None, now: datetime
) -> ApiKey:
    """The key, if id, secret, validity and network are right.

    Raises `DomainError`: one and the same `invalid_credentials` whatever is wrong with id, secret
    or validity; `network_not_allowed` only to who knows the secret.
    """
    key = ApiKey.objects.select_related("application").filter(key_id=key_id).first()
    # The comparison runs for unknown ids too, so that both take the same time.
    expected = key.secret_hash if key else "0" * 64
    is_right = hmac.compare_digest(expected, hash_secret(secret))
    if not (key and is_right and is_valid(key, now=now)):
        raise DomainError(
            Code.INVALID_CREDENTIALS, "The API key and secret are not valid together."
        )
    if not is_allowed(address, key.allowed_networks):
        raise DomainError(Code.NETWORK_NOT_ALLOWED, f"This key may not be used from {address}.")
    record_use(key.pk, now=now)
    return key


@dataclass(frozen=True, slots=True)
class ValidKey:
    """What a request needs to know of its key."""

    pk: int
    application_id: int
    key_id: str
    kind: str
    scopes: frozenset[str]
    allowed_networks: list[str]
    is_use_due: bool
    dedupe_seconds: int
    # The application's: whom it may write to; empty: everybody.
    allowed_recipients: list[str]
    # Of telephone numbers without a country, and those that SMS go to.
    default_region: str
    allowed_countries: list[str]
    limits: Limits | None


# Asked on every request. By the ORM it costs 0.5 ms more than the query itself.
_FIND_VALID = f"""
    SELECT k.key_id, k.kind, k.scopes, k.allowed_networks,
           k.last_used_at IS NULL OR k.last_used_at < %s, a.dedupe_seconds,
           a.allowed_recipients, a.default_region, a.allowed_countries,
           {", ".join(f"a.{column}" for column in COLUMNS)}
    FROM accounts_apikey k JOIN accounts_application a ON a.id = k.application_id
    WHERE k.id = %s AND k.version = %s AND a.id = %s
      AND k.revoked_at IS NULL AND a.is_active AND (k.expires_at IS NULL OR k.expires_at > %s)
"""  # noqa: S608  (our own names)


def find_valid(pk: int, version: int, application_id: int, *, now: datetime) -> ValidKey | None:
    """The key if it is valid now and was not changed since `version`."""
    at, stale = (
        connection.ops.adapt_datetimefield_value(moment) for moment in (now, now - LAST_USE_EVERY)
    )
    row = first_row(_FIND_VALID, [stale, pk, version, application_id, at])
    if row is None:
        return None
    key_id, kind, scopes, networks, is_use_due, dedupe_seconds, *rest = row
    recipients, region, countries, *limited = rest
    region = region or settings.DEFAULT_REGION
    return ValidKey(
        pk=pk,
        application_id=application_id,
        key_id=key_id,
        kind=kind,
        scopes=frozenset(json.loads(scopes)),
        allowed_networks=json.loads(networks),
        is_use_due=is_use_due,
        allowed_recipients=json.loads(recipients),
        default_region=region,
        allowed_countries=json.loads(countries) or [region],
        dedupe_seconds=settings.DEDUPE_SECONDS if dedupe_seconds is None else dedupe_seconds,
        limits=limits_of(application_id, *limited),
    )


def is_valid(key: ApiKey, *, now: datetime) -> bool:
    return state_of(key, now=now) == "valid"


def state_of(key: ApiKey, *, now: datetime) -> str:
    """`valid`, or the first reason why it is not: `revoked`, `expired` or `switched_off`."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    return "valid" if key.application.is_active else "switched_off"


def valid(now: datetime) -> Q:
    """The condition of `is_valid`."""
    lasts = Q(expires_at=None) | Q(expires_at__gt=now)
    return lasts & Q(revoked_at=None, application__is_active=True)


def expiring(now: datetime) -> Q:
    return valid(now) & Q(expires_at__lte=now + EXPIRES_SOON)


def unused(now: datetime) -> Q:
    since = now - UNUSED_FOR
    return valid(now) & (Q(last_used_at__lt=since) | Q(last_used_at=None, created_at__lt=since))


def concern_of(key: ApiKey, *, now: datetime) -> str:
    """`expiring` or `unused`, if it is valid and one of them; else empty."""
    if not is_valid(key, now=now):
        return ""
    if key.expires_at is not None and key.expires_at <= now + EXPIRES_SOON:
        return "expiring"
    return "unused" if (key.last_used_at or key.created_at) < now - UNUSED_FOR else ""


def record_use(pk: int, *, now: datetime) -> None:
    """At most one write a minute and key, however many requests come."""
    ApiKey.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USE_EVERY), pk=pk
    ).update(last_used_at=now)


def find_key(key_id: str) -> ApiKey:
    """Raises `DomainError` (`not_found`)."""
    key = ApiKey.objects.select_related("application").filter(key_id=key_id).first()
    if key is None:
        raise DomainError(
            Code.NOT_FOUND, f"There is no API key {key_id}. `manage.py list_api_keys` shows them."
        )
    return key


def rotate_key(*, key: ApiKey, overlap: timedelta, now: datetime) -> IssuedKey:
    """Issue a successor with the same rights. The old key works for `overlap` more.

    Raises `DomainError` (`conflict`) for a key that is not valid or was rotated before.
    """
    with transaction.atomic():
        key = (
            ApiKey.objects.select_for_update(of=("self",))
            .select_related("application")
            .get(pk=key.pk)
        )
        if not is_valid(key, now=now):
            raise DomainError(
                Code.CONFLICT, _("%(key)s is not valid any more; issue a new key.") % {"key": key}
            )
        if ApiKey.objects.filter(replaces=key).exists():
            raise DomainError(Code.CONFLICT, _("%(key)s was rotated already.") % {"key": key})
        issued = issue_key(
            application=key.application,
            name=key.name,
            kind=key.kind,
            scopes=key.scopes,
            allowed_networks=key.allowed_networks,
            expires_at=key.expires_at,
            replaces=key,
        )
        ends_at = now + overlap
        if key.expires_at is None or key.expires_at > ends_at:
            ApiKey.objects.filter(pk=key.pk).update(expires_at=ends_at)
    return issued


def revoke_key(*, key: ApiKey, now: datetime) -> bool:
    """End the key and every token of it at once. False if it was revoked before."""
    won = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(
        revoked_at=now, version=F("version") + 1
    )
    return bool(won)

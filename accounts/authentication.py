"""Bearer tokens: short-lived, ours only, and worth nothing once their key is revoked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast

from django.conf import settings
from django.utils import timezone
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import Token

from accounts.claims import check_times, is_row_id
from accounts.keys import find_valid, record_use
from accounts.limits import Allowance
from accounts.models import ApiKey
from accounts.networks import client_address, is_allowed
from core.errors import Code
from core.middleware import add_late_headers
from core.problems import ProblemError


class ApplicationToken(Token):
    """Claims: `app` and `key` (ids of rows), `ver` (the key's version when it was issued)."""

    token_type = "access"  # noqa: S105
    lifetime = timedelta(minutes=settings.TOKEN_LIFETIME_MINUTES)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling. REST framework knows it as `request.user`."""

    application_id: int
    api_key_id: int
    key_id: str
    kind: str
    scopes: frozenset[str]
    # How long the same message is not sent again, unless a template says otherwise.
    dedupe_seconds: int
    # Whom its application may write to; empty: everybody.
    allowed_recipients: Sequence[str]
    # Of telephone numbers without a country, and those that SMS go to.
    default_region: str
    allowed_countries: Sequence[str]
    # None: nothing is limited.
    allowance: Allowance | None = None

    is_authenticated = True

    @property
    def is_test(self) -> bool:
        return self.kind == ApiKey.Kind.TEST


def issue_token(key: ApiKey) -> str:
    token = ApplicationToken()
    token["app"] = key.application_id
    token["key"] = key.pk
    token["ver"] = key.version
    return str(token)


def caller_of(request: Request) -> Caller:
    """Who sent an authenticated request."""
    return cast(Caller, request.user)


class TokenAuthentication(JWTAuthentication):
    """Looks the key up on every request: a revoked key or a disabled application ends at once."""

    www_authenticate_realm = "notification-platform"

    def authenticate(self, request: Request) -> Any:
        header = self.get_header(request)
        raw_token = self.get_raw_token(header) if header else None
        if raw_token is None:
            return None
        now = timezone.now()
        token = self.get_validated_token(raw_token, now=now)
        caller = find_caller(token, meta=request.META, now=now)
        if caller.allowance is not None:
            add_late_headers(request, caller.allowance.headers)
            caller.allowance.enter()
        return caller, token

    def get_validated_token(self, raw_token: bytes, *, now: datetime | None = None) -> Token:
        try:
            token = _verified(raw_token)
            check_times(token.payload, now=now or timezone.now())
        except Exception as error:
            # Whatever is wrong with it, the caller needs one answer: get a new one.
            raise _refusal() from error
        return token


@lru_cache(maxsize=4096)
def _verified(raw_token: bytes) -> ApplicationToken:
    """The signature, issuer and audience of a token do not change; its times do, and are looked at
    on every request. Raises what is wrong, which is not remembered."""
    return ApplicationToken(cast(Any, raw_token))


def find_caller(token: Token, *, meta: dict[str, Any], now: datetime) -> Caller:
    """Raises `ProblemError` (`invalid_token`, `network_not_allowed`)."""
    claims = [token.get(name) for name in ("key", "ver", "app")]
    if not all(map(is_row_id, claims)):
        raise _refusal()
    found = find_valid(*claims, now=now)
    if found is None:
        raise _refusal()
    if found.allowed_networks:
        address = client_address(meta)
        if not is_allowed(address, found.allowed_networks):
            raise ProblemError(
                Code.NETWORK_NOT_ALLOWED, f"This key may not be used from {address}."
            )
    if found.is_use_due:
        record_use(found.pk, now=now)
    return Caller(
        application_id=found.application_id,
        api_key_id=found.pk,
        key_id=found.key_id,
        kind=found.kind,
        scopes=found.scopes,
        dedupe_seconds=found.dedupe_seconds,
        allowed_recipients=found.allowed_recipients,
        default_region=found.default_region,
        allowed_countries=found.allowed_countries,
        allowance=Allowance(found.limits, now) if found.limits is not None else None,
    )


def _refusal() -> ProblemError:
    problem = ProblemError(Code.INVALID_TOKEN)
    problem.auth_header = 'Bearer realm="notification-platform", error="invalid_token"'  # type: ignore[attr-defined]
    return problem

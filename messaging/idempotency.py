"""Answers by the key that came with the request: the same request again gets the same answer."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, connection

from core.database import prepared_cursor
from core.errors import Code, DomainError

KEPT = timedelta(hours=72)
# How long a request waits for another one with its key that is being answered.
_WAIT = "SET LOCAL lock_timeout = '3s'"
LOCK_NOT_AVAILABLE = "55P03"

_FIND = """
    SELECT fingerprint, status, answer FROM messaging_idempotencykey
    WHERE application_id = %s AND is_test = %s AND key = %s AND created_at > %s
"""
# Who comes second waits here until the first is through.
_KEEP = """
    INSERT INTO messaging_idempotencykey
        (application_id, is_test, key, fingerprint, status, answer, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (application_id, is_test, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, status = excluded.status, answer = excluded.answer,
        created_at = excluded.created_at
    WHERE messaging_idempotencykey.created_at <= %s
    RETURNING 1
"""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request with a key. `fingerprint` says what was asked."""

    application_id: int
    is_test: bool
    key: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str


class Overtaken(Exception):
    """Another request with this key was answered first: undo, and look for its answer."""


def fingerprint_of(path: str, body: dict[str, Any]) -> bytes:
    """The same for bodies that say the same, in whatever order and spacing."""
    asked = {name: value for name, value in body.items() if name != "idempotency_key"}
    text = json.dumps([path, asked], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def find(keyed: Keyed, *, now: datetime) -> Answer | None:
    """The answer that its key got. Raises `DomainError` (`idempotency_key_reused`) when that was to
    another request."""
    adapt = connection.ops.adapt_datetimefield_value
    with prepared_cursor() as cursor:
        cursor.execute(_FIND, [keyed.application_id, keyed.is_test, keyed.key, adapt(now - KEPT)])
        row = cursor.fetchone()
    if row is None:
        return None
    fingerprint, status, body = row
    if bytes(fingerprint) != keyed.fingerprint:
        raise DomainError(
            Code.IDEMPOTENCY_KEY_REUSED,
            "This idempotency key was used with another body or path less than 72 hours ago. "
            "Repeat a request as it was, or give a new one a new key.",
        )
    return Answer(status, body)


def wait_briefly() -> None:
    """In a transaction, before anything is written: `keep` then waits for three seconds at most."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_WAIT)


def keep(keyed: Keyed, answer: Answer, *, now: datetime) -> None:
    """In the transaction that stores what was asked, as its last statement. Raises `Overtaken`, and
    `DomainError` (`idempotency_key_in_use`) while another request with the key takes too long."""
    adapt = connection.ops.adapt_datetimefield_value
    values: list[Any] = [keyed.application_id, keyed.is_test, keyed.key, keyed.fingerprint]
    try:
        with prepared_cursor() as cursor:
            cursor.execute(
                _KEEP, [*values, answer.status, answer.body, adapt(now), adapt(now - KEPT)]
            )
            row = cursor.fetchone()
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") == LOCK_NOT_AVAILABLE:
            raise DomainError(
                Code.IDEMPOTENCY_KEY_IN_USE,
                "A request with this idempotency key is still being answered. Repeat it soon.",
            ) from error
        raise
    if row is None:
        raise Overtaken

"""How messages become rows: past the ORM, which costs a third more for one and twice as much for
many. The statements are made once from the model."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from django.db import connection, models, transaction
from django.db.models.expressions import DatabaseDefault

from core.database import as_moment, prepared_cursor
from messaging.models import Message

# What the database fills in, unless it is given.
_FILLED_IN = "due_at"
# One that is not over yet stays, and then nothing is returned. It waits for another transaction
# that is just writing the same one.
_REMEMBER = """
    INSERT INTO messaging_fingerprint (digest, message_id, expires_at)
    VALUES (%s, %s, {until})
    ON CONFLICT (digest) DO UPDATE
    SET message_id = excluded.message_id, expires_at = excluded.expires_at
    WHERE messaging_fingerprint.expires_at <= {now}
    RETURNING 1
"""
_REMEMBER_POSTGRESQL = _REMEMBER.format(until="now() + make_interval(secs => %s)", now="now()")
_REMEMBER_SQLITE = _REMEMBER.format(until="%s", now="%s")
_REMEMBER_MANY = """
    INSERT INTO messaging_fingerprint (digest, message_id, expires_at)
    SELECT digest, message, now() + make_interval(secs => seconds)
    FROM unnest(%s::bytea[], %s::uuid[], %s::integer[]) AS new (digest, message, seconds)
    ORDER BY digest
    ON CONFLICT (digest) DO UPDATE
    SET message_id = excluded.message_id, expires_at = excluded.expires_at
    WHERE messaging_fingerprint.expires_at <= now()
    RETURNING digest
"""


@dataclass(frozen=True, slots=True)
class Unique:
    """What makes a message the same as another, and for how many seconds that counts."""

    digest: bytes
    seconds: int


def insert_one(message: Message, unique: Unique | None) -> bool:
    """One INSERT, which also remembers `unique` where it is given. False, and nothing is stored,
    where the same is remembered already. Sets `created_at` and `due_at`."""
    statements = _statements(connection.vendor)
    values = [given.value(message) for given in statements.given]
    if unique is None:
        sql = statements.insert
    elif connection.vendor == "postgresql":
        sql = statements.insert_if_new
        values = [unique.digest, message.pk, unique.seconds, *values]
    else:
        with transaction.atomic():
            if not _remember_sqlite(message, unique):
                return False
            return insert_one(message, None)
    with prepared_cursor() as cursor:
        cursor.execute(sql, values)
        row = cursor.fetchone()
    if row is None:
        return False
    _complete(message, as_moment(row[0]))
    return True


def remember(asked: Sequence[tuple[Message, Unique]]) -> set[bytes]:
    """Remember many at once, no digest twice. Returns those digests that are new; the others are
    of messages that were accepted before."""
    if connection.vendor != "postgresql":
        return {unique.digest for message, unique in asked if _remember_sqlite(message, unique)}
    with connection.cursor() as cursor:
        cursor.execute(
            _REMEMBER_MANY,
            [
                [unique.digest for _, unique in asked],
                [message.pk for message, _ in asked],
                [unique.seconds for _, unique in asked],
            ],
        )
        return {bytes(digest) for (digest,) in cursor.fetchall()}


def insert_many(messages: Sequence[Message]) -> None:
    """One INSERT for all of them. Sets `created_at`, the same for all, and `due_at`."""
    if not messages:
        return
    statements = _statements(connection.vendor)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            columns = [[given.value(m) for m in messages] for given in statements.given]
            cursor.execute(statements.insert_many, columns)
            created_at = as_moment(cursor.fetchone()[0])
        else:
            for message in messages:
                cursor.execute(statements.insert, [g.value(message) for g in statements.given])
                created_at = as_moment(cursor.fetchone()[0])
    for message in messages:
        _complete(message, created_at)


def _complete(message: Message, created_at: datetime) -> None:
    message.created_at = created_at
    message.due_at = _given(message.due_at) or created_at


def _remember_sqlite(message: Message, unique: Unique) -> bool:
    """It has one writer at a time, whose clock is this machine's."""
    now = datetime.now(UTC)
    adapt = connection.ops.adapt_datetimefield_value
    until = adapt(now + timedelta(seconds=unique.seconds))
    pk: Any = Message._meta.pk
    values = [unique.digest, pk.get_db_prep_value(message.pk, connection), until, adapt(now)]
    with connection.cursor() as cursor:
        cursor.execute(_REMEMBER_SQLITE, values)
        return cursor.fetchone() is not None


@dataclass(frozen=True, slots=True)
class _Given:
    """A column that is given, and how its value is made fit for the database where that takes more
    than the driver."""

    name: str
    prepare: Callable[[Any], Any] | None

    def value(self, message: Message) -> Any:
        value = getattr(message, self.name)
        return self.prepare(value) if self.prepare else value


@dataclass(frozen=True, slots=True)
class _Statements:
    given: list[_Given]
    insert: str
    insert_if_new: str = ""
    insert_many: str = ""


@cache
def _statements(vendor: str) -> _Statements:
    fields: list[Any] = [
        field
        for field in Message._meta.concrete_fields
        if not field.has_db_default() or field.name == _FILLED_IN
    ]
    into = f"INSERT INTO messaging_message ({', '.join(field.column for field in fields)})"
    given = [_Given(field.attname, _preparation(field, vendor)) for field in fields]
    if vendor != "postgresql":
        places = ", ".join(_or_now("%s", field, _SQLITE_NOW) for field in fields)
        return _Statements(given, f"{into} VALUES ({places}) RETURNING created_at")
    kinds = [str(field.db_type(connection)).partition("(")[0] for field in fields]
    casts = [f"%s::{kind}" for kind in kinds]
    places = ", ".join(_or_now(cast, field) for cast, field in zip(casts, fields, strict=True))
    names = [f"c{number}" for number in range(len(fields))]
    rows = ", ".join(f"%s::{_array_of(kind)}[]" for kind in kinds)
    chosen = ", ".join(
        _or_now(f"{name}::{kind}", field)
        for name, kind, field in zip(names, kinds, fields, strict=True)
    )
    return _Statements(
        given,
        insert=f"{into} VALUES ({places}) RETURNING created_at",
        insert_if_new=f"WITH is_new AS ({_REMEMBER_POSTGRESQL}) "  # noqa: S608
        f"{into} SELECT {places} FROM is_new RETURNING created_at",
        insert_many=f"{into} SELECT {chosen} FROM unnest({rows}) AS new ({', '.join(names)}) "  # noqa: S608
        "RETURNING created_at",
    )


# As Django's `Now` says it there.
_SQLITE_NOW = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')"


def _or_now(expression: str, field: Any, now: str = "now()") -> str:
    return f"COALESCE({expression}, {now})" if field.name == _FILLED_IN else expression


def _array_of(kind: str) -> str:
    # An array of JSON texts is written more cheaply as texts.
    return "text" if kind == "jsonb" else kind


def _preparation(field: Any, vendor: str) -> Callable[[Any], Any] | None:
    if vendor != "postgresql":
        return lambda value: field.get_db_prep_save(_given(value), connection)
    if field.name == _FILLED_IN:
        return _given
    return _as_json if isinstance(field, models.JSONField) else None


def _given(value: Any) -> Any:
    return None if isinstance(value, DatabaseDefault) else value


def _as_json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)

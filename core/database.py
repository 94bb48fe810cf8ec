"""The few things that we ask of the database past the ORM."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import InterfaceError, OperationalError, connection


def first_row(sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """The first row of a query that opens a request, or None.

    It stands in for the `SELECT 1` by which Django looks whether a kept connection still lives: if
    this query fails on one, it is asked again on a new one. Only for reading, and not inside a
    transaction, which would be lost with its connection.
    """
    was_open = connection.connection is not None and not connection.in_atomic_block
    connection.health_check_done = True  # type: ignore[attr-defined]
    try:
        return _ask(sql, parameters)
    except (OperationalError, InterfaceError):
        if not was_open:
            raise
        connection.close()
        return _ask(sql, parameters)


def _ask(sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def as_moment(value: datetime | str) -> datetime:
    """A time as a raw query returns it. SQLite has no type for it and gives text, in UTC."""
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value

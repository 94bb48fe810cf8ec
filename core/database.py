"""The few things that we ask of the database past the ORM."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

from django.db import (
    DEFAULT_DB_ALIAS,
    InterfaceError,
    OperationalError,
    connection,
    connections,
)
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet


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


def prepared_cursor() -> AbstractContextManager[CursorWrapper]:
    """A cursor for the few statements that run all the time, each with one text that never varies.

    On PostgreSQL parameters travel beside the statement, and from its fifth run on a connection it
    is parsed and planned no more (unless PREPARED_STATEMENTS is off): the INSERT of a message costs
    40 instead of 80 us here and 180 instead of 250 us there. A plan is kept, so a statement whose
    best plan depends on how large its tables are is planned anew now and then: `forget_plans`.
    """
    # Not through the proxy, which looks the connection up again for each attribute.
    wrapper: Any = connections[DEFAULT_DB_ALIAS]
    if wrapper.vendor != "postgresql":
        return cast(AbstractContextManager[CursorWrapper], wrapper.cursor())
    wrapper.close_if_health_check_failed()
    wrapper.ensure_connection()
    make = wrapper.make_debug_cursor if wrapper.queries_logged else wrapper.make_cursor
    with wrapper.wrap_database_errors:
        return cast(
            AbstractContextManager[CursorWrapper], make(_server_cursor()(wrapper.connection))
        )


@cache
def _server_cursor() -> Any:
    """Django's, with parameters beside the statement. Without PostgreSQL nothing is imported."""
    from django.db.backends.postgresql.base import ServerBindingCursor

    return ServerBindingCursor


def forget_plans() -> None:
    """Have what is prepared planned anew, for tables that were small when it was planned."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("DISCARD PLANS")


# Rows that one statement takes away: short enough that nobody waits for it.
SLICE = 5_000


def delete_in_slices(old: QuerySet[Any]) -> int:
    """Delete all of `old`, a slice at a time; what is in use just now is passed over. How many
    rows went, with those that hang on them."""
    deleted = 0
    while True:
        slice_ = old.select_for_update(skip_locked=True).values("pk")[:SLICE]
        count: int = old.model.objects.filter(pk__in=slice_).delete()[0]
        deleted += count
        if count < SLICE:
            return deleted


def read_moments_fast(cursor: CursorWrapper) -> None:
    """Before a query that returns many times: Django's own way to read one is Python, the driver's
    is not. The connection's time zone is UTC either way."""
    if connection.vendor == "postgresql":
        from psycopg.types.datetime import TimestamptzLoader

        cursor.cursor.adapters.register_loader("timestamptz", TimestamptzLoader)


def _ask(sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    with prepared_cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def as_moment(value: datetime | str) -> datetime:
    """A time as a raw query returns it. SQLite gives UTC as text, or without saying that it is."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment

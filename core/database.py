"""The few things that we ask of the database past the ORM."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

from django.db import InterfaceError, OperationalError, connection
from django.db.backends.utils import CursorWrapper


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
    40 instead of 80 us here and 180 instead of 250 us there. Only for statements whose best plan
    does not depend on how large the tables have grown since: a plan is kept.
    """
    return _server_cursor("ServerBindingCursor")


def planned_cursor() -> AbstractContextManager[CursorWrapper]:
    """The same, planned anew at each run: for statements with many values."""
    return _server_cursor("Planned")


def _server_cursor(kind: str) -> AbstractContextManager[CursorWrapper]:
    if connection.vendor != "postgresql":
        return cast(AbstractContextManager[CursorWrapper], connection.cursor())
    wrapper: Any = connection
    wrapper.close_if_health_check_failed()
    wrapper.ensure_connection()
    make = wrapper.make_debug_cursor if wrapper.queries_logged else wrapper.make_cursor
    with wrapper.wrap_database_errors:
        cursor = _cursors()[kind](wrapper.connection)
        return cast(AbstractContextManager[CursorWrapper], make(cursor))


@cache
def _cursors() -> dict[str, Any]:
    """Only here: without PostgreSQL nothing of it is imported."""
    from django.db.backends.postgresql.base import ServerBindingCursor

    class Planned(ServerBindingCursor):
        def execute(self, query: Any, params: Any = None, **_: Any) -> Any:
            return super().execute(query, params, prepare=False)  # type: ignore[misc]

    return {kind.__name__: kind for kind in (ServerBindingCursor, Planned)}


def _ask(sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    with prepared_cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def as_moment(value: datetime | str) -> datetime:
    """A time as a raw query returns it. SQLite gives UTC as text, or without saying that it is."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment

"""How many rows are stored at once: by COPY on PostgreSQL, by `executemany` elsewhere."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection, models, transaction

Row = Sequence[Any]
_NEEDS_ESCAPE = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Table:
    """Rows of a model, in the order of `columns`. Ids are given as 32 digits, moments as seconds
    since 1970, JSON as text."""

    def __init__(self, model: type[models.Model], columns: Sequence[str]) -> None:
        fields: list[Any] = [model._meta.get_field(name) for name in columns]
        self.is_postgresql = connection.vendor == "postgresql"
        names = ", ".join(field.column for field in fields)
        table = model._meta.db_table
        if self.is_postgresql:
            self.sql = f"COPY {table} ({names}) FROM STDIN"
        else:
            places = ", ".join(["%s"] * len(fields))
            self.sql = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608
        self.convert = [self._converter(field) for field in fields]
        self.rows: list[Row] = []

    def _converter(self, field: Any) -> Callable[[Any], Any]:
        if isinstance(field, models.DateTimeField):
            return _copied_moment if self.is_postgresql else _kept_moment
        if not self.is_postgresql:
            return _as_it_is
        is_text = isinstance(field, models.CharField | models.TextField | models.JSONField)
        return _escaped if is_text else _copied

    def take(self) -> list[list[Any]] | str:
        """What is to be written, as the database takes it."""
        rows, self.rows = self.rows, []
        convert = self.convert
        lines = [[f(value) for f, value in zip(convert, row, strict=True)] for row in rows]
        if not self.is_postgresql:
            return lines
        return "".join(["\t".join(line) + "\n" for line in lines])

    def write(self, taken: list[list[Any]] | str) -> None:
        with connection.cursor() as cursor:
            if isinstance(taken, list):
                cursor.executemany(self.sql, taken)
                return
            told: Any = cursor
            with told.copy(self.sql) as copy:
                copy.write(taken)


def _kept_moment(value: float | None) -> str | None:
    """As SQLite keeps it: text, in UTC and without saying so."""
    if value is None:
        return None
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _copied_moment(value: float | None) -> str:
    return "\\N" if value is None else datetime.fromtimestamp(value, UTC).isoformat()


def _as_it_is(value: Any) -> Any:
    return value


def _copied(value: Any) -> str:
    return "\\N" if value is None else str(value)


def _escaped(value: str | None) -> str:
    return "\\N" if value is None else value.translate(_NEEDS_ESCAPE)


class Store:
    """Tables that are written together, referred ones first, in a transaction of their own: who
    works on the same database meanwhile waits for a moment only."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.tables = tables

    def write(self) -> None:
        # Before the transaction: on a busy machine it takes longer than one may be idle.
        taken = [(table, table.take()) for table in self.tables if table.rows]
        with transaction.atomic():
            for table, lines in taken:
                table.write(lines)

"""The suppression list as a file: CSV in and out, JSON in."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from core.addresses import InvalidAddress
from core.recipients import parse_recipient
from core.spreadsheets import FORMULA, csv_line
from core.vocabulary import Channel
from messaging.models import Suppression
from messaging.suppressions import Entry

COLUMNS = ("address", "reason", "note", "expires_at")
EXPORTED = ("address", "reason", "note", "expires_at", "source", "created_at", "holds_for")


@dataclass(frozen=True, slots=True)
class BadLine:
    """`line` counts from 1, in JSON the items."""

    line: int
    code: str
    detail: str


@dataclass(slots=True)
class Parsed:
    channel: str = Channel.EMAIL
    region: str = ""
    entries: list[Entry] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)


class _WrongLine(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def parse_csv(text: str, *, channel: str = Channel.EMAIL, region: str = "") -> Parsed:
    """Of the recipients of one channel; `region` as in `parse_recipient`. With the names of the
    columns in the first line, or without: then the address comes first and the others follow in the
    order of `COLUMNS`."""
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    parsed = Parsed(channel, region)
    columns: tuple[str, ...] = COLUMNS
    while True:
        try:
            cells = next(lines, None)
        except csv.Error as error:
            parsed.bad.append(BadLine(lines.line_num, "invalid", f"It is no CSV: {error}."))
            return parsed
        if cells is None:
            return parsed
        names = tuple(cell.strip().lower() for cell in cells)
        if lines.line_num == 1 and "address" in names:
            columns = names
        elif any(names):
            given = {
                name: _plain(cell.strip())
                for name, cell in zip(columns, cells, strict=False)
                if name in COLUMNS
            }
            _take(parsed, lines.line_num, given)


def parse_items(items: Iterable[Any], *, channel: str = Channel.EMAIL, region: str = "") -> Parsed:
    """Addresses, or objects with the fields of `COLUMNS`; as of `parse_csv`."""
    parsed = Parsed(channel, region)
    for number, item in enumerate(items, start=1):
        given = {"address": item} if isinstance(item, str) else item
        if not isinstance(given, dict):
            parsed.bad.append(BadLine(number, "invalid", "Give an address or an object."))
        elif unknown := sorted(given.keys() - set(COLUMNS)):
            words = f"There is no such field: {unknown[0]}."
            parsed.bad.append(BadLine(number, "unknown_field", words[:200]))
        else:
            _take(parsed, number, given)
    return parsed


def _take(parsed: Parsed, line: int, given: dict[str, Any]) -> None:
    try:
        parsed.entries.append(_entry(given, parsed))
    except _WrongLine as error:
        parsed.bad.append(BadLine(line, error.code, str(error)))


def _entry(given: dict[str, Any], parsed: Parsed) -> Entry:
    values = {name: "" if given.get(name) is None else given[name] for name in COLUMNS}
    for name, value in values.items():
        if not isinstance(value, str):
            raise _WrongLine("invalid", f"{name} must be a string.")
    try:
        text = values["address"]
        address = parse_recipient(parsed.channel, text, region=parsed.region).lower()
    except InvalidAddress as error:
        raise _WrongLine(error.code, str(error)) from error
    reason = values["reason"] or Suppression.Reason.MANUAL
    if reason not in Suppression.Reason.values:
        known = ", ".join(Suppression.Reason.values)
        raise _WrongLine("invalid_choice", f"reason must be one of: {known}.")
    if len(values["note"]) > 200 or "\0" in values["note"]:
        raise _WrongLine("max_length", "note is longer than 200 characters, or holds a NUL.")
    return Entry(address, str(reason), values["note"], _moment(values["expires_at"]))


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or timezone.is_naive(moment):
        raise _WrongLine(
            "invalid_moment", "expires_at must be a time with its offset: 2027-01-31T00:00:00Z."
        )
    return moment


def write_csv(rows: Iterable[Suppression]) -> Iterator[str]:
    """Line by line. What a spreadsheet would take for a formula begins with an apostrophe, which
    `parse_csv` takes away again."""
    yield csv_line(EXPORTED)
    for row in rows:
        yield csv_line(
            [
                row.address,
                row.reason,
                row.note,
                row.expires_at.isoformat() if row.expires_at else "",
                row.source,
                row.created_at.isoformat(),
                "all" if row.application_id is None else "application",
            ]
        )


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell

"""Dates, numbers and money as a language writes them. Pure: no clock, no settings."""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError, numbers
from babel.dates import format_date, format_datetime, format_time

FORMS = frozenset({"short", "medium", "long", "full"})
# What is written for a directive of strftime, in Unicode's patterns (UTS 35).
DIRECTIVES = {
    "Y": "yyyy",
    "y": "yy",
    "m": "MM",
    "-m": "M",
    "d": "dd",
    "-d": "d",
    "e": "d",
    "j": "DDD",
    "B": "MMMM",
    "b": "MMM",
    "A": "EEEE",
    "a": "EEE",
    "H": "HH",
    "-H": "H",
    "k": "H",
    "I": "hh",
    "-I": "h",
    "l": "h",
    "M": "mm",
    "-M": "m",
    "S": "ss",
    "-S": "s",
    "p": "a",
    "z": "Z",
    ":z": "xxx",
    "Z": "z",
    "F": "yyyy-MM-dd",
    "T": "HH:mm:ss",
    "R": "HH:mm",
    "%": "'%'",
}
_DIRECTIVE = re.compile(r"%(:z|-?[A-Za-z%])")
_NUMERIC = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?", re.ASCII)


class NoSuchForm(ValueError):
    """What was asked for cannot be written. Says why, in a sentence."""


@lru_cache(maxsize=256)
def locale_of(code: str) -> Locale:
    """The nearest that is known: `zh-hans-cn`, `zh-hans`, `zh`, then English."""
    parts = code.split("-")
    for length in range(len(parts), 0, -1):
        try:
            return Locale.parse("-".join(parts[:length]), sep="-")
        except (ValueError, UnknownLocaleError):
            continue
    return Locale("en")


def date(value: Any, form: str = "medium", *, timezone: str = "", locale: str) -> str:
    """`{{ at | date: "long" }}` as the language writes it, `{{ at | date: "%Y-%m-%d" }}` as said.

    `at` is ISO 8601, `2026-11-22` or `2026-11-22T09:30:00+08:00`, or seconds since 1970. A time is
    shown in its own offset, or in `timezone: "Asia/Shanghai"`.
    """
    moment = _moment(value, timezone)
    if "%" in form:
        return str(format_datetime(moment, _pattern(form), locale=locale_of(locale)))
    return str(format_date(moment.date(), _form(form), locale=locale_of(locale)))


def datetime_(value: Any, form: str = "medium", *, timezone: str = "", locale: str) -> str:
    moment = _moment(value, timezone)
    return str(format_datetime(moment, _form(form), locale=locale_of(locale)))


def time_(value: Any, form: str = "short", *, timezone: str = "", locale: str) -> str:
    moment = _moment(value, timezone)
    return str(format_time(moment, _form(form), tzinfo=moment.tzinfo, locale=locale_of(locale)))


def number(value: Any, digits: Any = None, *, locale: str) -> str:
    """`{{ 1234.5 | number }}`, `{{ 1234.5 | number: 2 }}` with so many decimals."""
    pattern = None if digits is None else "#,##0" + _decimals(digits)
    return numbers.format_decimal(_number(value), format=pattern, locale=locale_of(locale))


def percent(value: Any, digits: Any = 0, *, locale: str) -> str:
    """`{{ 0.25 | percent }}` is 25 %."""
    known = locale_of(locale)
    pattern = known.percent_formats[None].pattern.replace("0", "0" + _decimals(digits), 1)
    return numbers.format_percent(_number(value), format=pattern, locale=known)


def currency(value: Any, code: str, *, locale: str) -> str:
    """`{{ 19.9 | currency: "CNY" }}`; the code is that of ISO 4217."""
    if not (isinstance(code, str) and re.fullmatch(r"[A-Z]{3}", code)):
        raise NoSuchForm("the currency must be a code such as CNY or EUR")
    return numbers.format_currency(_number(value), code, locale=locale_of(locale))


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or value is None or not _NUMERIC.fullmatch(text := _plain(value)):
        raise NoSuchForm("this is no number, or one of more than 15 digits")
    return Decimal(text)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        try:
            return format(Decimal(repr(value)), "f")
        except InvalidOperation:
            return ""
    return str(value).strip()


def _decimals(digits: Any) -> str:
    if isinstance(digits, bool) or not isinstance(digits, int) or not 0 <= digits <= 10:
        raise NoSuchForm("the number of decimals must be from 0 to 10")
    return "." + "0" * digits if digits else ""


def _form(form: Any) -> str:
    if form not in FORMS:
        raise NoSuchForm('the form must be "short", "medium", "long" or "full"')
    return str(form)


@lru_cache(maxsize=256)
def _pattern(form: str) -> str:
    """strftime's form as a pattern of Unicode's, in which letters are quoted."""
    pieces = []
    for index, piece in enumerate(_DIRECTIVE.split(form)):
        if index % 2 == 0:
            quoted = piece.replace("'", "''")
            pieces.append(f"'{quoted}'" if piece else "")
        elif piece in DIRECTIVES:
            pieces.append(DIRECTIVES[piece])
        else:
            raise NoSuchForm(f"%{piece} is not known")
    return "".join(pieces)


def _moment(value: Any, timezone: Any) -> datetime:
    try:
        moment = _read(value)
        if timezone:
            moment = moment.astimezone(ZoneInfo(timezone))
    except NoSuchForm:
        raise
    except Exception as error:
        # A zone that does not exist, a year out of range, …
        raise NoSuchForm("this is no time zone, or no time that can be shown in it") from error
    return moment


def _read(value: Any) -> datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str) and len(value) <= 40:
        text = value.strip()
        if text.isascii() and text.isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise NoSuchForm("this is no time; give it like 2026-11-22 or 2026-11-22T09:30:00+08:00")

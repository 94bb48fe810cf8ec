"""Whom an application may write to: a fence around staging."""

import re
from collections.abc import Sequence

from core.addresses import InvalidAddress, parse_address

_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}")
FORMS = "Write ann@example.com, @example.com (that domain) or *.example.com (those below it)."


def parse_allowed(text: object) -> str:
    """One entry in the form in which it is stored. Raises `ValueError` that says what is wrong."""
    entry = text.strip().lower() if isinstance(text, str) else ""
    for prefix in ("@", "*."):
        if entry.startswith(prefix):
            if _DOMAIN.fullmatch(entry.removeprefix(prefix)):
                return entry
            raise ValueError(f"{text!r} names no domain. {FORMS}")
    try:
        return parse_address(entry).address
    except InvalidAddress as error:
        raise ValueError(f"{text!r} is none of the forms. {FORMS}") from error


def may_write_to(address: str, allowed: Sequence[str]) -> bool:
    """Whether one of `allowed` fits; without any, everybody may be written to."""
    if not allowed:
        return True
    address = address.lower()
    domain = address.rpartition("@")[2]
    return any(
        domain == entry[1:]
        if entry.startswith("@")
        else domain.endswith(entry[1:])
        if entry.startswith("*.")
        else address == entry
        for entry in allowed
    )

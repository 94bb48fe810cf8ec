"""Makes foreign words fit to be logged, stored as history or exported."""

import re

_ADDRESS = re.compile(r"[^\s<>\"'(),;:=]+@([A-Za-z0-9\u0080-\uffff][\w.\u0080-\uffff-]*)")
# E.164, and mobile numbers of mainland China as people write them there.
_NUMBER = re.compile(r"(?<![\w-])(\+[1-9]\d{6,14}|(?:86)?1[3-9]\d{9})(?![\w-])")
# PostgreSQL stores neither NUL nor half a surrogate pair; the others only confuse.
_HOOK = re.compile(r"^/hooks/[^/]*")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """Without control characters, which a provider's words may hold."""
    return _UNPRINTABLE.sub(" ", text)


def mask_addresses(text: str) -> str:
    """`550 <ann@example.com> unknown` becomes `550 <a***@example.com> unknown`, and of telephone
    numbers the last two digits stay. Printable."""
    text = printable(text)
    text = _ADDRESS.sub(lambda found: f"{found.group(0)[0]}***@{found.group(1)}", text)
    return _NUMBER.sub(lambda found: f"***{found.group(0)[-2:]}", text)


def mask_recipient(address: str) -> str:
    """One address of any channel, so that people who know it still tell it from others:
    `a***@example.com`, `***00`, `o***`."""
    local, at, domain = address.rpartition("@")
    if at:
        return f"{local[:1]}***@{domain}"
    if address.lstrip("+").isdigit():
        return f"***{address[-2:]}"
    return f"{address[:1]}***" if address else ""


def mask_path(path: str) -> str:
    """A request's path without addresses, and without the token of a provider's webhook."""
    return _HOOK.sub("/hooks/***", mask_addresses(path))

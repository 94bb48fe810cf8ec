"""An e-mail as bytes.

Written here and not by `email.message.EmailMessage`: its folding splits a long display name at its
commas into addresses of their own (Python 3.11), decodes what only looks like an encoded word, and
refuses U+2028 in a subject; and its bodies took half of the CPU of a drain. What is written is held
against the standard library's parser by property tests.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from messaging.channels.base import Outbound
from messaging.channels.mail_headers import words_of
from messaging.channels.mime_parts import parts
from messaging.channels.mime_words import LINE, encoded_words, unbroken

# What may stand in an SMTP command and in a header without quotes.
_ADDRESS = re.compile(r"[!-~]{1,64}@[!-~]{1,255}")
_SPECIAL = re.compile(r'[\s"(),:;<>\[\]\\]')
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PRINTABLE = re.compile(r"[ -~]*")


def serialize(outbound: Outbound, *, from_name: str, from_address: str, date: datetime) -> bytes:
    """RFC 5322 with CRLF line ends. Bcc is in the envelope only.

    Raises `ValueError` for what cannot be written: an address that would not stay one, a line break
    or NUL in a header, a header that callers may not give, half a surrogate pair, an attachment
    that cannot be described.
    """
    content = outbound.content
    for _, address in content.recipients():
        check_address(address)
    lines = [_folded("From", _people([(from_name, from_address)]))]
    for header, people in (("To", content.to), ("Cc", content.cc), ("Reply-To", content.reply_to)):
        if people:
            lines.append(_folded(header, _people(people)))
    lines.append(_folded("Subject", _text(content.subject)))
    lines += [_folded(name, words_of(name, value)) for name, value in content.headers.items()]
    if all(name.lower() != "auto-submitted" for name in content.headers):
        lines.append("Auto-Submitted: auto-generated")
    lines += [
        f"Date: {_date(date.replace(microsecond=0))}",
        f"Message-ID: {unbroken(outbound.message_id)}",
        f"X-Notification-Attempt: {unbroken(outbound.attempt_id)}",
        "MIME-Version: 1.0",
        "",
    ]
    return "\r\n".join(lines).encode("ascii") + parts(content, outbound.attachments)


@lru_cache(maxsize=4)
def _date(second: datetime) -> str:
    return format_datetime(second)


def check_address(address: str) -> None:
    """Raises `ValueError` for what is no plain ASCII address."""
    if not _ADDRESS.fullmatch(address) or address.count("@") != 1 or _SPECIAL.search(address):
        raise ValueError("an address that cannot be written")


def check_person(name: str, address: str) -> None:
    """Raises `ValueError` for what cannot be written as `name <address>`."""
    list(_people([(name, address)]))


def _folded(header: str, tokens: Iterable[str]) -> str:
    """`tokens` with one space between them, broken where a line would become too long."""
    lines = [f"{header}:"]
    for number, token in enumerate(tokens):
        if number and len(lines[-1]) + 1 + len(token) > LINE:
            lines.append("")
        lines[-1] += f" {token}"
    return "\r\n".join(lines)


def _people(people: list[tuple[str, str]]) -> Iterator[str]:
    last = len(people) - 1
    for number, (name, address) in enumerate(people):
        check_address(address)
        comma = "," if number < last else ""
        if name:
            yield from _phrase(name)
            yield f"<{address}>{comma}"
        else:
            yield f"{address}{comma}"


def _phrase(name: str) -> list[str]:
    if len(name) > 60 or not _PRINTABLE.fullmatch(name) or "=?" in name:
        return encoded_words(name)
    if _ATOMS.fullmatch(name):
        return [name]
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"']


def _text(text: str) -> list[str]:
    words = text.split(" ")
    is_plain = _PRINTABLE.fullmatch(text) and "=?" not in text
    if is_plain and (not text or all(0 < len(word) <= 60 for word in words)):
        return words
    return encoded_words(text)

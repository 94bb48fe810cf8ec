"""An e-mail as bytes.

Written here and not by `email.message.EmailMessage`: its folding splits a long display name at its
commas into addresses of their own (Python 3.11), decodes what only looks like an encoded word, and
refuses U+2028 in a subject; and its bodies took half of the CPU of a drain. What is written is held
against the standard library's parser by property tests.
"""

import os
import re
from base64 import b64encode, encodebytes
from binascii import b2a_qp
from collections.abc import Iterable, Iterator
from datetime import datetime
from email.utils import format_datetime

from messaging.channels.base import EmailContent, Outbound

# 7 bits everywhere: no relay has to speak 8BITMIME, and no line is too long.
_LINE_END = re.compile("\r\n|\r|\n")
_LONG_LINE = re.compile(rb"[^\n]{78}")
_FOREIGN = bytes(range(128, 256))
# RFC 2047: a line with an encoded word has at most 76 characters. 39 bytes make a word of 64.
LINE, WORD_BYTES = 76, 39
# What may stand in an SMTP command and in a header without quotes.
_ADDRESS = re.compile(r"[!-~]{1,64}@[!-~]{1,255}")
_SPECIAL = re.compile(r'[\s"(),:;<>\[\]\\]')
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PRINTABLE = re.compile(r"[ -~]*")
BREAKING = re.compile("[\x00\r\n]")


def serialize(outbound: Outbound, *, from_name: str, from_address: str, date: datetime) -> bytes:
    """RFC 5322 with CRLF line ends. Bcc is in the envelope only.

    Raises `ValueError` for what cannot be written: an address that would not stay one, a line break
    or NUL in a header, half a surrogate pair.
    """
    content = outbound.content
    for _, address in content.recipients():
        check_address(address)
    lines = [_folded("From", _people([(from_name, from_address)]))]
    for header, people in (("To", content.to), ("Cc", content.cc), ("Reply-To", content.reply_to)):
        if people:
            lines.append(_folded(header, _people(people)))
    lines.append(_folded("Subject", _text(content.subject)))
    lines += [
        f"Date: {format_datetime(date)}",
        f"Message-ID: {_unbroken(outbound.message_id)}",
        f"X-Notification-Attempt: {_unbroken(outbound.attempt_id)}",
        "Auto-Submitted: auto-generated",
        "",
    ]
    return "\r\n".join(lines).encode("ascii") + _bodies(content)


def check_address(address: str) -> None:
    """Raises `ValueError` for what is no plain ASCII address."""
    if not _ADDRESS.fullmatch(address) or address.count("@") != 1 or _SPECIAL.search(address):
        raise ValueError("an address that cannot be written")


def check_person(name: str, address: str) -> None:
    """Raises `ValueError` for what cannot be written as `name <address>`."""
    list(_people([(name, address)]))


# --- headers -------------------------------------------------------------------------------------


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
        return _encoded_words(name)
    if _ATOMS.fullmatch(name):
        return [name]
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"']


def _text(text: str) -> list[str]:
    words = text.split(" ")
    is_plain = _PRINTABLE.fullmatch(text) and "=?" not in text
    if is_plain and (not text or all(0 < len(word) <= 60 for word in words)):
        return words
    return _encoded_words(text)


def _encoded_words(text: str) -> list[str]:
    """RFC 2047. Each word is whole characters, as it demands."""
    chunks = [b""]
    for character in _unbroken(text):
        encoded = character.encode()
        if len(chunks[-1]) + len(encoded) > WORD_BYTES:
            chunks.append(b"")
        chunks[-1] += encoded
    return [f"=?utf-8?b?{b64encode(chunk).decode()}?=" for chunk in chunks]


def _unbroken(value: str) -> str:
    if BREAKING.search(value):
        raise ValueError("a line break or NUL in a header")
    return value


# --- bodies --------------------------------------------------------------------------------------


def _bodies(content: EmailContent) -> bytes:
    """The MIME headers of the message, the empty line, and one part or two to choose from."""
    if not content.html:
        return b"MIME-Version: 1.0\r\n" + _part("plain", content.text)
    if not content.text:
        return b"MIME-Version: 1.0\r\n" + _part("html", content.html)
    # 128 random bits are in no part by chance, and nobody can put them there.
    boundary = b"=_" + os.urandom(16).hex().encode()
    return b"".join(
        (
            b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="',
            *(boundary, b'"\r\n\r\n--', boundary, b"\r\n", _part("plain", content.text)),
            *(b"\r\n--", boundary, b"\r\n", _part("html", content.html)),
            *(b"\r\n--", boundary, b"--\r\n"),
        )
    )


def _part(subtype: str, text: str) -> bytes:
    encoding, body = _encoded(_LINE_END.sub("\n", text).encode())
    header = (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return header.encode("ascii") + body


def _encoded(body: bytes) -> tuple[str, bytes]:
    """RFC 2045, by the way that takes the least space. Lines end in LF here, in CRLF after."""
    foreign = 0 if body.isascii() else len(body) - len(body.translate(None, _FOREIGN))
    if not foreign and not _LONG_LINE.search(body):
        return "7bit", body.replace(b"\n", b"\r\n")
    # Quoted-printable makes three bytes of each foreign one, base64 four of three.
    if foreign * 6 <= len(body):
        return "quoted-printable", b2a_qp(body, istext=True).replace(b"\n", b"\r\n")
    return "base64", encodebytes(body.replace(b"\n", b"\r\n")).replace(b"\n", b"\r\n")

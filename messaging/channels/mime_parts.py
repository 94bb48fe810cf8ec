"""The MIME parts of an e-mail: its bodies and what is attached to them (RFC 2045, 2046, 2387)."""

import os
import re
from base64 import b64encode
from binascii import b2a_qp

from messaging.channels.base import Attachment
from messaging.channels.content import EmailContent
from messaging.channels.mime_words import old_parameter, parameter

# 7 bits everywhere: no relay has to speak 8BITMIME, and no line is too long.
LONGEST_LINE = 77
_FOREIGN = bytes(range(128, 256))
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,60}"  # noqa: S105
_CONTENT_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}")
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+./=?^_`{|}~@-]{1,200}")
# These are made of parts of their own, which must not be base64 (RFC 2045, section 6.4).
_COMPOSITE = ("multipart/", "message/")
BASE64_LINE = 76
# Bytes that make whole lines.
BASE64_PIECE = 57 * 1024


def parts(content: EmailContent, attachments: tuple[Attachment, ...]) -> bytes:
    """The content headers of the message, the empty line, and everything behind it.

    Raises `ValueError` for an attachment that cannot be described.
    """
    shown, apart = [], []
    for attachment in attachments:
        # Without HTML nothing can point to it.
        if attachment.content_id and content.html:
            shown.append(_attached(attachment, "inline"))
        else:
            apart.append(_attached(attachment, "attachment"))
    bodies = []
    if content.text or not content.html:
        bodies.append(_body("plain", content.text))
    if content.html:
        html = _body("html", content.html)
        related = 'related; type="text/html"'
        bodies.append(_multipart(related, [html, *shown]) if shown else html)
    whole = bodies[0] if len(bodies) == 1 else _multipart("alternative", bodies)
    return _multipart("mixed", [whole, *apart]) if apart else whole


def content_type(attachment: Attachment) -> str:
    """Raises `ValueError` for what is no type. One that is made of parts is called unknown."""
    if not _CONTENT_TYPE.fullmatch(attachment.content_type):
        raise ValueError("a content type that is none")
    if attachment.content_type.lower().startswith(_COMPOSITE):
        return "application/octet-stream"
    return attachment.content_type


def content_id(attachment: Attachment) -> str:
    """With its angle brackets. Raises `ValueError` for what cannot stand between them."""
    if not _CONTENT_ID.fullmatch(attachment.content_id):
        raise ValueError("a content id that cannot be written")
    return f"<{attachment.content_id}>"


def _multipart(subtype: str, inner: list[bytes]) -> bytes:
    # 128 random bits are in no part by chance, and nobody can put them there.
    boundary = b"=_" + os.urandom(16).hex().encode()
    head = f"Content-Type: multipart/{subtype};\r\n boundary=".encode()
    lines = [head, b'"', boundary, b'"\r\n']
    for part in inner:
        lines += (b"\r\n--", boundary, b"\r\n", part)
    return b"".join((*lines, b"\r\n--", boundary, b"--\r\n"))


def _body(subtype: str, text: str) -> bytes:
    encoding, body = _encoded(text.replace("\r\n", "\n").replace("\r", "\n").encode())
    header = (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return header.encode("ascii") + body


def _attached(attachment: Attachment, disposition: str) -> bytes:
    kind, name = content_type(attachment), attachment.filename
    header = [
        f"Content-Type: {kind}" + (old_parameter("name", name) if name else ""),
        "Content-Transfer-Encoding: base64",
        f"Content-Disposition: {disposition}" + (parameter("filename", name) if name else ""),
    ]
    if attachment.content_id:
        header.append(f"Content-ID: {content_id(attachment)}")
    return "\r\n".join([*header, "", ""]).encode("ascii") + _base64(attachment.data)


def _encoded(body: bytes) -> tuple[str, bytes]:
    """RFC 2045, by the way that takes the least space. Lines end in LF here, in CRLF after."""
    foreign = 0 if body.isascii() else len(body) - len(body.translate(None, _FOREIGN))
    if not foreign and max(map(len, body.split(b"\n"))) <= LONGEST_LINE:
        return "7bit", body.replace(b"\n", b"\r\n")
    # Quoted-printable makes three bytes of each foreign one, base64 four of three.
    if foreign * 6 <= len(body):
        return "quoted-printable", b2a_qp(body, istext=True).replace(b"\n", b"\r\n")
    return "base64", _base64(body.replace(b"\n", b"\r\n"))


def _base64(data: bytes) -> bytes:
    """Piece by piece: a list of all lines at once takes five times the memory of the file."""
    starts = range(0, len(data), BASE64_PIECE)
    return b"".join([_base64_lines(data[start : start + BASE64_PIECE]) for start in starts])


def _base64_lines(data: bytes) -> bytes:
    whole = b64encode(data)
    starts = range(0, len(whole), BASE64_LINE)
    return b"".join([whole[start : start + BASE64_LINE] + b"\r\n" for start in starts])

"""What a recipient's program makes of the bytes.

Names are read by the older functions of the standard library: `email.policy.default` of Python 3.11
leaves spaces between the encoded words of a long name.
"""

import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses


def read(data: bytes) -> EmailMessage:
    message = message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return message


def raw_header(data: bytes, name: str) -> str:
    """Unfolded as RFC 5322 says: a line break before white space goes away."""
    head = data.split(b"\r\n\r\n", 1)[0].decode("ascii")
    found = re.search(rf"^{name}: ((?:[^\r\n]|\r\n[ \t])*)", head, re.MULTILINE)
    return found[1].replace("\r\n", "") if found else ""


def text_header(data: bytes, name: str) -> str:
    return str(make_header(decode_header(raw_header(data, name))))


def people(data: bytes, header: str) -> list[tuple[str, str]]:
    pairs = getaddresses([raw_header(data, header)])
    return [(str(make_header(decode_header(name))) if name else "", to) for name, to in pairs]


def body(data: bytes, kind: str) -> str:
    """Of one kind, with "\\n" line ends and without those at its end."""
    part = read(data).get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n").rstrip("\n")


def lines_as_read(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")

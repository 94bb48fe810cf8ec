"""E-mail addresses, checked before they come near a header or an SMTP command.

Stricter than RFC 5321 on purpose: no quoted local parts, no address literals, no comments, no
non-ASCII local parts (most relays refuse SMTPUTF8). Domains may be international; they are stored
in their ASCII form.
"""

import re
from dataclasses import dataclass

from django.utils.translation import gettext as _

LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>")
# C0 and C1 controls, line and paragraph separators, what turns the reading direction around, and
# halves of surrogate pairs, which no encoding can write.
CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
ENCODED_WORD = re.compile(r"=\?[^?\s]*\?[bBqQ]\?")


class InvalidAddress(ValueError):
    """Says in one sentence what is wrong. `code` is public."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Address:
    """`name` may be empty; `address` is ASCII, its domain in lower case."""

    name: str
    address: str


def parse_address(text: str) -> Address:
    """`ann@example.com` or `Ann Lee <ann@example.com>`. Raises `InvalidAddress`."""
    if len(text) > 500:
        raise InvalidAddress("invalid_address", _("It is longer than 500 characters."))
    if CONTROL.search(text):
        raise InvalidAddress("control_characters", _("It holds line breaks or control characters."))
    if ENCODED_WORD.search(text):
        raise InvalidAddress("invalid_address", _("It holds an encoded word (=?…?=)."))
    text = text.strip(" ")
    named = NAMED.fullmatch(text)
    name = named["name"].strip(" ") if named else ""
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return Address(name, _address(named["address"] if named else text))


def _address(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise InvalidAddress("invalid_address", _("It must look like name@example.com."))
    if not local.isascii():
        raise InvalidAddress("invalid_address", _("The part before the @ must be ASCII."))
    if len(local) > 64 or not LOCAL.fullmatch(local):
        raise InvalidAddress(
            "invalid_address",
            _(
                "The part before the @ is longer than 64 characters or holds characters, spaces or "
                "quotes that are not taken."
            ),
        )
    try:
        domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise InvalidAddress("invalid_address", _("The part after the @ is no domain.")) from None
    labels = domain.split(".")
    if len(labels) < 2 and domain != "localhost":
        raise InvalidAddress("invalid_address", _("The part after the @ must be a full domain."))
    if len(domain) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise InvalidAddress("invalid_address", _("The part after the @ is no domain."))
    if len(local) + 1 + len(domain) > 254:
        raise InvalidAddress("invalid_address", _("It is longer than 254 characters."))
    return f"{local}@{domain}"

"""What is sent, by channel: a small union, stored as JSON on the message.

Recipients are `(name, address)` pairs in every kind, also where there are no names, so that
whatever looks at recipients needs not ask which channel it is.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from core.vocabulary import Channel

Person = tuple[str, str]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Where a file lies that goes with a message, and what is told of it. With a `content_id`,
    without angle brackets, it is shown where the HTML says `cid:` and that id."""

    id: str
    stored_as: str
    filename: str
    content_type: str
    size: int
    # In hex, of the bytes that were accepted.
    sha256: str
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class EmailContent:
    """One rendered e-mail. Addresses are `name <address>` pairs, already validated.

    At least one of `html` and `text` is not empty.
    """

    to: list[Person]
    subject: str
    html: str = ""
    text: str = ""
    cc: list[Person] = field(default_factory=list)
    bcc: list[Person] = field(default_factory=list)
    reply_to: list[Person] = field(default_factory=list)
    attachments: Sequence[StoredFile] = ()
    # Further headers by their names, of those in `mail_headers`.
    headers: dict[str, str] = field(default_factory=dict)

    def recipients(self) -> list[tuple[str, str]]:
        """`(position, address)` of the envelope, in order, no address twice: `to/0`, `cc/1`, …"""
        envelope: dict[str, str] = {}
        for role, addresses in (("to", self.to), ("cc", self.cc), ("bcc", self.bcc)):
            for index, (_, address) in enumerate(addresses):
                envelope.setdefault(address, f"{role}/{index}")
        return [(position, address) for address, position in envelope.items()]

    def as_json(self) -> dict[str, Any]:
        """What is stored on the message: only what is not empty."""
        named = {name: getattr(self, name) for name in self.__slots__}
        if self.attachments:
            named["attachments"] = [asdict(file) for file in self.attachments]
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True)
class _ToOnly:
    """Of channels that know no copies and no files."""

    to: list[Person]

    attachments: ClassVar[Sequence[StoredFile]] = ()

    def recipients(self) -> list[tuple[str, str]]:
        """`(position, address)`, in order, no address twice: `to/0`, `to/1`, …"""
        places: dict[str, str] = {}
        for index, (_, address) in enumerate(self.to):
            places.setdefault(address, f"to/{index}")
        return [(position, address) for address, position in places.items()]

    def as_json(self) -> dict[str, Any]:
        """What is stored on the message: only what is not empty."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True)
class TextContent(_ToOnly):
    """A text as it is shown. `format` says how it is written, in the channel's words: `text`,
    `markdown`, `textcard`, …; `details` is what else a message of this format has."""

    subject: str = ""
    text: str = ""
    format: str = "text"
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TemplatedContent(_ToOnly):
    """The provider's own, approved template and what is put into it.

    `parameters` are named as the provider's template names them. `kind`: which of the provider's
    sorts of templates it is, where it has several. `text` is what recipients are expected to read:
    for people who look at the message, and for counting. `segments`: so many messages are charged.
    """

    template_id: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    signature: str = ""
    kind: str = ""
    text: str = ""
    segments: int = 0
    details: dict[str, Any] = field(default_factory=dict)


Content = EmailContent | TextContent | TemplatedContent

KINDS: dict[str, type[TextContent | TemplatedContent]] = {
    Channel.SMS: TemplatedContent,
    Channel.WECHAT: TextContent,
    Channel.WECHAT_OFFICIAL: TemplatedContent,
    Channel.CHAT: TextContent,
}


def content_from_json(channel: str, stored: dict[str, Any]) -> Content:
    """The content of a stored message of `channel`. Raises `TypeError` for what no version of the
    platform has stored."""
    people = {
        role: [(name, address) for name, address in stored.get(role, ())]
        for role in ("to", "cc", "bcc", "reply_to")
        if role in stored or channel == Channel.EMAIL
    }
    if channel != Channel.EMAIL:
        return KINDS[channel](**{**stored, **people})
    if "attachments" in stored:
        stored = {**stored, "attachments": [StoredFile(**file) for file in stored["attachments"]]}
    return EmailContent(**{**stored, **people})

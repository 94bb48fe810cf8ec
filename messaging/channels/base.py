"""What an adapter gets, what it answers, and the four ways in which it may fail."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from django.http import HttpRequest

from core.vocabulary import Channel as Channel
from messaging.channels.reports import ForgedReport, News, UnreadableReport


@dataclass(frozen=True, slots=True)
class Account:
    """A sender as an adapter sees it. `digest` changes with everything that a connection depends
    on, so that cached connections of an older state are not used again."""

    sender_id: int
    name: str
    options: dict[str, Any]
    credentials: dict[str, Any] = field(repr=False)
    from_address: str
    from_name: str
    digest: str


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

    to: list[tuple[str, str]]
    subject: str
    html: str = ""
    text: str = ""
    cc: list[tuple[str, str]] = field(default_factory=list)
    bcc: list[tuple[str, str]] = field(default_factory=list)
    reply_to: list[tuple[str, str]] = field(default_factory=list)
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


def content_from_json(channel: str, stored: dict[str, Any]) -> EmailContent:
    """The content of a stored message of `channel`. Raises `TypeError` for what no version of the
    platform has stored."""
    people = {
        role: [(name, address) for name, address in stored.get(role, ())]
        for role in ("to", "cc", "bcc", "reply_to")
    }
    if "attachments" in stored:
        stored = {**stored, "attachments": [StoredFile(**file) for file in stored["attachments"]]}
    return EmailContent(**{**stored, **people})


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message, with its bytes. `content_type` is type and subtype alone;
    `content_id` as in `StoredFile`."""

    filename: str
    content_type: str
    data: bytes = field(repr=False)
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message on its way to one provider. `message_id` is the RFC 5322 Message-ID with its
    angle brackets, the same at every attempt; `attempt_id` differs at each."""

    attempt_id: str
    message_id: str
    content: EmailContent
    attachments: tuple[Attachment, ...] = ()
    # How often the provider was tried before and told us to come again.
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """One recipient of an envelope that the provider refused while it took others."""

    position: str
    code: str
    words: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider took the message. `words` are its own, masked when they are stored."""

    provider_message_id: str = ""
    code: str = ""
    words: str = ""
    refused: tuple[Refusal, ...] = ()
    # The simulator's: what it will report, and is processed like any provider's report.
    report: bytes = b""


def without_code(code: str, words: str) -> str:
    """`words` without the enhanced code that `code` names already: "2.0.0 queued" of "250 2.0.0"
    is "queued"."""
    _, _, enhanced = code.partition(" ")
    return words.removeprefix(enhanced).lstrip() if enhanced else words


class DeliveryError(Exception):
    """`kind` is our word for it; `code` and `words` are the provider's, `phase` says how far it
    came."""

    def __init__(
        self,
        kind: str,
        *,
        phase: str = "",
        code: str = "",
        words: str = "",
        retry_after: float | None = None,
    ) -> None:
        theirs = f"{code} {without_code(code, words)}".strip()
        super().__init__(f"{kind} at {phase or 'call'}: {theirs}")
        self.kind = kind
        self.phase = phase
        self.code = code
        self.words = without_code(code, words)
        self.retry_after = retry_after


class TemporaryFailure(DeliveryError):
    """This message, later. Kinds: `greylisted`, `mailbox_full`, `temporary`; `storage_away` by
    ourselves."""


class PermanentFailure(DeliveryError):
    """This message, never. Kinds: `hard_bounce`, `blocked`, `rejected`; `attachment_gone` by
    ourselves."""


class SenderFailure(DeliveryError):
    """The account is at fault, not the message. Kinds: `transient`, `throttled`, `quota`,
    `credentials`, `identity`, `blocked`, `misconfigured`."""


class OutcomeUnknown(DeliveryError):
    """The provider may have taken it: the last byte it needs may have left, and no answer came."""


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of an account, for forms, commands and checks."""

    name: str
    help: str
    kind: type = str
    is_required: bool = False
    is_secret: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """What a connection test saw in one phase. A failed step is the last one."""

    phase: str
    is_ok: bool
    words: str
    milliseconds: float


class ChannelAdapter(ABC):
    """One account at one provider, used by one thread at a time. It may keep connections open
    between calls; `close` drops them."""

    name: ClassVar[str]
    channel: ClassVar[Channel]
    options: ClassVar[tuple[Option, ...]]

    def __init__(self, account: Account) -> None:
        self.account = account

    @classmethod
    def problems(cls, options: dict[str, Any], credentials: dict[str, Any]) -> dict[str, str]:
        """What is wrong with an account's settings: a sentence by option name. Empty if nothing."""
        known = {option.name: option for option in cls.options}
        found = {
            name: f"{cls.name} has no such option. It knows: {', '.join(known)}."
            for name in {*options, *credentials}
            if name not in known
        }
        for option in cls.options:
            if option.name in (options if option.is_secret else credentials):
                kind = "a secret" if option.is_secret else "no secret"
                found[option.name] = f"It is {kind} and stands in the wrong place."
                continue
            place = credentials if option.is_secret else options
            value = place.get(option.name, option.default)
            if value in (None, ""):
                if option.is_required:
                    found[option.name] = "It is required."
            elif not isinstance(value, option.kind) or isinstance(value, bool) != (
                option.kind is bool
            ):
                found[option.name] = f"It must be of type {option.kind.__name__}."
            elif option.choices and value not in option.choices:
                found[option.name] = f"It must be one of: {', '.join(option.choices)}."
        return found

    def option(self, name: str) -> Any:
        """The account's value, or the option's default."""
        option = next(option for option in self.options if option.name == name)
        place = self.account.credentials if option.is_secret else self.account.options
        value = place.get(name)
        return option.default if value in (None, "") else value

    def expect(self, upcoming: Outbound) -> None:  # noqa: B027
        """Probably `upcoming` is sent after the next one: a hint, for providers that can be told of
        it in the same breath. Its attempt is marked already."""

    @abstractmethod
    def send(self, outbound: Outbound) -> Receipt:
        """Hand one message over, or raise exactly one `DeliveryError`."""

    @classmethod
    def takes_reports(cls, options: dict[str, Any]) -> bool:
        """Whether this provider can tell us later what became of a message."""
        return False

    @classmethod
    def check_report(cls, request: HttpRequest, account: Account) -> None:
        """Raises `ForgedReport` unless `request` proves that it comes from this account's
        provider."""
        raise ForgedReport(f"{cls.name} takes no reports.")

    @classmethod
    def read_report(cls, request: HttpRequest, options: dict[str, Any]) -> list[News]:
        """What a report says that was verified when it came. Raises `UnreadableReport`."""
        raise UnreadableReport(f"{cls.name} takes no reports.")

    @abstractmethod
    def probe(self) -> Iterator[ProbeStep]:
        """Open and authenticate without sending; say what was seen, phase by phase."""

    def close(self) -> None:  # noqa: B027
        """Drop open connections. Never raises."""

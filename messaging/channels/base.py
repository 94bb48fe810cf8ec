"""What an adapter gets, what it answers, and the four ways in which it may fail."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, ClassVar

from django.http import HttpRequest
from django.utils.translation import gettext as _

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
    angle brackets, the same at every attempt; `attempt_id` differs at each. `content` is of the
    kind that the adapter's channel has, see `content`."""

    attempt_id: str
    message_id: str
    content: Any
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


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a provider would refuse a content. `pointer` is into the body of a request (`/to`,
    `/variables/name`, `/content`), `code` public, and `detail` names the provider's rule."""

    pointer: str
    code: str
    detail: str


class Standing(Enum):
    """What a provider says of a hand-over when it is asked."""

    TAKEN = auto()
    # It knows of none, and would by now.
    ABSENT = auto()
    # It may still turn up.
    UNSURE = auto()


@dataclass(frozen=True, slots=True)
class Handed:
    """A hand-over that the provider is asked about: to whom, when, by which attempt, and under
    which id of the provider, where it gave one."""

    attempt_id: str
    address: str
    at: datetime
    provider_message_id: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What it answered: with `TAKEN` under which id, and what became of the message since."""

    standing: Standing
    provider_message_id: str = ""
    news: tuple[News, ...] = ()


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

    @property
    def label(self) -> str:
        """In English, as `help` is: forms translate both."""
        return self.name.replace("_", " ").capitalize()


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
    # It serves one place, as a robot its group: it takes only messages that name it.
    is_named: ClassVar[bool] = False
    # What its provider takes of an account, as limits of a new sender: `per_minute`, `per_hour`,
    # `per_day`. Operators may change them.
    usual_limits: ClassVar[Mapping[str, int]] = {}
    # Whether `look_up` can be asked.
    can_look_up: ClassVar[bool] = False
    # What its provider wants to read when a report was stored, and of which type.
    thanks: ClassVar[tuple[str, str]] = ("", "text/plain")

    def __init__(self, account: Account) -> None:
        self.account = account

    @classmethod
    def problems(cls, options: dict[str, Any], credentials: dict[str, Any]) -> dict[str, str]:
        """What is wrong with an account's settings: a sentence by option name. Empty if nothing."""
        known = {option.name: option for option in cls.options}
        found = {
            name: _("%(adapter)s has no such option. It knows: %(options)s.")
            % {"adapter": cls.name, "options": ", ".join(known)}
            for name in {*options, *credentials}
            if name not in known
        }
        for option in cls.options:
            if option.name in (options if option.is_secret else credentials):
                found[option.name] = (
                    _("It is a secret and stands in the wrong place.")
                    if option.is_secret
                    else _("It is no secret and stands in the wrong place.")
                )
                continue
            place = credentials if option.is_secret else options
            value = place.get(option.name, option.default)
            if value in (None, ""):
                if option.is_required:
                    found[option.name] = _("It is required.")
            elif not isinstance(value, option.kind) or isinstance(value, bool) != (
                option.kind is bool
            ):
                found[option.name] = _("It must be of type %(type)s.") % {
                    "type": option.kind.__name__
                }
            elif option.choices and value not in option.choices:
                found[option.name] = _("It must be one of: %(choices)s.") % {
                    "choices": ", ".join(option.choices)
                }
        return found

    def option(self, name: str) -> Any:
        """The account's value, or the option's default."""
        option = next(option for option in self.options if option.name == name)
        place = self.account.credentials if option.is_secret else self.account.options
        value = place.get(name)
        return option.default if value in (None, "") else value

    @classmethod
    def misfits(cls, content: Any) -> list[Misfit]:
        """What of a content of this channel this provider refuses, whatever the account: asked
        before a message is accepted."""
        return []

    def expect(self, upcoming: Outbound) -> None:  # noqa: B027
        """Probably `upcoming` is sent after the next one: a hint, for providers that can be told of
        it in the same breath. Its attempt is marked already."""

    @abstractmethod
    def send(self, outbound: Outbound) -> Receipt:
        """Hand one message over, or raise exactly one `DeliveryError`."""

    def look_up(self, handed: Handed) -> Found:
        """Ask the provider what became of a hand-over: before anything without an answer is sent
        again, and for reports that did not come. Raises a `DeliveryError` when it cannot be asked.
        """
        raise NotImplementedError(f"{self.name} cannot look up.")

    @classmethod
    def takes_reports(cls, options: dict[str, Any]) -> bool:
        """Whether this provider can tell us later what became of a message."""
        return False

    @classmethod
    def greet(cls, request: HttpRequest, account: Account) -> str | None:
        """The answer to a provider that tries the address of reports with a GET, where it wants a
        certain one. Raises `ForgedReport`."""
        return None

    @classmethod
    def check_report(cls, request: HttpRequest, account: Account) -> None:
        """Raises `ForgedReport` unless `request` proves that it comes from this account's
        provider."""
        raise ForgedReport(f"{cls.name} takes no reports.")

    @classmethod
    def has_news(cls, request: HttpRequest, account: Account) -> bool:
        """Whether a report that was verified is worth keeping. Some providers post whatever happens
        at an account to one address, what people write to it as well."""
        return True

    @classmethod
    def read_report(cls, request: HttpRequest, account: Account) -> list[News]:
        """What a report says that was verified when it came; of the request there are the body and
        `READING_HEADERS`. Raises `UnreadableReport`."""
        raise UnreadableReport(f"{cls.name} takes no reports.")

    @abstractmethod
    def probe(self) -> Iterator[ProbeStep]:
        """Open and authenticate without sending; say what was seen, phase by phase."""

    def close(self) -> None:  # noqa: B027
        """Drop open connections. Never raises."""

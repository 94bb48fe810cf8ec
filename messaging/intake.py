"""Takes messages in: `prepare` checks and renders, `store` keeps what it made for good."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.limits import Allowance
from core.crash import crash_at
from core.errors import Code, DomainError, FieldError
from messaging import (
    attachments,
    contents,
    doorbell,
    duplicates,
    metrics,
    places,
    recipients,
    suppressions,
)
from messaging.channels.base import Channel
from messaging.channels.content import Content, StoredFile
from messaging.insertion import Unique, insert_one
from messaging.models import Lane, Message, OtherRecipient, Policy
from messaging.recipients import Fence
from messaging.simulation import simulator_id
from templates_app import sending
from templates_app.sending import Finder, Prepared, Wanted

LIFETIME = timedelta(hours=72)
# How often one that was in the way and is over is passed over, before the window is left aside.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks. `dedupe_seconds` is the window for duplicates where a template says nothing else;
    with `is_keyed`, an idempotency key tells the request from every other."""

    application_id: int
    api_key_id: int
    request_id: str
    is_test: bool = False
    dedupe_seconds: int = 0
    is_keyed: bool = False
    # Whom its application may write to; empty: everybody.
    allowed_recipients: Sequence[str] = ()
    # None: nothing is limited.
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class Handling:
    """How a message is to be treated, whatever its channel. What is empty is the template's to say,
    or the default. At most one of `send_at` and `delay` is given."""

    lane: str = ""
    policy: str = ""
    send_at: datetime | None = None
    delay: timedelta | None = None
    expires_at: datetime | None = None
    dedupe_key: str = ""
    reference: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """A message that only has to be stored. `unique` is None where the same may come again."""

    message: Message
    content: Content
    unique: Unique | None = None
    warnings: Sequence[FieldError] = ()
    attached: Sequence[attachments.Asked] = ()
    files: Sequence[StoredFile] = ()

    @property
    def others(self) -> list[tuple[str, str]]:
        """`(position, address)` of those beyond the message's own recipient."""
        return self.content.recipients()[1:]


class Lookups:
    """What the messages of one request are made of, looked up once."""

    def __init__(self) -> None:
        self.templates = Finder()
        self._files: dict[UUID, tuple[Any, ...]] = {}
        self._places: dict[tuple[str, str], int | DomainError] = {}

    def files(
        self, asked: Sequence[attachments.Asked], *, application_id: int, now: datetime
    ) -> list[StoredFile]:
        """Raises `DomainError` that names all that are unknown, foreign or expired."""
        if not asked:
            return []
        unknown = [one for one in asked if one.id not in self._files]
        if unknown:
            self._files |= attachments.known(unknown, application_id=application_id, now=now)
        return attachments.choose(asked, self._files)

    def place(self, name: str, *, channel: str, application_id: int) -> int:
        """The id of the sender that `name` names. Raises `DomainError`."""
        key = (channel, name)
        if key not in self._places:
            try:
                self._places[key] = places.find(
                    name, channel=channel, application_id=application_id
                )
            except DomainError as error:
                self._places[key] = error
        found = self._places[key]
        if isinstance(found, DomainError):
            raise found
        return found


@dataclass(frozen=True, slots=True)
class Accepted:
    """`is_duplicate`: nothing was stored, and `message` is the one that came first."""

    message: Message
    warnings: Sequence[FieldError] = ()
    is_duplicate: bool = False

    @property
    def are_new(self) -> list[bool]:
        """As of a batch: whether it became a message."""
        return [not self.is_duplicate]


def prepare(
    *,
    origin: Origin,
    channel: str,
    content: Content,
    handling: Handling,
    now: datetime,
    template: Wanted | None = None,
    attached: Sequence[attachments.Asked] = (),
    lookups: Lookups | None = None,
    screens: bool = True,
) -> Ready:
    """Make a message that only has to be stored. `content` is validated already; with a `template`
    it has no text of its own. Without `screens`, `screen` is to be asked for it with others.

    Raises `DomainError` for a template, a sender or attachments that there are not, for wrong
    variables and times, for what the channel's provider would refuse, and for recipients that must
    not be written to."""
    lookups = lookups or Lookups()
    prepared: Prepared | None = None
    if template is not None:
        prepared = sending.prepare(
            template,
            application_id=origin.application_id,
            channel=channel,
            finder=lookups.templates,
        )
        content = contents.filled(content, prepared.rendered, prepared.ready, channel=channel)
    if channel != Channel.EMAIL:
        contents.check(content, channel=channel)
    message = _message(origin, channel, content, handling, by=prepared, now=now)
    if name := places.named_by(channel, message.content):
        message.only_sender_id = lookups.place(
            name, channel=channel, application_id=origin.application_id
        )
    files = lookups.files(attached, application_id=origin.application_id, now=now)
    if files:
        message.content["attachments"] = [asdict(file) for file in files]
    unique = _unique(origin, message, handling, files, by=prepared)
    warnings = prepared.warnings if prepared else ()
    ready = Ready(message, content, unique, warnings, attached, files)
    if not screens:
        return ready
    (screened,) = screen([ready], origin=origin, now=now)
    if isinstance(screened, DomainError):
        raise screened
    return screened


def screen(readies: Sequence[Ready], *, origin: Origin, now: datetime) -> list[Ready | DomainError]:
    """Look at the recipients of all, which are of one channel, with one query: in order, each with
    what is to be known of it, or why it must not be stored."""
    if not readies:
        return []
    channel = readies[0].message.channel
    addresses = {a.lower() for ready in readies for _, a in ready.content.recipients()}
    suppressed = suppressions.find(
        channel=channel,
        application_id=origin.application_id,
        addresses=addresses,
        now=now,
    )
    fence = Fence(channel, allowed=origin.allowed_recipients, is_test=origin.is_test)
    simulator: int | None = None
    screened: list[Ready | DomainError] = []
    for ready in readies:
        try:
            judgement = recipients.judge(ready.content, fence=fence, suppressed=suppressed)
        except DomainError as error:
            screened.append(error)
            continue
        if judgement.goes_to_simulator:
            simulator = simulator or simulator_id(ready.message.channel)
            ready.message.only_sender_id = simulator
        warnings = [*ready.warnings, *judgement.warnings]
        screened.append(replace(ready, warnings=warnings) if warnings else ready)
    return screened


def _message(
    origin: Origin,
    channel: str,
    content: Content,
    handling: Handling,
    *,
    by: Prepared | None,
    now: datetime,
) -> Message:
    (_, first), *_others = content.recipients()
    chosen = by.chosen if by else None
    lifetime = LIFETIME
    if chosen is not None and chosen.lifetime_seconds is not None:
        lifetime = timedelta(seconds=chosen.lifetime_seconds)
    due_at = now + handling.delay if handling.delay is not None else handling.send_at
    message = Message(
        application_id=origin.application_id,
        api_key_id=origin.api_key_id,
        request_id=origin.request_id,
        channel=channel,
        lane=handling.lane or (chosen.priority if chosen else Lane.NORMAL),
        policy=handling.policy or (chosen.policy if chosen else Policy.AT_LEAST_ONCE),
        recipient=first.lower(),
        content=content.as_json(),
        template_version_id=chosen.version_id if chosen else None,
        variable_names=by.variable_names if by else None,
        reference=handling.reference,
        metadata=handling.metadata,
        tags=list(handling.tags),
        expires_at=handling.expires_at or (due_at or now) + lifetime,
    )
    if due_at is not None and due_at > now:
        message.due_at = message.send_at = due_at
        if message.expires_at <= due_at:
            words = "It expires before it is to be sent."
            error = FieldError("/expires_at", "invalid_moment", words)
            raise DomainError(Code.INVALID_REQUEST, words, errors=(error,))
    return message


def _unique(
    origin: Origin,
    message: Message,
    handling: Handling,
    files: Sequence[StoredFile],
    *,
    by: Prepared | None,
) -> Unique | None:
    """What makes it the same as another: its key, or else everything that its recipients see, when
    they see it, and the caller's own name for it."""
    seconds = origin.dedupe_seconds
    if by is not None and by.chosen.dedupe_seconds is not None:
        seconds = by.chosen.dedupe_seconds
    if not seconds or (origin.is_keyed and not handling.dedupe_key):
        return None
    content, texts = message.content, ("", "")
    if handling.dedupe_key:
        # The same event, told to somebody else, is another message.
        parts = [handling.dedupe_key, *(content.get(role) for role in ("to", "cc", "bcc"))]
    else:
        texts = (content.get("html", ""), content.get("text", ""))
        moment = handling.send_at.isoformat() if handling.send_at else None
        delay = handling.delay.total_seconds() if handling.delay else None
        # The same file may have been uploaded twice.
        seen = [[file.sha256, file.filename, file.content_id] for file in files]
        rest = {**content, "attachments": seen, "html": "", "text": ""}
        parts = [rest, handling.reference, moment, delay]
    return duplicates.unique(
        application_id=origin.application_id,
        is_test=origin.is_test,
        channel=message.channel,
        parts=parts,
        texts=texts,
        seconds=seconds,
    )


def store(ready: Ready, *, now: datetime) -> Accepted:
    """Insert it with its further recipients and files in one transaction, and wake a worker; or
    find the one that it repeats.

    Raises `DomainError` for attachments that went meanwhile."""
    others = ready.others
    if others or ready.files:
        with transaction.atomic():
            accepted = _store(ready, others, now=now)
            if __debug__:
                crash_at("accept_before_commit")
    else:
        if __debug__:
            crash_at("accept_before_commit")
        accepted = _store(ready, others, now=now)
    if not accepted.is_duplicate:
        wake_for([accepted.message], now=now)
    return accepted


def _store(ready: Ready, others: Sequence[tuple[str, str]], *, now: datetime) -> Accepted:
    message, unique = ready.message, ready.unique
    hold_files([ready], now=now)
    for _ in range(_TRIES):
        if insert_one(message, unique):
            break
        assert unique is not None
        first = duplicates.first_of(unique)
        if first is not None and first.is_over:
            duplicates.forget(unique, first)
        elif first is not None and first.message is not None:
            duplicates.tell(first.message, request_id=message.request_id, now=now)
            return Accepted(first.message, is_duplicate=True)
    else:
        insert_one(message, None)
    if others:
        OtherRecipient.objects.bulk_create(others_of(message, others))
    if ready.files:
        attachments.attach([(message.pk, ready.files)])
    return Accepted(message, ready.warnings)


def hold_files(readies: Sequence[Ready], *, now: datetime) -> None:
    """In the transaction that stores them: keep their files from being removed meanwhile.

    Raises `DomainError` for those that went already."""
    asked = [one for ready in readies for one in ready.attached]
    if asked:
        application_id = readies[0].message.application_id
        there = attachments.known(asked, application_id=application_id, now=now)
        for ready in readies:
            attachments.choose(ready.attached, there)


def others_of(message: Message, others: Sequence[tuple[str, str]]) -> list[OtherRecipient]:
    """Rows for those that are not the message's own recipient, as `(position, address)`."""
    return [
        OtherRecipient(message=message, role=position.partition("/")[0], address=address.lower())
        for position, address in others
    ]


def wake_for(messages: Sequence[Message], *, now: datetime) -> None:
    """After the transaction, count what was accepted and wake workers for what is due."""
    # Those without a time of their own are due when they were stored, by the database's clock.
    due = {(m.channel, m.lane) for m in messages if m.due_at <= max(now, m.created_at)}
    counts = Counter((message.channel, message.lane) for message in messages)
    transaction.on_commit(lambda: _count(counts))
    for channel, lane in due:
        doorbell.ring(channel=channel, lane=lane)


def _count(counts: Counter[tuple[str, str]]) -> None:
    if __debug__:
        crash_at("accept_after_commit")
    for (channel, lane), count in counts.items():
        metrics.ACCEPTED.labels(channel, lane).inc(count)

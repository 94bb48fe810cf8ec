"""Takes messages in. What `accept` returns is stored for good."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.db import connection, models, transaction

from core.crash import crash_at
from core.database import as_moment, prepared_cursor
from core.errors import FieldError
from messaging import doorbell, metrics, recipients
from messaging.channels.base import Channel, EmailContent
from messaging.models import Lane, Message, OtherRecipient, Policy
from messaging.recipients import Fence
from templates_app import sending
from templates_app.rendering import Rendered
from templates_app.sending import Prepared, Wanted

LIFETIME = timedelta(hours=72)
ANYBODY = Fence()


@dataclass(frozen=True, slots=True)
class Handling:
    """How a message is to be treated, whatever its channel. What is empty is the template's to say,
    or the default."""

    lane: str = ""
    policy: str = ""
    expires_at: datetime | None = None
    reference: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    message: Message
    warnings: Sequence[FieldError] = ()


def accept_email(
    *,
    application_id: int,
    api_key_id: int,
    content: EmailContent,
    handling: Handling,
    request_id: str,
    now: datetime,
    template: Wanted | None = None,
    fence: Fence = ANYBODY,
) -> Accepted:
    """Store one e-mail in one transaction and wake a worker. `content` is validated already; with a
    `template` it has no text of its own.

    Raises `DomainError` for a template that there is not, for wrong variables, and for recipients
    that must not be written to."""
    if template is None:
        message = _message(content, handling, now=now)
        warnings: Sequence[FieldError] = ()
    else:
        prepared = sending.prepare(
            template, application_id=application_id, channel=Channel.EMAIL.value
        )
        message = _message(filled(content, prepared.rendered), handling, now=now, by=prepared)
        warnings = prepared.warnings
    message.application_id = application_id
    message.api_key_id = api_key_id
    message.request_id = request_id
    judgement = recipients.judge(
        content, channel=message.channel, application_id=application_id, fence=fence, now=now
    )
    message.only_sender_id = judgement.only_sender_id
    store_email(message, content)
    return Accepted(message, [*warnings, *judgement.warnings])


def filled(content: EmailContent, rendered: Rendered) -> EmailContent:
    """`content` with the text that a template gave."""
    return replace(content, subject=rendered.subject, html=rendered.html, text=rendered.text)


def _message(
    content: EmailContent, handling: Handling, *, now: datetime, by: Prepared | None = None
) -> Message:
    (_, first), *_others = content.recipients()
    chosen = by.chosen if by else None
    lifetime = LIFETIME
    if chosen is not None and chosen.lifetime_seconds is not None:
        lifetime = timedelta(seconds=chosen.lifetime_seconds)
    return Message(
        channel=Channel.EMAIL.value,
        lane=handling.lane or (chosen.priority if chosen else Lane.NORMAL),
        policy=handling.policy or (chosen.policy if chosen else Policy.AT_LEAST_ONCE),
        recipient=first.lower(),
        content=content.as_json(),
        template_version_id=chosen.version_id if chosen else None,
        variable_names=by.variable_names if by else None,
        reference=handling.reference,
        metadata=handling.metadata,
        tags=list(handling.tags),
        expires_at=handling.expires_at or now + lifetime,
    )


def store_email(message: Message, content: EmailContent) -> None:
    """Insert it with the recipients of `content`, and wake a worker."""
    _, *others = content.recipients()
    if others:
        with transaction.atomic():
            _insert(message)
            OtherRecipient.objects.bulk_create(
                OtherRecipient(
                    message=message, role=position.partition("/")[0], address=address.lower()
                )
                for position, address in others
            )
            if __debug__:
                crash_at("accept_before_commit")
    else:
        if __debug__:
            crash_at("accept_before_commit")
        _insert(message)
    if __debug__:
        crash_at("accept_after_commit")
    metrics.ACCEPTED.labels(message.channel, message.lane).inc()
    doorbell.ring(channel=message.channel, lane=message.lane)


def _insert(message: Message) -> None:
    """One INSERT, its SQL made once: by the ORM it costs a third more. Sets `created_at`."""
    fields, sql = _insertion(connection.vendor)
    values = [
        prepare(getattr(message, name), connection) if prepare else getattr(message, name)
        for name, prepare in fields
    ]
    with prepared_cursor() as cursor:
        cursor.execute(sql, values)
        message.created_at = as_moment(cursor.fetchone()[0])


@cache
def _insertion(vendor: str) -> tuple[list[tuple[str, Callable[..., Any] | None]], str]:
    """Names of what is given, each with how it is made fit for the database where that takes more
    than the driver, and the statement. The database fills in the other columns."""
    fields: list[Any] = [f for f in Message._meta.concrete_fields if not f.has_db_default()]
    columns = ", ".join(field.column for field in fields)
    places = ", ".join(["%s"] * len(fields))
    table = Message._meta.db_table
    prepare: dict[type, Callable[..., Any] | None] = {models.JSONField: _as_json}
    given = [
        (
            field.attname,
            prepare.get(type(field)) if vendor == "postgresql" else field.get_db_prep_save,
        )
        for field in fields
    ]
    return given, f"INSERT INTO {table} ({columns}) VALUES ({places}) RETURNING created_at"  # noqa: S608


def _as_json(value: Any, _: object) -> str | None:
    return None if value is None else json.dumps(value)

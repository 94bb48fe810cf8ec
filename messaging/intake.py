"""Takes messages in. What `accept` returns is stored for good."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.db import connection, transaction

from core.crash import crash_at
from core.database import as_moment
from messaging import doorbell, metrics
from messaging.channels.base import Channel, EmailContent
from messaging.models import Lane, Message, OtherRecipient, Policy

LIFETIME = timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class Handling:
    """How a message is to be treated, whatever its channel."""

    lane: str = Lane.NORMAL
    policy: str = Policy.AT_LEAST_ONCE
    expires_at: datetime | None = None
    reference: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()


def accept_email(
    *,
    application_id: int,
    api_key_id: int,
    content: EmailContent,
    handling: Handling,
    request_id: str,
    now: datetime,
) -> Message:
    """Store one e-mail in one transaction and wake a worker. `content` is validated already."""
    (_, first), *others = content.recipients()
    message = Message(
        application_id=application_id,
        api_key_id=api_key_id,
        channel=Channel.EMAIL.value,
        lane=handling.lane,
        policy=handling.policy,
        recipient=first.lower(),
        content=content.as_json(),
        reference=handling.reference,
        metadata=handling.metadata,
        tags=list(handling.tags),
        request_id=request_id,
        expires_at=handling.expires_at or now + LIFETIME,
    )
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
    return message


def _insert(message: Message) -> None:
    """One INSERT, its SQL made once: by the ORM it costs a third more. Sets `created_at`."""
    fields, sql = _insertion()
    values = [
        field.get_db_prep_save(getattr(message, field.attname), connection) for field in fields
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        message.created_at = as_moment(cursor.fetchone()[0])


@cache
def _insertion() -> tuple[list[Any], str]:
    """The fields that are given, and the statement; the database fills in the others."""
    fields: list[Any] = [f for f in Message._meta.concrete_fields if not f.has_db_default()]
    columns = ", ".join(field.column for field in fields)
    places = ", ".join(["%s"] * len(fields))
    table = Message._meta.db_table
    return fields, f"INSERT INTO {table} ({columns}) VALUES ({places}) RETURNING created_at"  # noqa: S608

"""What applications are told of their messages: written in the transaction of what it tells of,
called by `callbacks.dispatch` afterwards.

Who listens is known to each process for a second, so that an installation without webhooks pays
nothing. An endpoint hears what happens from one second after it was made.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from core.ids import uuid7
from messaging import doorbell
from messaging.models import Message, WebhookDelivery, WebhookEndpoint

KNOWN_FOR = 1.0

# What the body says of a message: no recipient, no content. `listed` is `messaging_message`, or the
# rows that an UPDATE returned; `%s` are the event and its moment.
_MOMENT = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
_PAYLOAD = f"""
    jsonb_build_object(
        'type', happened.event, 'timestamp', {_MOMENT.format("happened.at")},
        'data', jsonb_build_object(
            'id', happened.id, 'batch_id', happened.batch_id, 'channel', happened.channel,
            'status', happened.status, 'reason', happened.reason, 'feedback', happened.feedback,
            'reference', happened.reference, 'metadata', happened.metadata, 'tags', happened.tags,
            'created_at', {_MOMENT.format("happened.created_at")},
            'finished_at', {_MOMENT.format("happened.finished_at")}
        )
    )
"""
# Version 7, like `core.ids`: PostgreSQL makes such ids itself from version 18 on.
_UUID7 = """
    encode(set_bit(set_bit(
        overlay(uuid_send(gen_random_uuid()) PLACING substring(
            int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::uuid
"""
_COLUMNS = (
    "id, application_id, batch_id, channel, status, reason, feedback, reference, metadata, tags,"
    " created_at, finished_at"
)
_TELL = f"""
    INSERT INTO messaging_webhookdelivery (id, endpoint_id, event_id, event, message_id, payload,
        state, due_at, created_at, lease_token, tries, last_words, history)
    SELECT {_UUID7}, endpoint.id, happened.event_id, happened.event, happened.id, {_PAYLOAD},
        'pending', happened.at, happened.at, 0, 0, '', '[]'::jsonb
    FROM (
        SELECT {_UUID7} AS event_id, %s::text AS event, %s::timestamptz AS at, {_COLUMNS}
        FROM {{moved}}
    ) AS happened
    JOIN messaging_webhookendpoint AS endpoint
        ON endpoint.application_id = happened.application_id AND endpoint.is_active
        AND endpoint.events @> to_jsonb(happened.event)
"""  # noqa: S608
_TELL_OF_THESE = _TELL.format(moved="messaging_message WHERE id = ANY(%s::uuid[])")

# For a statement that moves messages itself, as `states.SUCCEED` does: what it must return, and the
# statement that tells of `moved`, a part of the same WITH. Its parameters are `(event, moment)`.
RETURNING = " RETURNING " + ", ".join(f"message.{name}" for name in _COLUMNS.split(", "))
TELL_OF_MOVED = _TELL.format(moved="moved")


@dataclass(slots=True)
class _Known:
    """Which applications listen to which event, and until when that is believed."""

    listening: dict[str, frozenset[int]]
    until: float


_known: _Known | None = None


def is_heard(event: str, application_ids: Iterable[int] | None = None) -> bool:
    """Whether anybody wants to know; of `application_ids`, or of all."""
    listening = _who_listens().get(event, frozenset())
    if application_ids is None or not listening:
        return bool(listening)
    return not listening.isdisjoint(application_ids)


def is_anybody_there() -> bool:
    """Whether there is an endpoint that is on."""
    return bool(_who_listens())


def announce(ids: Sequence[UUID], event: str, now: datetime) -> None:
    """Tell of `event` whoever listens to these messages, in the transaction that is open: one
    statement for all of them, and none while nobody listens. Call it after the rows have been
    changed; the body says what they say then."""
    if not ids or not is_heard(event):
        return
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_TELL_OF_THESE, [event, now, list(ids)])
            is_told = bool(cursor.rowcount)
    else:
        is_told = _tell_one_by_one(ids, event, now)
    if is_told:
        doorbell.ring_webhooks()


def ping(endpoint: WebhookEndpoint, event: str, *, now: datetime) -> WebhookDelivery:
    """A delivery that tells of no message."""
    delivery = WebhookDelivery.objects.create(
        endpoint=endpoint,
        event=event,
        payload={"type": event, "timestamp": moment(now), "data": {"endpoint": str(endpoint.pk)}},
        due_at=now,
        created_at=now,
    )
    doorbell.ring_webhooks()
    return delivery


def forget() -> None:
    """Have this process look again who listens: it has changed it."""
    global _known
    _known = None


def moment(value: datetime | None) -> str | None:
    """As PostgreSQL writes it above."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if value else None


def _who_listens() -> dict[str, frozenset[int]]:
    global _known
    known = _known
    if known is None or known.until < time.monotonic():
        listening: dict[str, set[int]] = {}
        rows = WebhookEndpoint.objects.filter(is_active=True)
        for application_id, events in rows.values_list("application_id", "events").order_by():
            for event in events:
                listening.setdefault(event, set()).add(application_id)
        found = {event: frozenset(who) for event, who in listening.items()}
        known = _known = _Known(found, time.monotonic() + KNOWN_FOR)
    return known.listening


def _tell_one_by_one(ids: Sequence[UUID], event: str, now: datetime) -> bool:
    """SQLite has no such functions; it has one writer, so nothing moves in between."""
    rows = list(Message.objects.filter(pk__in=ids).values(*_COLUMNS.split(", ")))
    endpoints = WebhookEndpoint.objects.filter(
        is_active=True, application_id__in={row["application_id"] for row in rows}
    )
    listening = [endpoint for endpoint in endpoints if event in endpoint.events]
    made = []
    for row in rows:
        event_id = uuid7()
        for endpoint in listening:
            if endpoint.application_id == row["application_id"]:
                made.append(
                    WebhookDelivery(
                        endpoint=endpoint,
                        event_id=event_id,
                        event=event,
                        message_id=row["id"],
                        payload=_payload(row, event, now),
                        due_at=now,
                        created_at=now,
                    )
                )
    WebhookDelivery.objects.bulk_create(made)
    return bool(made)


def _payload(row: dict[str, Any], event: str, now: datetime) -> dict[str, Any]:
    told = ("channel", "status", "reason", "feedback", "reference", "metadata", "tags")
    return {
        "type": event,
        "timestamp": moment(now),
        "data": {
            "id": str(row["id"]),
            "batch_id": str(row["batch_id"]) if row["batch_id"] else None,
            **{name: row[name] for name in told},
            "created_at": moment(row["created_at"]),
            "finished_at": moment(row["finished_at"]),
        },
    }

"""The rows that say what was handed to whom: written before the call, closed after it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from core.database import prepared_cursor
from core.ids import uuid7
from core.masking import mask_addresses, printable
from messaging import states
from messaging.channels.base import (
    DeliveryError,
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    SenderFailure,
    TemporaryFailure,
)
from messaging.channels.partial import with_left_out
from messaging.models import Attempt, Sender
from messaging.states import Claim

# Of an adapter that broke: our fault and not its account's.
INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One claim with the sender it was given, and why that one."""

    claim: Claim
    sender: Sender
    decision: dict[str, Any]
    # Of which moment's quota it was given.
    reserved_at: datetime


class Mark(NamedTuple):
    """The beginning of an `Attempt`: without it nothing may be handed over."""

    pk: UUID
    message_id: UUID
    sender_id: int
    lease_token: int
    started_at: datetime
    decision: dict[str, Any]
    worker: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job; `result` is None for one that was not handed over at all."""

    job: Job
    attempt: Mark | Attempt
    result: Receipt | DeliveryError | None
    at: datetime


# `|| ''` keeps the plan off the index of leases: it would read all that was sent lately, a third of
# a drain's CPU in the database.
START = """
    INSERT INTO messaging_attempt (
        id, message_id, sender_id, lease_token, started_at, decision, worker, outcome, kind, phase,
        provider_code, provider_words, provider_message_id, refused
    )
    SELECT mark.id, message.id, mark.sender_id, mark.lease_token, %s, mark.decision, %s,
        '', '', '', '', '', '', '[]'
    FROM messaging_message AS message
    JOIN unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::integer[], %s::jsonb[])
        AS mark (id, message_id, sender_id, lease_token, decision) ON mark.message_id = message.id
    WHERE message.id = ANY(%s::uuid[]) AND message.status || '' = 'sending'
        AND message.lease_token = mark.lease_token AND message.leased_until > %s
    FOR SHARE OF message
    RETURNING id
"""


def without_words(outcome: Outcome) -> Outcome:
    """The same, without what the provider said, which may be what cannot be stored."""
    result = outcome.result
    if isinstance(result, Receipt):
        result = Receipt()
    elif result is not None:
        result = type(result)(result.kind, phase=result.phase, retry_after=result.retry_after)
    return replace(outcome, result=result)


def new_marks(jobs: Sequence[Job], *, worker: str, now: datetime) -> list[Mark]:
    """Not written yet."""
    return [
        Mark(
            uuid7(),
            job.claim.message.pk,
            job.sender.pk,
            job.claim.lease_token,
            now,
            job.decision,
            worker,
        )
        for job in jobs
    ]


def start_attempts(marks: Sequence[Mark]) -> set[UUID]:
    """Write the marks; the caller commits them. Returns those with which one may hand over.

    The others' leases are lost: they belong to others, and this drain, which may have slept, must
    not hand them over. The sweep looks for marks under a lock on the message; the share lock of
    `START` makes it pass over a message whose mark is being written.
    """
    if connection.vendor == "postgresql":
        with prepared_cursor() as cursor:
            cursor.execute(START, starting_values(marks))
            return {row[0] for row in cursor.fetchall()}
    # SQLite: one writer at a time, so nobody moves what was just looked at.
    tokens = {mark.message_id: mark.lease_token for mark in marks}
    held = states.still_held(tokens, now=marks[0].started_at)
    ours = [m for m in marks if m.message_id in held and m.lease_token == tokens[m.message_id]]
    Attempt.objects.bulk_create(
        Attempt(id=mark.pk, **{name: getattr(mark, name) for name in Mark._fields[1:]})
        for mark in ours
    )
    return {mark.pk for mark in ours}


def starting_values(marks: Sequence[Mark]) -> list[Any]:
    """The parameters of `START`."""
    now, worker = marks[0].started_at, marks[0].worker
    # Those of one batch share a few decisions.
    told: dict[int, str] = {}
    for mark in marks:
        if id(mark.decision) not in told:
            told[id(mark.decision)] = json.dumps(mark.decision)
    messages = [mark.message_id for mark in marks]
    return [
        *(now, worker, [mark.pk for mark in marks], messages),
        [mark.sender_id for mark in marks],
        [mark.lease_token for mark in marks],
        [told[id(mark.decision)] for mark in marks],
        *(messages, now),
    ]


def senders_in_doubt(messages: Sequence[UUID]) -> dict[UUID, set[int]]:
    """By message: the senders that had it and never answered."""
    pairs = Attempt.objects.filter(message_id__in=messages, unknown_at__isnull=False)
    found: dict[UUID, set[int]] = {}
    for message_id, sender_id in pairs.values_list("message_id", "sender_id"):
        found.setdefault(message_id, set()).add(sender_id)
    return found


def word_of(result: Receipt | DeliveryError | None) -> str:
    words: dict[type, str] = {
        Receipt: Attempt.Outcome.ACCEPTED,
        TemporaryFailure: Attempt.Outcome.TEMPORARY,
        PermanentFailure: Attempt.Outcome.PERMANENT,
        SenderFailure: Attempt.Outcome.SENDER,
        OutcomeUnknown: Attempt.Outcome.UNKNOWN,
    }
    return words[type(result)] if result is not None else Attempt.Outcome.NOT_SENT


# Closes those that a provider took. On PostgreSQL; `closing_values` are its parameters.
CLOSE_ACCEPTED = """
    UPDATE messaging_attempt AS attempt
    SET outcome = 'accepted', finished_at = done.at, provider_code = done.code,
        provider_words = done.words, provider_message_id = done.provider_id, refused = done.refused
    FROM unnest(%s::uuid[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::jsonb[])
        AS done (id, at, code, words, provider_id, refused)
    WHERE attempt.id = done.id AND attempt.outcome = ''
"""


def closing_values(outcomes: Sequence[Outcome]) -> list[Any]:
    """The parameters of `CLOSE_ACCEPTED`."""
    columns: tuple[list[Any], ...] = ([], [], [], [], [], [])
    for outcome in outcomes:
        assert isinstance(outcome.result, Receipt)
        closed = _closing_values(outcome)
        told = (*closed[5:8], json.dumps(closed[8]))
        for column, value in zip(columns, (outcome.attempt.pk, outcome.at, *told), strict=True):
            column.append(value)
    return list(columns)


_CLOSED = (
    "finished_at",
    "outcome",
    "unknown_at",
    "kind",
    "phase",
    "provider_code",
    "provider_words",
    "provider_message_id",
    "refused",
)


def close_attempts(outcomes: Sequence[Outcome]) -> None:
    """Write the outcomes. `unknown_at` is set once and never cleared."""
    fields: list[Any] = [Attempt._meta.get_field(name) for name in _CLOSED]
    pk = Attempt._meta.pk
    rows = []
    for outcome in outcomes:
        values = _closing_values(outcome)
        row = [
            field.get_db_prep_save(value, connection)
            for field, value in zip(fields, values, strict=True)
        ]
        rows.append([*row, pk.get_db_prep_save(outcome.attempt.pk, connection)])
    assignments = ", ".join(
        "unknown_at = COALESCE(unknown_at, %s)" if name == "unknown_at" else f"{name} = %s"
        for name in _CLOSED
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE messaging_attempt SET {assignments} WHERE id = %s AND outcome = ''",  # noqa: S608
            rows,
        )


def _closing_values(outcome: Outcome) -> tuple[Any, ...]:
    result = outcome.result
    word = word_of(result)
    unknown_at = outcome.at if word == Attempt.Outcome.UNKNOWN else None
    if isinstance(result, Receipt):
        refused = [
            {"recipient": r.position, "code": printable(r.code), "words": mask_addresses(r.words)}
            for r in result.refused
        ]
        told = ("", "", result.code, result.words, result.provider_message_id, refused)
    elif isinstance(result, DeliveryError):
        told = (result.kind, result.phase, result.code, result.words, "", [])
    else:
        told = ("", "", "", "Its turn did not come.", "", [])
    kind, phase, code, words, provider_id, refused = told
    refused = with_left_out(outcome.job.claim.partial, refused)
    return (
        outcome.at,
        word,
        unknown_at,
        kind,
        phase,
        printable(code)[:60],
        mask_addresses(words)[:500],
        printable(provider_id)[:200],
        refused,
    )

"""The rows that say what was handed to whom: written before the call, closed after it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job; `result` is None for one that was not handed over at all."""

    job: Job
    attempt: Attempt
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


def new_attempts(jobs: Sequence[Job], *, worker: str, now: datetime) -> list[Attempt]:
    """The marks without which nothing may be handed over, not written yet."""
    return [
        Attempt(
            message_id=job.claim.message.pk,
            sender_id=job.sender.pk,
            lease_token=job.claim.lease_token,
            started_at=now,
            decision=job.decision,
            worker=worker,
        )
        for job in jobs
    ]


def start_attempts(attempts: Sequence[Attempt]) -> set[UUID]:
    """Write the marks; the caller commits them. Returns those with which one may hand over.

    The others' leases are lost: they belong to others, and this drain, which may have slept, must
    not hand them over. The sweep looks for marks under a lock on the message; the share lock of
    `START` makes it pass over a message whose mark is being written.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(START, starting_values(attempts))
            return {row[0] for row in cursor.fetchall()}
    # SQLite: one writer at a time, so nobody moves what was just looked at.
    tokens = {attempt.message_id: attempt.lease_token for attempt in attempts}
    held = states.still_held(tokens, now=attempts[0].started_at)
    ours = [a for a in attempts if a.message_id in held and a.lease_token == tokens[a.message_id]]
    Attempt.objects.bulk_create(ours)
    return {attempt.pk for attempt in ours}


def starting_values(attempts: Sequence[Attempt]) -> list[Any]:
    """The parameters of `START`."""
    now, worker = attempts[0].started_at, attempts[0].worker
    # The attempts of one batch share a few decisions.
    told: dict[int, str] = {}
    for attempt in attempts:
        if id(attempt.decision) not in told:
            told[id(attempt.decision)] = json.dumps(attempt.decision)
    messages = [attempt.message_id for attempt in attempts]
    return [
        *(now, worker, [attempt.pk for attempt in attempts], messages),
        [attempt.sender_id for attempt in attempts],
        [attempt.lease_token for attempt in attempts],
        [told[id(attempt.decision)] for attempt in attempts],
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

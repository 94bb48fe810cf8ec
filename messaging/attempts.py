"""The rows that say what was handed to whom: written before the call, closed after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from core.masking import mask_addresses
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


@dataclass(frozen=True, slots=True)
class Job:
    """One claim with the sender it was given, and why that one."""

    claim: Claim
    sender: Sender
    decision: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job; `result` is None for one that was not handed over at all."""

    job: Job
    attempt: Attempt
    result: Receipt | DeliveryError | None
    at: datetime


def start_attempts(jobs: Sequence[Job], *, worker: str, now: datetime) -> list[Attempt]:
    """The marks without which nothing may be handed over. The caller commits them first."""
    return Attempt.objects.bulk_create(
        Attempt(
            message=job.claim.message,
            sender=job.sender,
            lease_token=job.claim.lease_token,
            started_at=now,
            decision=job.decision,
            worker=worker,
        )
        for job in jobs
    )


def word_of(result: Receipt | DeliveryError | None) -> str:
    words: dict[type, str] = {
        Receipt: Attempt.Outcome.ACCEPTED,
        TemporaryFailure: Attempt.Outcome.TEMPORARY,
        PermanentFailure: Attempt.Outcome.PERMANENT,
        SenderFailure: Attempt.Outcome.SENDER,
        OutcomeUnknown: Attempt.Outcome.UNKNOWN,
    }
    return words[type(result)] if result is not None else Attempt.Outcome.NOT_SENT


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
            {"recipient": r.position, "code": r.code, "words": mask_addresses(r.words)}
            for r in result.refused
        ]
        told = ("", "", result.code, result.words, result.provider_message_id, refused)
    elif isinstance(result, DeliveryError):
        told = (result.kind, result.phase, result.code, result.words, "", [])
    else:
        told = ("", "", "", "The sender failed on an earlier message of the group.", "", [])
    kind, phase, code, words, provider_id, refused = told
    return (
        outcome.at,
        word,
        unknown_at,
        kind,
        phase,
        code[:60],
        mask_addresses(words)[:500],
        provider_id[:200],
        refused,
    )

"""Writes down what came of hand-overs: the attempt's end, and where it takes the message."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    transaction,
)

from core.database import prepared_cursor
from core.masking import mask_addresses
from messaging import attachment_files, doorbell, metrics, outbox, retries, sender_health, states
from messaging.attempts import (
    CLOSE_ACCEPTED,
    INTERNAL_ERROR,
    START,
    Mark,
    Outcome,
    close_attempts,
    closing_values,
    start_attempts,
    starting_values,
    without_words,
    word_of,
)
from messaging.bounces import suppress_bounced
from messaging.channels import simulator
from messaging.channels.base import (
    DeliveryError,
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    SenderFailure,
    TemporaryFailure,
)
from messaging.models import Attempt, ProviderReport, Reason, WebhookEvent
from messaging.sender_health import Health
from messaging.states import SUCCEED, Success, success_values

log = structlog.get_logger(__name__)

# Internal errors are those of a server that became read-only.
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)
# A full mailbox may be emptied; after a day nobody expects it.
MAILBOX_FULL_FOR = timedelta(hours=24)


def commit(
    outcomes: Sequence[Outcome], marks: Sequence[Mark], *, health: Health, may_be_late: bool
) -> tuple[set[int], set[UUID]]:
    """In one commit: `outcomes`, and the marks of what is handed over next.

    Returns the ids of senders that are out now, and of the marks that were written.
    `may_be_late`: leases may have run out before the answers came, and the story says so.
    Raises one of `DATABASE_AWAY`. What cannot be stored takes nothing else along.
    """
    try:
        return _commit_together(outcomes, marks, health, may_be_late)
    except DATABASE_AWAY:
        raise
    except DatabaseError:
        log.exception("outcomes_not_written_together", count=len(outcomes))
    out: set[int] = set()
    for outcome in outcomes:
        try:
            out |= _commit_together([outcome], [], health, may_be_late)[0]
        except DATABASE_AWAY:
            raise
        except DatabaseError:
            log.exception(
                "outcome_not_written",
                attempt_id=str(outcome.attempt.pk),
                request_id=outcome.job.claim.message.request_id,
            )
            out |= _commit_together([without_words(outcome)], [], health, may_be_late)[0]
    return out, _commit_together([], marks, health, False)[1] if marks else set()


def _commit_together(
    outcomes: Sequence[Outcome], marks: Sequence[Mark], health: Health, may_be_late: bool
) -> tuple[set[int], set[UUID]]:
    is_simple = not may_be_late and all(
        isinstance(o.result, Receipt) and not (o.result.report or o.result.refused)
        for o in outcomes
    )
    if is_simple and connection.vendor == "postgresql":
        started = _commit_at_once(outcomes, marks)
        try:
            for outcome in outcomes:
                health.worked(outcome.job.sender, now=outcome.at)
        except DatabaseError as error:
            # Statistics only, and what counts is committed.
            log.warning("health_not_written", error=str(error)[:200])
        return set(), started
    with transaction.atomic():
        out = _record(outcomes, health=health, may_be_late=may_be_late)
        return out, start_attempts(marks) if marks else set()


def _commit_at_once(outcomes: Sequence[Outcome], marks: Sequence[Mark]) -> set[UUID]:
    """All went well: one statement, which is its own transaction, instead of five."""
    statements: list[tuple[str, str]] = []
    values: list[Any] = []
    is_told = False
    if outcomes:
        applications = [outcome.job.claim.message.application_id for outcome in outcomes]
        is_told = outbox.is_heard(WebhookEvent.SUCCESS, applications)
        succeed = SUCCEED + outbox.RETURNING if is_told else SUCCEED
        statements += [("closed", CLOSE_ACCEPTED), ("moved", succeed)]
        values += [*closing_values(outcomes), *success_values(_successes(outcomes))]
    if is_told:
        statements.append(("told", outbox.TELL_OF_MOVED))
        values += [WebhookEvent.SUCCESS.value, outcomes[-1].at]
    if marks:
        statements.append(("started", START))
        values += starting_values(marks)
    *before, (_, last) = statements
    parts = [f"{name} AS ({statement})" for name, statement in before]
    with prepared_cursor() as cursor:
        cursor.execute(f"WITH {', '.join(parts)} {last}" if parts else last, values)
        started = {row[0] for row in cursor.fetchall()} if marks else set()
    if is_told:
        doorbell.ring_webhooks()
    return started


def _successes(outcomes: Sequence[Outcome]) -> list[Success]:
    return [(o.job.claim.message.pk, o.job.sender.pk, o.at) for o in outcomes]


def _record(outcomes: Sequence[Outcome], *, health: Health, may_be_late: bool) -> set[int]:
    close_attempts(outcomes)
    taken = [outcome for outcome in outcomes if isinstance(outcome.result, Receipt)]
    if taken:
        if may_be_late:
            states.note_late([o.job.claim.message.pk for o in taken], now=taken[-1].at)
        states.succeed(_successes(taken))
        store_simulated(taken)
    for outcome in outcomes:
        if isinstance(outcome.result, OutcomeUnknown | PermanentFailure | TemporaryFailure):
            _move(outcome, outcome.result)
    suppress_bounced(outcomes)
    # After the messages' rows, see `Health`.
    return {o.job.sender.pk for o in outcomes if _is_out(o, health)}


def store_simulated(taken: Sequence[Outcome]) -> None:
    """What the simulator will report, as if it had been posted by a provider."""
    reports = [
        ProviderReport(sender=o.job.sender, body=o.result.report, received_at=o.at, due_at=o.at)
        for o in taken
        if isinstance(o.result, Receipt) and o.result.report
    ]
    if reports:
        ProviderReport.objects.bulk_create(reports)
        doorbell.ring_reports()


def _is_out(outcome: Outcome, health: Health) -> bool:
    """What the outcome says of the sender. A message's own failure says that it works."""
    sender, result = outcome.job.sender, outcome.result
    if isinstance(result, OutcomeUnknown) and result.kind == INTERNAL_ERROR:
        return False
    if isinstance(result, DeliveryError) and result.phase == attachment_files.PHASE:
        # It never heard of the message; if that was to try it, another one may.
        sender_health.release_probe(sender)
        return False
    if sender.adapter in simulator.NAMES:
        # It fails when it is asked to, and is always well.
        return False
    if isinstance(result, SenderFailure | OutcomeUnknown):
        return health.failed(sender, result, now=outcome.at)
    if result is not None:
        health.worked(sender, now=outcome.at)
    return False


def _move(outcome: Outcome, error: DeliveryError) -> None:
    """Where a failure that is charged to the message takes it."""
    claim, sender_id, now = outcome.job.claim, outcome.job.sender.pk, outcome.at
    message = claim.message
    tries = message.tries + 1
    detail = mask_addresses(str(error))
    if isinstance(error, OutcomeUnknown):
        states.doubt(claim, detail=detail, tries=tries, sender_id=sender_id, now=now)
    elif isinstance(error, PermanentFailure):
        states.fail(
            claim, reason=error.kind, detail=detail, tries=tries, sender_id=sender_id, now=now
        )
    elif tries >= states.MAX_TRIES or (
        error.kind == "mailbox_full" and now - message.created_at > MAILBOX_FULL_FOR
    ):
        states.fail(
            claim,
            reason=Reason.EXHAUSTED,
            detail=detail,
            tries=tries,
            sender_id=sender_id,
            now=now,
        )
    else:
        states.put_back(
            claim,
            reason=Reason.TEMPORARY,
            detail=detail,
            due_at=now
            + retries.delay(
                message.channel, message.lane, message.tries, retry_after=error.retry_after
            ),
            tries=tries,
            sender_id=sender_id,
        )


def count(outcome: Outcome) -> None:
    """Metrics and one log line, after the commit."""
    message, sender = outcome.job.claim.message, outcome.job.sender
    word = word_of(outcome.result)
    metrics.attempts(message.channel, sender.name, word).inc()
    if word == Attempt.Outcome.ACCEPTED:
        metrics.latency_seconds(message.channel, message.lane).observe(
            max(0.0, (outcome.at - message.created_at).total_seconds())
        )
    # A message that went well has its row; a line for each would cost more than sending it.
    level = "debug" if word == Attempt.Outcome.ACCEPTED else "info"
    getattr(log, level)(
        "attempt_finished",
        message_id=str(message.pk),
        attempt_id=str(outcome.attempt.pk),
        request_id=message.request_id,
        sender=sender.name,
        outcome=word,
    )

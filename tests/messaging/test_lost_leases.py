"""A worker that lost a lease, and the next one that holds the message now."""

from datetime import timedelta

import pytest

from messaging import outcomes, states
from messaging.attempts import Job, Outcome, new_marks, start_attempts
from messaging.channels.base import (
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    SenderFailure,
    TemporaryFailure,
)
from messaging.models import Attempt, Message, Reason, Status
from messaging.sender_health import Health
from tests.factories import NOON, attempt_of, make_message, make_sender, reloaded

pytestmark = pytest.mark.django_db

LEASE = timedelta(minutes=5)
AFTER_LEASE = NOON + LEASE + timedelta(seconds=1)


def claim(now=NOON):
    (held,) = states.claim_due(channel="email", lane="normal", limit=1, now=now, lease=LEASE).claims
    return held


def lost_claim():
    """A claim whose message somebody else has claimed since."""
    held = claim()
    states.recover_leases(now=AFTER_LEASE)
    claim(now=AFTER_LEASE)
    return held


def hand_over(held, *, sender):
    """A hand-over under `held` that has no outcome yet."""
    job = Job(held, sender, {}, NOON)
    (attempt,) = new_marks([job], worker="w", now=NOON)
    assert start_attempts([attempt])
    return job, attempt


@pytest.mark.parametrize(
    "move",
    [
        lambda held, sender: states.put_back(
            held, reason="no_sender", detail="", due_at=NOON, tries=1
        ),
        lambda held, sender: states.fail(
            held, reason="rejected", detail="", tries=1, sender_id=sender.pk, now=NOON
        ),
        lambda held, sender: states.doubt(held, detail="", tries=1, sender_id=sender.pk, now=NOON),
        lambda held, sender: states.release([held], now=NOON),
        lambda held, sender: states.fail_unsent(
            [held.message], reason=Reason.EXPIRED, detail="", now=NOON
        ),
        lambda held, sender: states.renew_leases([held], now=NOON, lease=3 * LEASE),
    ],
    ids=["put_back", "fail", "doubt", "release", "fail_unsent", "renew_leases"],
)
def test_who_lost_a_lease_changes_nothing_of_the_message(move):
    message, sender = make_message(), make_sender()
    held = lost_claim()
    before = Message.objects.values().get(pk=message.pk)

    assert not move(held, sender)

    assert Message.objects.values().get(pk=message.pk) == before


@pytest.mark.parametrize(
    "result",
    [
        OutcomeUnknown("no_answer", phase="final_dot"),
        PermanentFailure("rejected", phase="final_dot"),
        TemporaryFailure("temporary", phase="final_dot"),
        SenderFailure("transient", phase="mail"),
    ],
    ids=lambda result: type(result).__name__,
)
def test_a_late_no_changes_nothing_of_a_message_that_somebody_else_holds(result):
    message, sender = make_message(), make_sender()
    job, attempt = hand_over(claim(), sender=sender)
    states.recover_leases(now=AFTER_LEASE)
    states.settle_unknown(now=AFTER_LEASE)
    claim(now=AFTER_LEASE)
    before = Message.objects.values().get(pk=message.pk)

    outcome = Outcome(job, attempt, result, AFTER_LEASE)
    outcomes.commit([outcome], [], health=Health(), may_be_late=True)

    assert Message.objects.values().get(pk=message.pk) == before
    assert attempt_of(attempt).outcome == outcomes.word_of(result)
    assert attempt_of(attempt).unknown_at == AFTER_LEASE


@pytest.mark.parametrize("may_be_late", [True, False])
def test_a_yes_does_not_clear_the_doubt_there_was(may_be_late):
    message, sender = make_message(), make_sender()
    job, attempt = hand_over(claim(), sender=sender)
    states.recover_leases(now=AFTER_LEASE)

    outcome = Outcome(job, attempt, Receipt(code="250"), AFTER_LEASE)
    outcomes.commit([outcome], [], health=Health(), may_be_late=may_be_late)

    assert reloaded(message).status == Status.SUCCESS
    assert attempt_of(attempt).outcome == Attempt.Outcome.ACCEPTED
    assert attempt_of(attempt).unknown_at == AFTER_LEASE


@pytest.mark.parametrize("may_be_late", [True, False])
@pytest.mark.parametrize(
    "second", [Receipt(code="250", words="second"), SenderFailure("transient", words="second")]
)
def test_the_outcome_that_was_written_first_stays(second, may_be_late):
    make_message()
    job, attempt = hand_over(claim(), sender=make_sender())
    first = Receipt(code="250", words="first")

    for result in (first, second):
        outcome = Outcome(job, attempt, result, NOON)
        outcomes.commit([outcome], [], health=Health(), may_be_late=may_be_late)

    assert attempt_of(attempt).outcome == Attempt.Outcome.ACCEPTED
    assert attempt_of(attempt).provider_words == "first"


def test_a_doubt_keeps_the_moment_at_which_it_began():
    make_message()
    _, attempt = hand_over(claim(), sender=make_sender())
    doubted_at = NOON + timedelta(seconds=7)
    Attempt.objects.filter(pk=attempt.pk).update(unknown_at=doubted_at)

    states.recover_leases(now=AFTER_LEASE)

    assert attempt_of(attempt).unknown_at == doubted_at


def test_a_hand_over_whose_silence_is_written_down_counts_as_one_when_the_lease_is_lost():
    message = make_message()
    _, attempt = hand_over(claim(), sender=make_sender())
    Attempt.objects.filter(pk=attempt.pk).update(
        outcome="unknown", finished_at=NOON, unknown_at=NOON
    )

    states.recover_leases(now=AFTER_LEASE)

    assert reloaded(message).status == Status.UNKNOWN

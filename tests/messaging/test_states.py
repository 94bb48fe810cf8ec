from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from messaging import states
from messaging.models import Attempt, Event, Message, Status
from tests.factories import NOON, drain, make_message, make_sender, reloaded

pytestmark = pytest.mark.django_db

LEASE = timedelta(minutes=5)
AFTER_LEASE = NOON + LEASE + timedelta(seconds=1)


def claim(limit=100, now=NOON, lane="normal"):
    return states.claim_due(channel="email", lane=lane, limit=limit, now=now, lease=LEASE)


def start_attempt(held, **fields):
    return Attempt.objects.create(
        message_id=held.message.pk,
        sender=make_sender(),
        lease_token=held.lease_token,
        started_at=NOON,
        **fields,
    )


def test_a_claim_takes_the_oldest_of_its_lane_and_leases_them():
    late, early = make_message(), make_message(due_at=NOON - timedelta(hours=1))
    other = make_message(lane="high")

    claimed = claim(limit=1)

    message = reloaded(early)
    assert [held.message.pk for held in claimed.claims] == [early.pk]
    assert (message.status, message.lease_token, message.claims) == (Status.SENDING, 1, 1)
    assert message.leased_until == NOON + LEASE
    assert {reloaded(late).status, reloaded(other).status} == {Status.PENDING}


def test_a_claimed_message_is_not_claimed_again():
    make_message()

    assert (claim().count, claim().count) == (1, 0)


def test_a_message_that_was_claimed_five_times_without_outcome_is_poison():
    message = make_message(claims=5)

    claimed = claim()

    assert (claimed.claims, claimed.count) == ([], 1)
    assert (reloaded(message).status, reloaded(message).reason) == (Status.FAILED, "poison")
    assert message.events.get().kind == Event.Kind.FAILED


def test_a_message_that_was_claimed_four_times_without_outcome_gets_a_fifth_chance():
    message = make_message(claims=4)

    claimed = claim()

    assert [held.message.pk for held in claimed.claims] == [message.pk]
    assert reloaded(message).status == Status.SENDING


def test_workers_that_are_lost_again_and_again_make_it_poison():
    message, now = make_message(), NOON
    for _ in range(states.MAX_CLAIMS + 1):
        claim(now=now)
        now += LEASE + timedelta(seconds=1)
        states.recover_leases(now=now)

    assert (reloaded(message).status, reloaded(message).reason) == (Status.FAILED, "poison")


def test_a_lost_lease_without_an_attempt_goes_back_unsent():
    message = make_message()
    claim()

    states.recover_leases(now=AFTER_LEASE)

    message = reloaded(message)
    assert (message.status, message.reason, message.claims) == (Status.PENDING, "lease_lost", 1)
    assert message.events.get().kind == Event.Kind.LEASE_LOST


def test_a_lost_lease_with_an_open_attempt_is_unknown():
    message = make_message()
    attempt = start_attempt(claim().claims[0])

    states.recover_leases(now=AFTER_LEASE)

    assert reloaded(message).status == Status.UNKNOWN
    assert reloaded(attempt).unknown_at == AFTER_LEASE


def test_an_attempt_that_was_closed_as_not_sent_does_not_make_it_unknown():
    message = make_message()
    start_attempt(claim().claims[0], outcome="not_sent", finished_at=NOON)

    states.recover_leases(now=AFTER_LEASE)

    assert reloaded(message).status == Status.PENDING


def test_an_open_attempt_of_an_older_lease_does_not_count():
    message = make_message()
    start_attempt(claim().claims[0])
    states.recover_leases(now=AFTER_LEASE)
    states.settle_unknown(now=AFTER_LEASE)
    claim(now=AFTER_LEASE)

    states.recover_leases(now=AFTER_LEASE + LEASE + timedelta(seconds=1))

    assert reloaded(message).status == Status.PENDING


def test_a_lease_that_still_runs_is_left_alone():
    message = make_message()
    claim()

    states.recover_leases(now=NOON + timedelta(minutes=4))

    assert reloaded(message).status == Status.SENDING


def test_at_least_once_is_sent_once_more_and_only_once():
    message = make_message(status=Status.UNKNOWN)

    states.settle_unknown(now=NOON)
    first = reloaded(message)
    Message.objects.filter(pk=message.pk).update(status=Status.UNKNOWN)
    states.settle_unknown(now=NOON)
    second = reloaded(message)

    assert (first.status, first.unknown_resends) == (Status.PENDING, 1)
    assert (second.status, second.reason) == (Status.FAILED, "unknown_outcome")


def test_at_most_once_is_never_sent_again_after_silence():
    message = make_message(status=Status.UNKNOWN, policy="at_most_once")

    states.settle_unknown(now=NOON)

    assert (reloaded(message).status, reloaded(message).reason) == ("failed", "unknown_outcome")


@pytest.mark.parametrize(
    "fields",
    [
        {"status": Status.PENDING},
        {"status": Status.UNKNOWN},
        {"status": Status.FAILED, "reason": "unknown_outcome"},
        {"status": Status.SENDING, "lease_token": 7},
    ],
)
def test_a_late_yes_always_wins(fields):
    message = make_message(**fields)

    states.succeed([(message.pk, make_sender().pk, NOON)])

    assert reloaded(message).status == Status.SUCCESS


@pytest.mark.parametrize(
    "fields",
    [{"status": Status.CANCELLED}, {"status": Status.FAILED, "reason": "hard_bounce"}],
)
def test_a_yes_does_not_undo_what_is_over(fields):
    message = make_message(**fields)

    states.succeed([(message.pk, make_sender().pk, NOON)])

    assert reloaded(message).status == fields["status"]


def test_who_holds_an_older_lease_moves_nothing():
    message = make_message()
    (held,) = claim().claims
    states.recover_leases(now=AFTER_LEASE)
    claim(now=AFTER_LEASE)

    moved = states.put_back(held, reason="no_sender", detail="", due_at=NOON, tries=0)

    assert not moved
    assert reloaded(message).status == Status.SENDING
    assert states.renew_leases([held], now=NOON, lease=LEASE) == set()


def test_a_retry_is_never_due_after_the_message_expires():
    message = make_message(expires_at=NOON + timedelta(minutes=1))
    (held,) = claim().claims

    states.put_back(held, reason="no_sender", detail="", due_at=NOON + LEASE, tries=0)

    assert reloaded(message).due_at == NOON + timedelta(minutes=1)


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.PENDING, Status.CANCELLED])
def test_only_failed_and_unknown_messages_are_sent_again(status):
    message = make_message(status=status)

    went = states.resend_many([message.pk], may_duplicate=True, now=NOON, actor_id=None)

    assert not went
    assert reloaded(message).status == status


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "sending"},
        {"leased_until": NOON},
        {"status": "failed", "finished_at": NOON},
        {"status": "success"},
        {"finished_at": NOON},
        {"lane": "turbo"},
        {"policy": "perhaps"},
    ],
)
def test_the_database_refuses_rows_that_make_no_sense(changes):
    message = make_message()

    with pytest.raises(IntegrityError), transaction.atomic():
        Message.objects.filter(pk=message.pk).update(**changes)


@pytest.mark.parametrize("status", [one for one in Status if one != Status.PENDING])
def test_only_a_pending_message_is_cancelled(status):
    message = make_message(status=status)

    assert not states.cancel(message.pk, now=NOON, actor_id=None)
    assert reloaded(message).status == status


def test_a_message_is_not_handed_over_in_the_moment_in_which_it_expires():
    message = make_message(expires_at=NOON)

    assert claim().claims == []
    assert (reloaded(message).status, reloaded(message).reason) == (Status.FAILED, "expired")


def test_silence_rests_before_its_policy_decides():
    message = make_message()
    (held,) = claim().claims
    states.doubt(held, detail="", tries=1, sender_id=make_sender().pk, now=NOON)
    moment = timedelta(microseconds=1)

    early = states.settle_unknown(now=NOON + states.UNKNOWN_REST - moment)
    settled = states.settle_unknown(now=NOON + states.UNKNOWN_REST)

    assert (early, settled) == (0, 1)
    assert reloaded(message).status == Status.PENDING


def test_the_machine_leads_nowhere_from_success_and_cancelled():
    assert {status for status, targets in states.MOVES.items() if not targets} == {
        Status.SUCCESS,
        Status.CANCELLED,
    }
    assert set(states.MOVES) == set(Status)


def test_waiting_messages_are_woken_when_a_sender_is_mended(adapter):
    waiting = make_message(due_at=NOON + LEASE, reason="no_sender")
    scheduled = make_message(due_at=NOON + LEASE)

    states.wake_waiting(channel="email", now=NOON)

    assert reloaded(waiting).due_at == NOON
    assert reloaded(scheduled).due_at == NOON + LEASE


def test_waiting_is_written_into_the_story_once(adapter):
    message = make_message()
    drain()
    again = reloaded(message).due_at

    drain(now=again)

    assert [event.kind for event in message.events.all()] == [Event.Kind.WAITS_FOR_SENDER]

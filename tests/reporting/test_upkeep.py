from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection

from messaging import states
from messaging.channels.base import (
    OutcomeUnknown,
    PermanentFailure,
    SenderFailure,
    TemporaryFailure,
)
from messaging.models import Attempt, Event, FeedbackEvent, Message, Policy, Status
from messaging.simulation import simulator_id
from reporting import changes, rollups, tasks, upkeep
from reporting.models import Dimension, Hour, HourlyDetail, Progress
from tests.factories import (
    NOON,
    drain,
    make_application,
    make_sender,
    make_suppression,
    make_version,
    reloaded,
)
from tests.messaging.reporting import apply, news
from tests.reporting.messages import accepted, by_sql, by_statistics, totals

pytestmark = pytest.mark.django_db
# When the messages of noon are no longer among those that are counted at every look.
LATER = NOON + timedelta(hours=30)


def tick(now):
    return upkeep.bring_up_to_date(clock=lambda: now)


def look_later(now=LATER):
    """After every rest."""
    tick(now + upkeep.RESTS + timedelta(seconds=1))


@pytest.fixture
def sender(adapter):
    return make_sender()


@pytest.fixture
def message(sender):
    """Of thirty hours ago, counted as pending, and due."""
    made = accepted()
    tick(LATER - timedelta(minutes=5))
    Message.objects.update(due_at=LATER, expires_at=LATER + timedelta(hours=72))
    assert by_statistics() == by_sql()
    return made


def fails(adapter, failure):
    adapter.failure = failure
    drain(now=LATER)
    adapter.failure = None


def tries(adapter, message):
    drain(now=LATER)
    return "success"


def is_tried_later(adapter, message):
    fails(adapter, TemporaryFailure("greylisted", phase="rcpt"))
    return "pending"


def is_refused(adapter, message):
    fails(adapter, PermanentFailure("rejected", phase="rcpt"))
    return "failed"


def finds_no_sender(adapter, message):
    fails(adapter, SenderFailure("connect", phase="connect"))
    return "pending"


def stays_unknown(adapter, message):
    fails(adapter, OutcomeUnknown("no_answer", phase="final_dot"))
    return "unknown"


def is_sent_once_more(adapter, message):
    stays_unknown(adapter, message)
    states.settle_unknown(now=LATER + timedelta(minutes=2))
    return "pending"


def is_given_up(adapter, message):
    Message.objects.update(policy=Policy.AT_MOST_ONCE)
    stays_unknown(adapter, message)
    states.settle_unknown(now=LATER + timedelta(minutes=2))
    return "failed"


def is_proven_late(adapter, message):
    is_given_up(adapter, message)
    attempt = Attempt.objects.get()
    apply(news("delivered", attempt), attempt.sender, LATER + timedelta(minutes=3))
    return "success"


def is_cancelled(adapter, message):
    states.cancel(message.pk, now=LATER, actor_id=None)
    return "cancelled"


def is_resent(adapter, message):
    is_refused(adapter, message)
    states.resend_many([message.pk], may_duplicate=False, now=LATER, actor_id=None)
    return "pending"


def expires(adapter, message):
    Message.objects.update(expires_at=LATER)
    drain(now=LATER)
    return "failed"


def is_poison(adapter, message):
    Message.objects.update(claims=states.MAX_CLAIMS)
    drain(now=LATER)
    return "failed"


def is_suppressed(adapter, message):
    make_suppression(address=message.recipient)
    drain(now=LATER)
    return "failed"


def loses_its_worker(adapter, message):
    states.claim_due(
        channel="email", lane="normal", limit=1, now=LATER, lease=timedelta(seconds=60)
    )
    tick(LATER + timedelta(seconds=20))
    states.recover_leases(now=LATER + timedelta(seconds=61))
    return "pending"


def is_told_of(adapter, message):
    drain(now=LATER)
    attempt = Attempt.objects.get()
    apply(news("opened", attempt), attempt.sender, LATER + timedelta(seconds=10))
    return "success"


MOVES = [
    tries,
    is_tried_later,
    is_refused,
    finds_no_sender,
    stays_unknown,
    is_sent_once_more,
    is_given_up,
    is_proven_late,
    is_cancelled,
    is_resent,
    expires,
    is_poison,
    is_suppressed,
    loses_its_worker,
    is_told_of,
]


@pytest.mark.parametrize("moves", MOVES, ids=lambda move: move.__name__)
def test_whatever_becomes_of_an_old_message_changes_its_hour(adapter, message, moves):
    status = moves(adapter, message)

    look_later()

    assert reloaded(message).status == status
    assert by_statistics() == by_sql()


def test_what_is_with_a_sender_while_it_is_counted_is_counted_again_without_a_trace(message):
    claim = {"channel": "email", "lane": "normal", "limit": 1, "lease": timedelta(seconds=60)}
    claimed = states.claim_due(now=LATER, **claim)
    rollups.recount(NOON, now=LATER)
    assert by_statistics() == by_sql()
    states.release(claimed.claims, now=LATER)
    assert not Event.objects.exists()
    assert not Attempt.objects.exists()

    look_later()

    assert reloaded(message).status == Status.PENDING
    assert by_statistics() == by_sql()


def test_a_hand_over_that_began_before_the_last_look_and_ended_after_it_counts(message, adapter):
    """Its attempt is no new row any more when it ends."""
    (claim,) = states.claim_due(
        channel="email", lane="normal", limit=1, now=LATER, lease=timedelta(seconds=60)
    ).claims
    tick(LATER)
    rollups.recount(NOON, now=LATER)
    states.succeed([(claim.message.pk, make_sender().pk, LATER + timedelta(seconds=30))])

    tick(LATER + timedelta(hours=1))

    assert reloaded(message).status == Status.SUCCESS
    assert by_statistics() == by_sql()


def test_every_dimension_has_every_message():
    simulated = simulator_id("email")
    version = make_version(status="published")
    accepted(status="success", sender=make_sender(), template_version=version)
    accepted(status="failed", reason="hard_bounce", feedback="bounced")
    accepted(NOON + timedelta(hours=1), channel="sms")
    accepted(status="success", only_sender_id=simulated, sender_id=simulated)

    tick(NOON + timedelta(hours=1, minutes=10))

    expected = Counter({"accepted": 4, "success": 2, "failed": 1, "pending": 1, "bounced": 1})
    assert by_statistics() == by_sql()
    for dimension in Dimension:
        assert totals(dimension) == expected


def test_a_message_belongs_to_the_hour_of_its_row_and_not_of_its_id():
    """The clock of the web process was ahead, and the next hour had not begun."""
    late = accepted(NOON + timedelta(minutes=3))
    Message.objects.filter(pk=late.pk).update(created_at=NOON - timedelta(minutes=1))

    tick(NOON + timedelta(minutes=4))

    (row,) = HourlyDetail.objects.all()
    assert row.hour == NOON - timedelta(hours=1)


def test_the_first_look_counts_all_there_is_newest_first():
    for days in (0, 1, 3):
        accepted(NOON - timedelta(days=days))

    tick(NOON)

    assert by_statistics() == by_sql()
    assert Hour.objects.filter(dirty_since__isnull=False).count() == 0
    assert Hour.objects.count() == 3 * 24 + 1


def test_one_run_stops_after_its_seconds_and_the_next_goes_on(monkeypatch):
    for hours in range(8):
        accepted(NOON - timedelta(hours=hours))
    moments = iter(range(1000))

    counted = upkeep.bring_up_to_date(clock=lambda: NOON + timedelta(seconds=next(moments)))
    rest = tick(NOON + timedelta(minutes=20))

    assert 2 <= counted < 8
    assert rest >= 8 - counted
    assert by_statistics() == by_sql()


def test_an_old_hour_rests_between_two_counts(message):
    application = make_application()
    accepted(application=application)
    rollups.recount(NOON, now=LATER)
    rollups.mark([NOON], now=LATER)

    tick(LATER + upkeep.RESTS - timedelta(seconds=1))
    in_between = Hour.objects.get(began_at=NOON)
    tick(LATER + upkeep.RESTS)

    assert in_between.dirty_since == LATER
    assert reloaded(in_between).dirty_since is None


def test_hours_without_a_beat_are_made_up_for(message):
    for hours in range(10):
        accepted(LATER + timedelta(hours=hours, minutes=59))

    tick(LATER + timedelta(hours=12))

    assert by_statistics() == by_sql()


def test_an_event_that_was_committed_after_later_ones_is_seen(message, sender):
    """Its id was given first."""
    tick(LATER)
    late = Event.objects.create(message=message, kind=Event.Kind.CANCELLED, at=LATER)
    Event.objects.filter(pk=late.pk).delete()
    Event.objects.create(message=accepted(), kind=Event.Kind.RESCHEDULED, at=LATER)
    tick(LATER + timedelta(seconds=20))
    tick(LATER + timedelta(minutes=4))
    Message.objects.filter(pk=message.pk).update(reason="resent")
    Event.objects.create(pk=late.pk, message=message, kind=Event.Kind.RESENT, at=LATER)
    tick(LATER + timedelta(minutes=5))

    tick(LATER + timedelta(minutes=9))

    assert by_statistics() == by_sql()


def test_late_feedback_marks_the_hour_of_the_message(message, sender):
    tick(LATER)
    Message.objects.update(feedback="deferred")
    FeedbackEvent.objects.create(
        message=message, sender=sender, kind="deferred", at=LATER, key="one"
    )

    changes.look(now=LATER + timedelta(seconds=20))

    assert Hour.objects.get(began_at=NOON).dirty_since == LATER + timedelta(seconds=20)


def test_the_task_counts_what_was_accepted_just_now(api):
    letter = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hello</p>"}
    api.post("/api/v1/messages/email/send", letter)

    tasks.bring_up_to_date()
    tasks.bring_up_to_date()

    assert by_statistics() == by_sql()
    assert sum(by_sql().values()) == 2
    assert Progress.objects.get().updated_at is not None


def test_a_crash_between_taking_away_and_putting_back_changes_nothing(monkeypatch):
    accepted()
    tick(NOON)
    before = by_statistics()

    def crash(hour):
        assert not HourlyDetail.objects.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(rollups, "_count", crash)
    with pytest.raises(KeyboardInterrupt):
        rollups.recount(NOON, now=NOON)

    assert by_statistics() == before


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="It has one writer at a time.")
def test_the_primary_key_is_walked_and_not_the_table():
    """However many messages there are."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {rollups._count_sql()}", rollups._count_values(NOON))
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "messaging_message_pkey" in plan


def test_an_hour_that_takes_long_to_count_is_not_counted_at_every_look():
    accepted(NOON)
    tick(NOON + timedelta(minutes=1))
    Hour.objects.filter(began_at=NOON).update(took_ms=3000)
    accepted(NOON + timedelta(minutes=1))
    before = Progress.objects.get().updated_at

    tick(NOON + timedelta(minutes=1, seconds=40))

    assert totals("channel")["accepted"] == 1
    assert Progress.objects.get().updated_at == before

    # A twentieth of the time is not exceeded any more.
    tick(NOON + timedelta(minutes=2, seconds=1))

    assert totals("channel")["accepted"] == 2
    assert Progress.objects.get().updated_at > before

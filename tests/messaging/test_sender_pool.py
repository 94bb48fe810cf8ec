from collections import Counter
from datetime import timedelta

import pytest

from messaging import sender_pool
from messaging.channels.base import SenderFailure
from messaging.models import SenderWindow, Status
from messaging.senders import put_back_into_play
from tests.factories import (
    NOON,
    drain,
    make_application,
    make_message,
    make_sender,
    reloaded,
)

pytestmark = pytest.mark.django_db


def allot(count=1, application_id=1, now=NOON):
    pool = sender_pool.Pool(channel="email", now=now)
    allotment = pool.allot([application_id] * count, now=now)
    return Counter(sender.name if sender else None for sender in allotment.senders)


def used(sender, window="day"):
    return SenderWindow.objects.get(sender=sender, window=window).used


def test_the_higher_priority_takes_all():
    make_sender(name="low")
    make_sender(name="high", priority=5)

    assert allot(10) == {"high": 10}


def test_senders_of_one_priority_share_by_weight():
    make_sender(name="heavy", weight=300)
    make_sender(name="light", weight=100)

    assert allot(100) == {"heavy": 75, "light": 25}


def test_who_was_used_least_goes_first():
    busy, idle = make_sender(name="busy"), make_sender(name="idle")
    sender_pool.reserve(busy, 10, now=NOON)

    assert allot(10) == {"idle": 10}
    assert used(idle) == 10


def test_a_daily_limit_holds_and_the_rest_goes_to_the_next():
    make_sender(name="small", priority=1, per_day=3)
    make_sender(name="large")

    assert allot(10) == {"small": 3, "large": 7}
    assert allot(10) == {"large": 10}


def test_the_tightest_window_counts():
    sender = make_sender(per_minute=2, per_hour=5, per_day=100)

    assert sender_pool.reserve(sender, 10, now=NOON) == 2
    assert sender_pool.reserve(sender, 10, now=NOON + timedelta(minutes=1)) == 2
    assert sender_pool.reserve(sender, 10, now=NOON + timedelta(minutes=2)) == 1
    assert (used(sender, "minute"), used(sender, "hour"), used(sender)) == (1, 5, 5)


def test_a_day_begins_at_midnight_of_the_senders_own_zone():
    sender = make_sender(per_day=1, time_zone="Asia/Shanghai")
    before_midnight = NOON.replace(hour=15, minute=59)

    assert sender_pool.reserve(sender, 1, now=before_midnight) == 1
    assert sender_pool.reserve(sender, 1, now=before_midnight) == 0
    assert sender_pool.reserve(sender, 1, now=before_midnight + timedelta(minutes=1)) == 1


def test_what_was_reserved_and_not_used_is_given_back(adapter):
    make_sender(name="failing", per_day=10)
    adapter.failure = SenderFailure("transient")
    for _ in range(4):
        make_message()

    drain()

    assert SenderWindow.objects.get().used == 0


def test_a_sender_may_be_reserved_for_applications():
    ours = make_application()
    make_sender(name="reserved", priority=1).applications.add(ours)
    make_sender(name="open")

    assert allot(2, application_id=ours.pk) == {"reserved": 2}
    assert allot(2, application_id=ours.pk + 1) == {"open": 2}


def test_a_sender_that_is_switched_off_or_benched_sits_out():
    make_sender(is_active=False)
    make_sender(benched_until=NOON + timedelta(seconds=1))

    assert allot(1) == {None: 1}
    assert allot(1, now=NOON + timedelta(seconds=2))[None] == 0


def test_the_bench_gets_longer_with_every_failure_in_a_row():
    sender = make_sender()
    error = SenderFailure("transient")

    rests = []
    now = NOON
    for _ in range(8):
        until = sender_pool.bench(reloaded(sender), error, now=now)
        rests.append((until - now).total_seconds())
        now = until

    assert 48 <= rests[0] <= 72
    assert 96 <= rests[1] <= 144
    assert max(rests) <= 30 * 60 * 1.2


def test_wrong_credentials_are_tried_at_most_once_an_hour():
    until = sender_pool.bench(make_sender(), SenderFailure("credentials"), now=NOON)

    assert until >= NOON + timedelta(hours=1)


def test_a_provider_may_ask_for_a_longer_rest():
    error = SenderFailure("throttled", retry_after=1800)

    assert sender_pool.bench(make_sender(), error, now=NOON) >= NOON + timedelta(minutes=30)


def test_two_workers_that_fail_at_once_bench_it_once():
    sender = make_sender()

    sender_pool.bench(sender, SenderFailure("transient"), now=NOON)
    sender_pool.bench(sender, SenderFailure("transient"), now=NOON)

    assert reloaded(sender).failures == 1


def test_a_success_forgets_the_failures(adapter):
    sender = make_sender(failures=3)
    make_message()

    drain()

    assert reloaded(sender).failures == 0


def test_what_the_provider_said_is_kept_without_addresses():
    sender = make_sender()
    error = SenderFailure("identity", code="550", words="<ann@example.com> not allowed")

    sender_pool.bench(sender, error, now=NOON)

    assert reloaded(sender).last_failure_words == "550 <a***@example.com> not allowed"


def test_a_mended_sender_plays_at_once_and_what_waited_is_sent(adapter):
    sender = make_sender()
    adapter.failure = SenderFailure("credentials")
    message = make_message()
    drain()
    adapter.failure = None

    put_back_into_play(reloaded(sender))
    drain(now=NOON + timedelta(days=1))

    assert reloaded(message).status == Status.SUCCESS


def test_the_attempt_tells_who_was_left_out_and_why(adapter):
    make_sender(name="off", is_active=False)
    make_sender(name="on")
    message = make_message()

    drain()

    decision = message.attempts.get().decision
    assert decision["chosen"] == "on"
    assert decision["excluded"] == {"off": "switched off"}


def test_a_sender_whose_secret_cannot_be_read_sits_out_and_says_so(adapter, settings):
    from cryptography.fernet import Fernet

    sender = make_sender(name="locked", credentials={"password": "x"})
    settings.CREDENTIALS_KEYS = [Fernet.generate_key().decode()]
    message = make_message()

    drain()

    assert "locked: its credentials cannot be read" in reloaded(message).reason_detail
    assert sender.name == "locked"


def test_quota_that_others_took_meanwhile_sends_the_rest_to_the_next_at_once():
    small = make_sender(name="small", priority=1, per_day=5)
    make_sender(name="large")
    pool = sender_pool.Pool(channel="email", now=NOON)
    sender_pool.reserve(small, 3, now=NOON)

    allotment = pool.allot([1] * 5, now=NOON)

    assert Counter(sender.name for sender in allotment.senders) == {"small": 2, "large": 3}
    assert allotment.decisions[-1]["excluded"] == {
        "small": "its quota was used up by other workers"
    }

from collections import Counter
from datetime import timedelta

import pytest

from messaging import sender_pool, states
from messaging.channels.base import OutcomeUnknown, SenderFailure
from messaging.models import Sender, SenderWindow, Status
from messaging.sender_pool import Pool, Wish
from messaging.sender_quotas import reserve
from messaging.senders import put_back_into_play
from tests.factories import (
    NOON,
    drain,
    make_application,
    make_group,
    make_message,
    make_sender,
    reloaded,
)

pytestmark = pytest.mark.django_db


ANY = Wish(1)


def allot(count=1, wish=ANY, now=NOON, busy=None):
    allotment = Pool(channel="email", now=now).allot([wish] * count, now=now, busy=busy)
    return Counter(sender.name if sender else None for sender in allotment.senders)


def used(sender):
    return SenderWindow.objects.get(sender=sender, window="day").used


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
    reserve(busy, 10, now=NOON)

    assert allot(10) == {"idle": 10}
    assert used(idle) == 10


def test_a_daily_limit_holds_and_the_rest_goes_to_the_next():
    make_sender(name="small", priority=1, per_day=3)
    make_sender(name="large")

    assert allot(10) == {"small": 3, "large": 7}
    assert allot(10) == {"large": 10}


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

    assert allot(2, wish=Wish(ours.pk)) == {"reserved": 2}
    assert allot(2, wish=Wish(ours.pk + 1)) == {"open": 2}


def test_a_sender_that_is_switched_off_or_benched_sits_out():
    make_sender(is_active=False)
    make_sender(benched_until=NOON + timedelta(seconds=1))

    assert allot(1) == {None: 1}
    assert allot(1, now=NOON + timedelta(seconds=2))[None] == 0


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
    pool = Pool(channel="email", now=NOON)
    reserve(small, 3, now=NOON)

    allotment = pool.allot([ANY] * 5, now=NOON)

    assert Counter(sender.name for sender in allotment.senders) == {"small": 2, "large": 3}
    assert allotment.decisions[-1]["excluded"] == {
        "small": "its quota was used up by other workers"
    }


def test_a_sender_that_failed_a_message_does_not_get_it_again():
    failed = make_sender(name="failed", priority=1)
    make_sender(name="next")
    pool = Pool(channel="email", now=NOON)

    allotment = pool.allot([Wish(1, never=frozenset({failed.pk})), ANY], now=NOON)

    assert [sender.name for sender in allotment.senders] == ["next", "failed"]
    assert allotment.decisions[0]["excluded"] == {"failed": "failed this message just now"}
    assert allotment.decisions[1]["excluded"] == {}


def test_when_the_only_sender_failed_a_message_it_says_so():
    failed = make_sender(name="failed")
    wish = Wish(1, never=frozenset({failed.pk}))
    pool = Pool(channel="email", now=NOON)

    allotment = pool.allot([wish], now=NOON)

    assert allotment.senders == [None]
    assert pool.why_nobody(wish) == "failed: failed this message just now"


def test_a_sender_that_was_silent_about_a_message_gets_it_only_if_there_is_nobody_else():
    silent = make_sender(name="silent", priority=1)
    wish = Wish(1, rather_not=frozenset({silent.pk}))
    assert allot(wish=wish) == {"silent": 1}

    make_sender(name="other")
    allotment = Pool(channel="email", now=NOON).allot([wish], now=NOON)

    assert allotment.senders[0].name == "other"
    assert allotment.decisions[0]["excluded"] == {
        "silent": "had this message before and gave no answer"
    }


def test_what_is_sent_once_more_goes_to_another_sender_than_the_silent_one(adapter, monkeypatch):
    make_sender(name="silent", priority=1)
    make_sender(name="other")
    message = make_message()
    asked = []
    send = adapter.send

    def listen(self, outbound):
        asked.append(outbound)
        return send(self, outbound)

    monkeypatch.setattr(adapter, "send", listen)
    adapter.failures = {"silent": OutcomeUnknown("no_answer", phase="final_dot")}
    drain()
    adapter.failures = {}
    later = NOON + states.UNKNOWN_REST

    states.settle_unknown(now=later)
    drain(now=later)

    assert reloaded(message).sender.name == "other"
    assert [name for name, _ in adapter.sent] == ["other"]
    # Who gets both sees one message; we know one hand-over from the other.
    assert len({outbound.message_id for outbound in asked}) == 1
    assert len({outbound.attempt_id for outbound in asked}) == 2


def test_a_sender_that_this_process_cannot_use_now_is_left_out_and_says_why():
    busy = make_sender(name="busy", priority=1)
    make_sender(name="free")
    pool = Pool(channel="email", now=NOON)

    allotment = pool.allot([ANY], now=NOON, busy={busy.pk: "does not answer"})

    assert allotment.decisions[0]["excluded"] == {"busy": "does not answer"}
    assert pool.allot([ANY], now=NOON).senders == [busy]


def test_when_all_of_the_first_priority_are_out_the_next_one_serves():
    make_sender(name="benched", priority=2, benched_until=NOON + timedelta(seconds=9))
    make_sender(name="spent", priority=2, per_day=0)
    make_sender(name="next", priority=1)
    make_sender(name="last")

    assert allot(10) == {"next": 10}


def test_a_pool_reads_the_rows_again_when_it_is_refreshed():
    sender = make_sender(per_day=10)
    pool = Pool(channel="email", now=NOON)
    Sender.objects.filter(pk=sender.pk).update(is_active=False)

    pool.refresh(now=NOON)

    assert pool.allot([ANY], now=NOON).senders == [None]


def test_a_recovering_sender_takes_at_most_its_part_of_a_batch():
    make_sender(name="recovering", priority=1, recovered_at=NOON)
    make_sender(name="other")

    assert allot(100) == {"recovering": 10, "other": 90}
    assert allot(100, now=NOON + timedelta(minutes=1)) == {"recovering": 20, "other": 80}
    assert allot(100, now=NOON + timedelta(minutes=4)) == {"recovering": 100}


def test_a_recovering_sender_takes_all_when_there_is_nobody_else():
    make_sender(name="recovering", priority=1, recovered_at=NOON)
    make_sender(name="small", per_day=30)

    assert allot(100) == {"recovering": 70, "small": 30}


@pytest.mark.parametrize(("chance", "taken"), [(0.5, 0), (0.95, 1)])
def test_the_part_of_a_small_batch_is_rounded_by_chance(monkeypatch, chance, taken):
    make_sender(name="recovering", priority=1, recovered_at=NOON)
    make_sender(name="other")
    monkeypatch.setattr(sender_pool.random, "random", lambda: chance)

    assert allot(1)["recovering"] == taken


def test_the_decision_tells_the_share_of_a_sender_that_recovers():
    make_sender(name="recovering", recovered_at=NOON)

    decision = Pool(channel="email", now=NOON).allot([ANY], now=NOON).decisions[0]

    assert decision["candidates"] == [
        {"sender": "recovering", "priority": 0, "used_today": 0, "weight": 100, "share": 10}
    ]


def test_a_sender_whose_rest_is_over_gets_one_message_before_its_equals():
    make_sender(name="rested", benched_until=NOON)
    make_sender(name="other")
    pool = Pool(channel="email", now=NOON)

    allotment = pool.allot([ANY] * 10, now=NOON)

    assert Counter(s.name for s in allotment.senders) == {"rested": 1, "other": 9}
    assert pool.allot([ANY] * 10, now=NOON).senders.count(allotment.senders[0]) == 0
    assert allot(10) == {"other": 10}


def test_a_message_that_waits_for_a_trial_looks_again_soon():
    make_sender(name="rested", benched_until=NOON)
    pool = Pool(channel="email", now=NOON)

    allotment = pool.allot([ANY] * 2, now=NOON)

    assert allotment.senders[1] is None
    assert allotment.look_again_at <= NOON + timedelta(seconds=12)
    assert pool.why_nobody(ANY) == "rested: being tried with one message"


def test_a_trial_is_free_again_when_the_quota_of_its_sender_is_gone():
    sender = make_sender(per_day=5, benched_until=NOON)
    pool = Pool(channel="email", now=NOON)
    reserve(sender, 5, now=NOON)

    assert pool.allot([ANY], now=NOON).senders == [None]
    assert reloaded(sender).probe_until is None


def test_senders_of_a_group_share_its_limit_within_one_batch():
    group = make_group(name="example.com", per_hour=5)
    make_sender(name="first", group=group, per_day=3)
    make_sender(name="second", group=group)
    wish = ANY
    pool = Pool(channel="email", now=NOON)

    allotment = pool.allot([wish] * 8, now=NOON)

    assert allotment.senders.count(None) == 3
    assert "second: the quota of its group example.com is used up" in pool.why_nobody(wish)
    assert "its group example.com used up its limit per hour" in Pool(
        channel="email", now=NOON
    ).why_nobody(wish)


def test_what_one_sender_of_a_group_did_not_get_is_left_for_the_others():
    group = make_group(per_day=5)
    small = make_sender(name="small", group=group, per_day=5, priority=1)
    make_sender(name="other", group=group)
    pool = Pool(channel="email", now=NOON)
    # It was all taken meanwhile, outside of the group's counters.
    SenderWindow.objects.create(
        sender=small, window="day", started_at=small.window_start("day", NOON), used=5
    )

    allotment = pool.allot([ANY] * 5, now=NOON)

    assert {sender.name for sender in allotment.senders} == {"other"}

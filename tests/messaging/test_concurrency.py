"""What many workers do at once, with real connections and real transactions."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection, transaction

from messaging import states
from messaging.channels.base import SenderFailure
from messaging.models import Message, Sender, SenderWindow, Status
from messaging.sender_health import Health, take_probe
from messaging.sender_pool import Pool, Wish
from messaging.sender_quotas import give_back, reserve
from tests.factories import (
    NOON,
    drain,
    make_application,
    make_group,
    make_message,
    make_sender,
    reloaded,
)

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(call, count=8):
    """`call` in `count` threads; connections are closed, results returned."""

    def run(number):
        try:
            return call(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_no_message_is_claimed_by_two():
    application = make_application()
    made = {make_message(application=application).pk for _ in range(60)}

    def claim(_):
        claims = []
        while True:
            claimed = states.claim_due(
                channel="email", lane="normal", limit=5, now=NOON, lease=timedelta(minutes=5)
            )
            if not claimed.count:
                return claims
            claims += [held.message.pk for held in claimed.claims]

    claimed = [pk for claims in at_once(claim) for pk in claims]

    assert len(claimed) == 60
    assert set(claimed) == made


def test_many_drains_send_each_message_once(adapter):
    make_sender()
    application = make_application()
    messages = [make_message(application=application) for _ in range(60)]

    at_once(lambda _: drain())
    drain()

    sent = Counter(str(outbound.message_id) for _, outbound in adapter.sent)
    assert set(sent.values()) == {1}
    assert {reloaded(message).status for message in messages} == {Status.SUCCESS}


def test_a_limit_holds_whoever_reserves():
    sender = make_sender(per_day=100)

    granted = at_once(lambda _: reserve(sender, 3, now=NOON), 40)

    assert sum(granted) == 100


def test_a_limit_of_a_group_holds_whichever_of_its_senders_reserves():
    group = make_group(per_hour=100)
    senders = [make_sender(group=group, per_day=60) for _ in range(3)]

    granted = at_once(lambda number: reserve(senders[number % 3], 3, now=NOON), 40)

    assert sum(granted) == 100
    assert SenderWindow.objects.get(group=group, window="hour").used == 100


def test_reserving_and_giving_back_in_any_order_never_blocks_for_good():
    groups = [make_group(per_day=1000) for _ in range(2)]
    # Ordered by sender, the groups alternate: no order of senders is one of groups.
    senders = [make_sender(group=groups[number % 2], per_hour=1000) for number in range(6)]

    def work(number):
        order = senders[number % 6 :] + senders[: number % 6]
        order = order if number % 2 else order[::-1]
        health = Health()
        for _ in range(3):
            taken = [(sender, reserve(sender, 2, now=NOON)) for sender in order]
            with transaction.atomic():
                for sender, count in taken:
                    give_back(sender, count, now=NOON)
                    health.failed(sender, SenderFailure("transient"), now=NOON)

    at_once(work)

    assert set(SenderWindow.objects.values_list("used", flat=True)) == {0}


def test_two_commits_that_touch_senders_in_opposite_order_wait_for_each_other():
    groups = [make_group(per_day=10) for _ in range(2)]
    senders = [make_sender(group=group) for group in groups]
    for sender in senders:
        reserve(sender, 2, now=NOON)
    both_began = threading.Barrier(2)

    def commit(number):
        first, second = senders if number else senders[::-1]
        with transaction.atomic():
            give_back(first, 1, now=NOON)
            # The other one waits for this commit and does not come: that is the point.
            with suppress(threading.BrokenBarrierError):
                both_began.wait(0.5)
            Health().failed(second, SenderFailure("transient"), now=NOON)
            give_back(second, 1, now=NOON)

    at_once(commit, 2)

    assert set(SenderWindow.objects.values_list("used", flat=True)) == {0}


def test_of_many_that_fail_at_once_one_benches_it():
    sender = make_sender()

    out = at_once(lambda _: Health().failed(sender, SenderFailure("transient"), now=NOON))

    assert out.count(False) == 2
    assert reloaded(sender).benches == 1


def test_one_message_of_all_workers_tries_a_sender_whose_rest_is_over():
    make_sender(benched_until=NOON)

    def allot(_):
        allotment = Pool(channel="email", now=NOON).allot([Wish(1)] * 5, now=NOON)
        return 5 - allotment.senders.count(None)

    assert sum(at_once(allot)) == 1


def test_one_of_many_takes_over_a_trial_whose_worker_died():
    sender = make_sender(benched_until=NOON, probe_until=NOON)
    seen = [Sender.objects.get(pk=sender.pk) for _ in range(8)]

    taken = at_once(lambda number: take_probe(seen[number], now=NOON))

    assert taken.count(True) == 1


def test_one_of_two_sweeps_recovers_a_lease():
    message = make_message(status=Status.SENDING, leased_until=NOON)

    moved = at_once(lambda _: states.recover_leases(now=NOON + timedelta(seconds=1)))

    assert sum(moved) == 1
    assert message.events.count() == 1


def test_one_of_two_operators_sends_it_again():
    message = make_message(status=Status.FAILED)

    won = at_once(
        lambda _: states.resend_many([message.pk], may_duplicate=True, now=NOON, actor_id=None)
    )

    assert sum(len(went) for went in won) == 1
    assert message.events.count() == 1


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
@pytest.mark.parametrize(
    ("sweep", "fields"),
    [
        (states.recover_leases, {"status": "sending", "leased_until": NOON}),
        (states.settle_unknown, {"status": "unknown", "due_at": NOON}),
    ],
)
def test_a_sweep_never_waits_for_a_row_that_somebody_holds(sweep, fields):
    application = make_application()
    held, free = (make_message(application=application, **fields) for _ in range(2))

    def sweep_beside(_):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        return sweep(now=NOON + timedelta(seconds=1))

    with transaction.atomic():
        Message.objects.select_for_update().get(pk=held.pk)
        (moved,) = at_once(sweep_beside, count=1)

    assert moved == 1
    assert reloaded(held).status == fields["status"]
    assert reloaded(free).status != fields["status"]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_sending_again_never_waits_for_a_row_that_somebody_holds():
    held, free = make_message(status="failed"), make_message(status="failed")

    def resend(_):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        return states.resend_many([held.pk, free.pk], may_duplicate=False, now=NOON, actor_id=None)

    with transaction.atomic():
        Message.objects.select_for_update().get(pk=held.pk)
        (went,) = at_once(resend, count=1)

    assert [message.pk for message in went] == [free.pk]

"""What many workers do at once, with real connections and real transactions."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction

from messaging import sender_pool, states
from messaging.models import Message, Status
from tests.factories import NOON, drain, make_application, make_message, make_sender, reloaded

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
    sender = make_sender(per_day=50)

    granted = at_once(lambda _: sum(sender_pool.reserve(sender, 3, now=NOON) for _ in range(5)))

    assert sum(granted) == 50


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

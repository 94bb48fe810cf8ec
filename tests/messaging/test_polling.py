"""News that did not come by themselves are asked for."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from core.ids import lowest_uuid7, uuid7
from messaging import delivery, reconciliation
from messaging.channels.base import Found, Standing
from messaging.channels.reports import News
from messaging.models import Attempt, Reason, Status, Suppression
from notification_platform.embedded.providers.aliyun import AliyunSmsServer
from tests.factories import NOON, make_message, make_sender, reloaded
from tests.messaging.channels.aliyun import NUMBER, sms_message, sms_sender

pytestmark = pytest.mark.django_db


def accepted(sender, *, ago, **message):
    """Taken so long before `NOON`, whose id says so."""
    at = NOON - ago
    message = make_message(status=message.pop("status", Status.SUCCESS), sender=sender, **message)
    pk = _id_of(at)
    return message, Attempt.objects.create(
        pk=pk,
        message=message,
        sender=sender,
        lease_token=1,
        started_at=at,
        finished_at=at,
        outcome="accepted",
    )


def _id_of(moment):
    return UUID(int=lowest_uuid7(moment).int | (uuid7().int & ((1 << 62) - 1)))


def poll(now=NOON):
    return reconciliation.poll(clock=lambda: now)


def delivered(attempt_id="x"):
    return Found(Standing.TAKEN, "", (News("delivered", f"key-{attempt_id}", recipient=""),))


def test_news_that_did_not_come_are_asked_for_and_told(asked):
    asked["one"] = delivered()
    message, _ = accepted(make_sender(name="one"), ago=timedelta(minutes=5, seconds=30))

    assert poll() == 1

    assert reloaded(message).feedback == "delivered"
    assert poll() == 0


def test_each_is_asked_about_four_times_at_growing_intervals(asked, adapter):
    accepted(make_sender(name="one"), ago=timedelta(0))

    # Each look, and what is around it.
    for minute in [*range(40), *range(175, 190), *range(715, 730), 24 * 60]:
        poll(NOON + timedelta(minutes=minute, seconds=3))

    assert len(adapter.calls) == len(reconciliation.LOOKS) == 4


def test_only_what_nobody_reported_on_is_asked_about(asked, adapter):
    one = make_sender(name="one")
    ago = timedelta(minutes=30, seconds=5)
    accepted(one, ago=ago, feedback="delivered")
    accepted(make_sender(adapter="smtp"), ago=ago)
    accepted(one, ago=ago, status="pending")
    accepted(one, ago=timedelta(minutes=20))

    assert poll() == 0


def test_what_was_given_up_without_an_answer_and_taken_after_all_is_a_success(asked):
    asked["one"] = Found(Standing.TAKEN, "provider-1")
    message, attempt = accepted(
        make_sender(name="one"),
        ago=timedelta(hours=3, seconds=1),
        status=Status.FAILED,
        reason=Reason.UNKNOWN_OUTCOME,
    )
    Attempt.objects.filter(pk=attempt.pk).update(outcome="unknown", unknown_at=NOON)

    poll()

    assert reloaded(message).status == Status.SUCCESS


def test_what_became_of_an_sms_is_asked_for():
    now = timezone.now()
    with AliyunSmsServer() as provider:
        sms_sender(provider, name="sms-1")
        message = sms_message(created_at=now, due_at=now, expires_at=now + timedelta(hours=1))
        delivery.drain(channel="sms", lane="normal", clock=lambda: now)
        provider.settle(provider.sent[0], "MK:0001")

        assert poll(now) == 0
        assert poll(now + timedelta(minutes=6)) + poll(now + timedelta(minutes=5)) == 1

    assert reloaded(message).feedback == "bounced"
    assert Suppression.objects.get().address == NUMBER


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL says so")
def test_whatever_the_tables_hold_it_reads_by_the_primary_key(asked):
    one = make_sender(name="one")
    since, until = NOON - timedelta(minutes=6), NOON - timedelta(minutes=5)
    query = reconciliation.without_news([one.pk], since=since, until=until)

    with connection.cursor() as cursor:
        # Tables of tests are so small that reading them whole would be cheaper.
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = query.explain()

    assert "messaging_attempt_pkey" in plan
    assert "Seq Scan on messaging_attempt" not in plan
    assert "Seq Scan on messaging_message" not in plan


def test_without_anybody_who_can_be_asked_nothing_is(adapter, django_assert_num_queries):
    make_sender()

    with django_assert_num_queries(1):
        assert poll() == 0

"""What is told is written with the move it tells of, and nothing without somebody who listens."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from messaging import doorbell, outbox, states
from messaging.channels.base import OutcomeUnknown, PermanentFailure
from messaging.models import Batch, Message, Status, WebhookDelivery, WebhookEvent
from messaging.states import machine
from tests.factories import (
    NOON,
    drain,
    make_api_key,
    make_application,
    make_message,
    make_sender,
    reloaded,
)
from tests.messaging.webhooks.conftest import make_endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def application():
    return make_application()


@pytest.fixture
def listening(application):
    return make_endpoint(application=application).endpoint


def told():
    """Each once, and in no order: ids that PostgreSQL makes within a millisecond have none."""
    rows = WebhookDelivery.objects.all()
    found = {(row.event, row.message_id) for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.parametrize(
    ("failure", "event", "status"),
    [
        (None, "message.success", "success"),
        (PermanentFailure("rejected", code="550"), "message.failed", "failed"),
        (OutcomeUnknown("timeout"), "message.unknown", "unknown"),
    ],
)
def test_what_a_drain_does_is_told(adapter, application, listening, failure, event, status):
    make_sender()
    adapter.failure = failure
    message = make_message(application=application, reference="order-1", metadata={"a": "b"})

    drain()

    assert reloaded(message).status == status
    assert told() == {(event, message.pk)}


def test_the_body_names_no_recipient_and_no_content(adapter, application, listening):
    make_sender()
    message = make_message(
        application=application, reference="order-1", metadata={"größe": "✓"}, tags=["a"]
    )

    drain()

    (delivery,) = WebhookDelivery.objects.all()
    assert delivery.payload == {
        "type": "message.success",
        "timestamp": "2026-11-23T12:00:00.000000Z",
        "data": {
            "id": str(message.pk),
            "batch_id": None,
            "channel": "email",
            "status": "success",
            "reason": "",
            "feedback": "",
            "reference": "order-1",
            "metadata": {"größe": "✓"},
            "tags": ["a"],
            "created_at": "2026-11-23T12:00:00.000000Z",
            "finished_at": "2026-11-23T12:00:00.000000Z",
        },
    }
    assert (delivery.state, delivery.due_at, delivery.created_at) == ("pending", NOON, NOON)
    assert delivery.endpoint == listening
    assert delivery.pk.version == delivery.event_id.version == 7


def test_the_body_is_the_same_past_the_fast_way(application, listening):
    # Two outcomes of which one failed, late answers, SQLite: the drain has another way for these.
    message = make_message(application=application, status=Status.SENDING, metadata={"a": "b"})

    with transaction.atomic():
        states.succeed([(message.pk, make_sender().pk, NOON)])

    (delivery,) = WebhookDelivery.objects.all()
    assert delivery.payload["data"]["status"] == "success"
    assert delivery.payload["data"]["metadata"] == {"a": "b"}
    assert delivery.payload["data"]["finished_at"] == "2026-11-23T12:00:00.000000Z"
    assert set(delivery.payload["data"]) == {
        *(
            "id",
            "batch_id",
            "channel",
            "status",
            "reason",
            "feedback",
            "reference",
            "metadata",
            "tags",
        ),
        *("created_at", "finished_at"),
    }


def test_what_expired_or_was_cancelled_is_told(application, listening):
    expired = make_message(application=application, expires_at=NOON - timedelta(seconds=1))
    cancelled = make_message(application=application, due_at=NOON + timedelta(days=1))

    drain()
    states.cancel(cancelled.pk, now=NOON, actor_id=None)
    states.cancel(cancelled.pk, now=NOON, actor_id=None)

    assert told() == {("message.failed", expired.pk), ("message.cancelled", cancelled.pk)}


def test_what_is_cancelled_with_its_batch_is_told(application, listening):
    batch = Batch.objects.create(
        application=application,
        api_key=make_api_key(application=application),
        channel="email",
        accepted=3,
        rejected=0,
        deduplicated=0,
    )
    waiting = [make_message(application=application, batch=batch) for _ in range(3)]

    states.cancel_some_of(batch.pk, limit=2, now=NOON, actor_id=None)

    assert told() == {("message.cancelled", message.pk) for message in waiting[:2]}
    for delivery in WebhookDelivery.objects.all():
        assert delivery.payload["data"]["batch_id"] == str(batch.pk)


@pytest.mark.parametrize("status", ["success", "failed", "unknown", "cancelled"])
def test_no_move_can_forget_to_tell(status):
    with pytest.raises(ValueError, match="move_and_tell"):
        machine.move(Message.objects.all(), Status(status))


def test_what_the_sweep_does_is_told(application, listening):
    lost = make_message(application=application, status=Status.SENDING, leased_until=NOON)
    silent = make_message(application=application, status=Status.UNKNOWN, policy="at_most_once")
    lost.attempts.create(sender=make_sender(), lease_token=lost.lease_token, started_at=NOON)

    states.recover_leases(now=NOON)
    states.settle_unknown(now=NOON - timedelta(microseconds=1))
    Message.objects.filter(pk=lost.pk).update(due_at=NOON + timedelta(days=1))
    states.settle_unknown(now=NOON)

    assert told() == {("message.unknown", lost.pk), ("message.failed", silent.pk)}


def test_a_message_that_goes_back_to_wait_is_not_told_of(application, listening):
    make_message(application=application)

    drain()

    assert not told()


def test_a_late_yes_that_changes_nothing_is_not_told(application, listening):
    message = make_message(application=application, status=Status.CANCELLED)

    with transaction.atomic():
        states.succeed([(message.pk, make_sender().pk, NOON)])

    assert not told()


def test_only_those_who_listen_to_the_event_are_told(adapter, application):
    make_sender()
    everything = make_endpoint(application=application).endpoint
    make_endpoint(application=application, events=["message.failed"])
    make_endpoint(
        application=application, is_active=False, disabled_at=NOON, disabled_reason="owner"
    )
    make_endpoint()
    outbox.forget()
    make_message(application=application)

    drain()

    assert [row.endpoint for row in WebhookDelivery.objects.all()] == [everything]


def test_two_endpoints_hear_of_one_event_by_one_id(adapter, application):
    make_sender()
    make_endpoint(application=application)
    make_endpoint(application=application)
    for _ in range(2):
        make_message(application=application)

    drain()

    rows = WebhookDelivery.objects.values_list("message_id", "event_id", "endpoint_id", "id")
    assert len({row[0:2] for row in rows}) == 2
    assert len({row[3] for row in rows}) == len(rows) == 4


@pytest.mark.parametrize("event", [e for e in WebhookEvent.values if e != "message.success"])
def test_whoever_reports_later_news_can_announce_them(application, listening, bells, event):
    messages = [make_message(application=application, feedback="bounced") for _ in range(3)]
    stranger = make_message()

    with transaction.atomic():
        outbox.announce([m.pk for m in (*messages, stranger)], event, NOON)

    assert told() == {(event, message.pk) for message in messages}
    assert WebhookDelivery.objects.first().payload["data"]["feedback"] == "bounced"


def test_what_is_rolled_back_is_not_told(application, listening):
    message = make_message(application=application)

    with transaction.atomic():
        states.cancel(message.pk, now=NOON, actor_id=None)
        transaction.set_rollback(True)

    assert not told()
    assert reloaded(message).status == Status.PENDING


@pytest.mark.django_db(transaction=True)
def test_workers_are_woken_once_it_is_committed(adapter, bells):
    make_sender()
    application = make_application()
    make_endpoint(application=application)
    make_message(application=application)
    bells.clear()

    drain()

    assert doorbell.WEBHOOKS in bells


@pytest.mark.django_db(transaction=True)
def test_nobody_is_woken_for_an_application_that_does_not_listen(adapter, bells):
    make_sender()
    make_endpoint()
    make_message()
    bells.clear()

    drain()

    assert doorbell.WEBHOOKS not in bells


def test_without_endpoints_a_move_costs_no_statement_more(application):
    first, second, third = (make_message(application=application) for _ in range(3))
    states.cancel(first.pk, now=NOON, actor_id=None)

    with CaptureQueriesContext(connection) as without:
        states.cancel(second.pk, now=NOON, actor_id=None)
    make_endpoint(events=["message.failed"])
    outbox.is_anybody_there()
    with CaptureQueriesContext(connection) as with_another:
        states.cancel(third.pk, now=NOON, actor_id=None)

    assert len(with_another) == len(without)
    assert not any("webhook" in query["sql"] for query in without.captured_queries)


def test_an_endpoint_of_another_process_is_known_within_a_second(application, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(outbox.time, "monotonic", lambda: now[0])
    assert not outbox.is_anybody_there()
    known = outbox._known
    make_endpoint(application=application)
    # As it is in a process that did not make it.
    monkeypatch.setattr(outbox, "_known", known)

    before = outbox.is_heard("message.failed")
    now[0] += 1.01
    after = outbox.is_heard("message.failed", [application.pk])

    assert (before, after) == (False, True)
    assert not outbox.is_heard("message.failed", [application.pk + 1])

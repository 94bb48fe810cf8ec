"""Calls over real connections: what arrives, what is tried again and when, what is given up."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.http import http_date
from standardwebhooks.webhooks import Webhook

from messaging import delivery as drains
from messaging import tasks
from messaging.callbacks import calls, claims, dispatch, endpoints, ladder
from messaging.callbacks.calls import read_retry_after
from messaging.models import WebhookDelivery, WebhookEndpoint
from tests.factories import drain, make_application, make_message, make_sender, reloaded
from tests.imitations.webhook_receiver import Act, Answer, WebhookReceiver
from tests.messaging.webhooks.conftest import HOST, call_due, make_delivery, make_endpoint

# Threads see what is committed.
pytestmark = pytest.mark.django_db(transaction=True)


def after(**duration):
    """A clock that is so much ahead."""
    ahead = timedelta(**duration)
    return lambda: timezone.now() + ahead


def test_a_message_that_was_sent_is_told_and_the_signature_holds(adapter, receiver):
    make_sender()
    application = make_application()
    issued = make_endpoint(receiver.url, application=application)
    message = make_message(application=application, reference="order-1")

    drain()
    # Rows of the factories are due at noon of some day.
    WebhookDelivery.objects.update(due_at=timezone.now())
    call_due()

    (heard,) = receiver.heard
    body = Webhook(issued.secret).verify(heard.body, heard.headers)
    assert body["type"] == "message.success"
    assert (body["data"]["id"], body["data"]["reference"]) == (str(message.pk), "order-1")
    assert heard.headers["content-type"] == "application/json"
    (row,) = WebhookDelivery.objects.all()
    assert heard.headers["webhook-id"] == str(row.event_id)
    assert (row.state, row.tries, row.last_code, row.last_words) == ("delivered", 1, 204, "")
    assert row.finished_at is not None
    assert row.history[0]["code"] == 204


def test_nobody_else_hears_of_it(adapter, receiver):
    make_sender()
    application = make_application()
    make_endpoint(receiver.url, application=application)
    make_endpoint(receiver.url + "&who=stranger")
    make_message(application=application)

    drain()
    WebhookDelivery.objects.update(due_at=timezone.now())
    call_due()

    assert [heard.path for heard in receiver.heard] == ["/hooks?from=us"]


def test_after_a_500_it_is_called_again_with_the_same_id_and_body(receiver):
    row = make_delivery(make_endpoint(receiver.url).endpoint)
    receiver.script = [Answer(500, "No table for ann@example.com"), Answer(200)]

    call_due()
    failed = reloaded(row)
    call_due()
    call_due(clock=after(seconds=6))

    assert (failed.state, failed.last_code) == ("pending", 500)
    assert failed.last_words == "HTTP 500: No table for a***@example.com"
    assert failed.due_at - timezone.now() < timedelta(seconds=6)
    assert reloaded(row).state == "delivered"
    assert [entry["code"] for entry in reloaded(row).history] == [500, 200]
    first, second = receiver.heard
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


def test_the_ladder_is_climbed_to_its_end_and_takes_three_days(receiver):
    row = make_delivery(make_endpoint(receiver.url).endpoint)
    receiver.script = [Answer(503)]
    began = now = timezone.now()

    for _ in range(ladder.MAX_TRIES):
        moment = now
        call_due(clock=lambda: moment)  # noqa: B023
        now = reloaded(row).due_at

    assert reloaded(row).state == "failed"
    assert len(receiver.heard) == ladder.MAX_TRIES == 10
    assert timedelta(days=2.8) < now - began < timedelta(days=3.6)
    assert len(set(receiver.ids())) == 1
    call_due(clock=after(days=10))
    assert len(receiver.heard) == ladder.MAX_TRIES


@pytest.mark.parametrize(
    ("value", "seconds"), [("120", 120), ("date", 120), ("99999999", 86_400), ("soon", 5)]
)
def test_retry_after_is_respected(receiver, value, seconds):
    row = make_delivery(make_endpoint(receiver.url).endpoint)
    value = http_date(time.time() + 120) if value == "date" else value
    receiver.script = [Answer(429, headers={"Retry-After": value})]

    call_due()

    wait = (reloaded(row).due_at - timezone.now()).total_seconds()
    assert wait == pytest.approx(seconds, abs=max(2, seconds * 0.02))


@pytest.mark.parametrize("text", ["", "-1", "١٢", "Mon", "1e9", "99999999999999999999"])
def test_no_retry_after_breaks_anything(text):
    found = read_retry_after(text, now=timezone.now())

    assert found is None or found >= timedelta(0)


def test_410_switches_the_endpoint_off(receiver):
    endpoint = make_endpoint(receiver.url).endpoint
    gone = make_delivery(endpoint)
    receiver.script = [Answer(410)]

    call_due()
    make_delivery(endpoint)
    call_due()

    assert (reloaded(gone).state, reloaded(gone).last_code) == ("failed", 410)
    off = reloaded(endpoint)
    assert (off.is_active, off.disabled_reason) == (False, "gone")
    assert len(receiver.heard) == 1


def test_an_endpoint_that_failed_for_days_is_switched_off(receiver):
    endpoint = make_endpoint(receiver.url).endpoint
    receiver.script = [Answer(500)]
    for days in (0, 2, 4):
        make_delivery(endpoint)
        call_due(clock=after(days=days))
    still_on = reloaded(endpoint).is_active

    call_due(clock=after(days=5, minutes=1))

    off = reloaded(endpoint)
    assert still_on
    assert (off.is_active, off.disabled_reason) == (False, "failing")


def test_one_success_ends_the_count_of_days(receiver):
    endpoint = make_endpoint(receiver.url).endpoint
    receiver.script = [Answer(500), Answer(200), Answer(500)]
    for days in (0, 4, 6):
        make_delivery(endpoint)
        WebhookDelivery.objects.filter(state="pending").update(due_at=timezone.now())
        call_due(clock=after(days=days))

    assert reloaded(endpoint).is_active


def test_switched_on_again_it_gets_what_waited(receiver):
    endpoint = make_endpoint(receiver.url).endpoint
    make_delivery(endpoint)
    endpoints.change_endpoint(endpoint, changes={"is_active": False}, now=timezone.now())
    call_due()
    heard_while_off = len(receiver.heard)

    endpoints.change_endpoint(endpoint, changes={"is_active": True}, now=timezone.now())
    call_due()

    assert (heard_while_off, len(receiver.heard)) == (0, 1)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (Act.SILENCE, "No answer within 1 s."),
        (Act.DRIP_HEADERS, "No answer within 1 s."),
        (Act.CLOSE, "The answer broke off: RemoteDisconnected."),
        (Act.DRIP_BODY, "HTTP 500: b"),
        (Act.FLOOD, "HTTP 500: xxx"),
        (Answer(302, headers={"Location": "https://127.0.0.1/"}), "HTTP 302, a redirect; none is"),
        (Answer(404, "<h1>\x00 no\r\n</h1>"), "HTTP 404: <h1>  no  </h1>"),
    ],
)
def test_whatever_an_endpoint_does_it_is_tried_again_and_the_log_says_why(
    receiver, monkeypatch, act, words
):
    # A busy machine takes some of it to connect.
    monkeypatch.setattr(calls, "SECONDS", 1.0)
    row = make_delivery(make_endpoint(receiver.url).endpoint)
    receiver.script = [act]

    call_due()

    row = reloaded(row)
    assert (row.state, row.tries) == ("pending", 1)
    assert row.last_words.startswith(words)
    assert len(receiver.heard) == 1


def test_a_name_that_leads_inside_by_now_is_not_called(receiver, names):
    row = make_delivery(make_endpoint(receiver.url).endpoint)
    names[HOST] = ["10.0.0.1"]

    call_due()

    assert reloaded(row).last_words == (
        "Not called. hooks.example.com leads to 10.0.0.1, which is no public address."
    )
    assert (reloaded(row).state, receiver.connections) == ("pending", 0)


def test_while_its_secret_is_rotated_either_one_verifies(receiver):
    issued = make_endpoint(receiver.url)
    rotated = endpoints.rotate_secret(
        issued.endpoint, overlap=timedelta(hours=1), now=timezone.now()
    )
    for ahead in (0, 2):
        make_delivery(issued.endpoint)
        call_due(clock=after(hours=ahead))

    during, afterwards = receiver.heard
    assert len(during.headers["webhook-signature"].split()) == 2
    for secret in (issued.secret, rotated.secret):
        Webhook(secret).verify(during.body, during.headers)
    assert len(afterwards.headers["webhook-signature"].split()) == 1


def test_a_secret_that_cannot_be_read_is_said_and_nothing_is_called_unsigned(receiver, settings):
    row = make_delivery(make_endpoint(receiver.url).endpoint)
    settings.CREDENTIALS_KEYS = ["b3RoZXItdGVzdHMtZmVybmV0LWtleS0wMDAwMDAwMDA="]

    call_due()

    assert "CREDENTIALS_KEYS" in reloaded(row).last_words
    assert receiver.heard == []


def test_a_replay_is_called_again_with_its_id(receiver):
    row = make_delivery(make_endpoint(receiver.url).endpoint)
    call_due()

    endpoints.replay(reloaded(row), now=timezone.now())
    call_due()

    assert receiver.ids() == [str(row.event_id)] * 2
    assert (reloaded(row).state, len(reloaded(row).history)) == ("delivered", 2)


def test_a_worker_that_died_leaves_a_call_that_is_made_again_with_its_id(receiver):
    row = make_delivery(make_endpoint(receiver.url).endpoint)
    (held,) = claims.claim(row.endpoint, limit=9, now=timezone.now())
    call_due()
    early = len(receiver.heard)

    claims.recover(now=timezone.now())
    claims.recover(now=after(seconds=61)())
    call_due(clock=after(seconds=62))

    assert (early, receiver.ids()) == (0, [held.event_id])
    assert reloaded(row).state == "delivered"


def test_a_late_yes_of_a_worker_that_was_given_up_is_believed(receiver):
    row = make_delivery(make_endpoint(receiver.url).endpoint)
    (held,) = claims.claim(row.endpoint, limit=9, now=timezone.now())
    claims.recover(now=after(seconds=61)())

    no = claims.record([(held, dispatch.Result(500, "", 1))], now=timezone.now())
    yes = claims.record([(held, dispatch.Result(200, "", 1))], now=timezone.now())

    assert (no, yes) == (["lost"], ["delivered"])
    assert reloaded(row).state == "delivered"


def test_the_sweep_wakes_and_takes_up_what_is_due(receiver, bells):
    row = make_delivery(make_endpoint(receiver.url).endpoint)
    WebhookDelivery.objects.update(
        state="delivering", leased_until=timezone.now() - timedelta(seconds=1)
    )
    bells.clear()

    tasks.sweep()
    tasks.call_webhooks()

    assert ("", "webhooks") in bells
    assert reloaded(row).state == "delivered"


def test_a_slow_endpoint_does_not_hold_up_another(receiver, certificate):
    with WebhookReceiver(certificate, host=HOST) as slow:
        slow.script = [Answer(200, seconds=4)]
        sluggish, quick = make_endpoint(slow.url).endpoint, make_endpoint(receiver.url).endpoint
        for _ in range(30):
            make_delivery(sluggish)
        for _ in range(60):
            make_delivery(quick)

        call_due(is_stopping=lambda: len(receiver.heard) >= 60)

        assert len(receiver.heard) == 60
        # All of them while the slow one had not answered once.
        assert receiver.heard[-1].at < slow.heard[0].at + 4
        assert len(slow.heard) == dispatch.LINES_OF_ONE


def test_who_fails_gets_one_line_and_all_who_fail_leave_half_to_others(receiver):
    many = [make_endpoint(receiver.url, failures=3).endpoint for _ in range(40)]
    for endpoint in many:
        for _ in range(2):
            make_delivery(endpoint)
    receiver.script = [Answer(500, seconds=0.5)]

    call_due(seconds=0.2)

    assert len(receiver.heard) == dispatch.LINES_OF_SICK
    busiest = WebhookDelivery.objects.filter(tries=1).values_list("endpoint", flat=True)
    assert len(set(busiest)) == len(busiest)


def test_a_process_that_ends_finishes_its_calls_and_begins_none(receiver):
    endpoint = make_endpoint(receiver.url).endpoint
    for _ in range(20):
        make_delivery(endpoint)
    receiver.script = [Answer(200, seconds=0.3)]
    looks = iter([False])

    call_due(is_stopping=lambda: next(looks, True))

    assert len(receiver.heard) == dispatch.LINES_OF_ONE
    assert WebhookDelivery.objects.filter(state="delivered").count() == len(receiver.heard)
    drains.stopping.set()
    tasks.call_webhooks()
    assert len(receiver.heard) == dispatch.LINES_OF_ONE


def test_old_deliveries_are_removed_and_then_the_endpoint_that_was_deleted(receiver):
    endpoint = make_endpoint(receiver.url).endpoint
    row = make_delivery(endpoint)
    call_due()
    endpoints.delete_endpoint(endpoint, now=timezone.now())

    kept = claims.clean(now=after(days=29)())
    removed = claims.clean(now=after(days=31)())

    assert (kept, removed) == (0, 1)
    assert not WebhookDelivery.objects.filter(pk=row.pk).exists()
    assert not WebhookEndpoint.objects.filter(pk=endpoint.pk).exists()


def test_a_deleted_endpoint_is_not_called_for_what_waited(receiver):
    endpoint = make_endpoint(receiver.url).endpoint
    make_delivery(endpoint)

    endpoints.delete_endpoint(endpoint, now=timezone.now())
    call_due()

    assert receiver.heard == []
    assert not reloaded(endpoint).secret

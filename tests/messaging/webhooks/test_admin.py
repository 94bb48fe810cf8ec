"""What operators do with endpoints and deliveries."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from messaging.callbacks import endpoints
from messaging.models import WebhookDelivery, WebhookEndpoint
from tests.conftest import browser_of
from tests.factories import make_application, make_staff, reloaded
from tests.messaging.webhooks.conftest import make_delivery, make_endpoint

pytestmark = pytest.mark.django_db

ADD = "admin:messaging_webhookendpoint_add"
DELIVERIES = "admin:messaging_webhookdelivery_changelist"


def page(endpoint, *rest):
    return reverse("admin:messaging_webhookendpoint_change", args=[endpoint.pk])


def button(endpoint, name):
    return reverse(f"admin:messaging_webhookendpoint_{name}", args=[endpoint.pk])


def form(**overrides):
    application = overrides.pop("application", None) or make_application()
    fields = {
        "application": application.pk,
        "url": "https://hooks.example.com/",
        "description": "CRM",
        "events": ["message.failed", "message.bounced"],
    }
    return fields | overrides


def test_the_secret_is_shown_once_after_adding(operator):
    response = operator.post(reverse(ADD), form())

    endpoint = WebhookEndpoint.objects.get()
    secret = endpoint.secret.open()
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert secret in response.content.decode()
    assert endpoint.events == ["message.failed", "message.bounced"]
    assert secret not in operator.get(page(endpoint)).content.decode()
    history = reverse("admin:messaging_webhookendpoint_history", args=[endpoint.pk])
    assert secret not in operator.get(history).content.decode()


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "https://10.0.0.1/", "nonsense"])
def test_a_url_that_cannot_be_called_is_refused_in_the_form(operator, url):
    response = operator.post(reverse(ADD), form(url=url))

    assert response.status_code == 200
    assert "cannot be called" in response.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_it_is_changed(operator):
    endpoint = make_endpoint().endpoint

    response = operator.post(
        page(endpoint), form(url="https://hooks.example.com/2", events=["message.failed"])
    )

    assert response.status_code == 302
    changed = reloaded(endpoint)
    assert (changed.url, changed.events) == ("https://hooks.example.com/2", ["message.failed"])
    assert changed.application == endpoint.application
    assert changed.secret == endpoint.secret


def test_it_is_switched_off_and_on_after_a_question(operator):
    endpoint = make_endpoint().endpoint
    asked = operator.get(button(endpoint, "switch"))
    still_on = reloaded(endpoint).is_active

    operator.post(button(endpoint, "switch"), {"is_on": ""})
    off = reloaded(endpoint)
    operator.post(button(endpoint, "switch"), {"is_on": "1"})

    assert (asked.status_code, still_on) == (200, True)
    assert (off.is_active, off.disabled_reason) == (False, "operator")
    assert reloaded(endpoint).is_active


def test_rotating_shows_the_new_secret_once(operator):
    endpoint = make_endpoint().endpoint
    asked = operator.get(button(endpoint, "rotate"))

    response = operator.post(button(endpoint, "rotate"))

    row = reloaded(endpoint)
    assert asked.status_code == 200
    assert row.secret != endpoint.secret
    assert row.secret.open() in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert row.old_secret.open() == endpoint.secret.open()


def test_a_test_is_written_into_the_log(operator):
    endpoint = make_endpoint().endpoint
    asked = operator.get(button(endpoint, "test"))
    before = WebhookDelivery.objects.count()

    operator.post(button(endpoint, "test"))

    assert (asked.status_code, before) == (200, 0)
    assert WebhookDelivery.objects.get().event == "ping"


def test_one_that_is_off_or_failing_says_so(operator):
    make_endpoint(is_active=False, disabled_at=timezone.now(), disabled_reason="gone")
    make_endpoint(failing_since=timezone.now(), failures=3)

    found = operator.get(reverse("admin:messaging_webhookendpoint_changelist")).content.decode()

    assert "it answered 410 Gone" in found
    assert "failing since" in found


def test_deliveries_are_found_and_called_again(operator):
    endpoint = make_endpoint().endpoint
    failed = make_delivery(endpoint, state="failed", finished_at=timezone.now(), tries=10)
    other = make_delivery(make_endpoint("https://other.example.com/").endpoint)

    shown = operator.get(reverse(DELIVERIES), {"endpoint": endpoint.pk, "state": "failed"})
    found = operator.get(reverse(DELIVERIES), {"q": str(other.pk)}).content.decode()
    operator.post(
        reverse(DELIVERIES), {"action": "replay_selected", "_selected_action": [failed.pk]}
    )

    assert str(failed.pk) in shown.content.decode()
    assert str(other.pk) not in shown.content.decode()
    assert str(other.pk) in found
    assert (reloaded(failed).state, reloaded(failed).tries) == ("pending", 0)


def test_one_is_called_again_from_its_page(operator):
    failed = make_delivery(make_endpoint().endpoint, state="failed", finished_at=timezone.now())
    url = reverse("admin:messaging_webhookdelivery_replay", args=[failed.pk])

    asked = operator.get(url)
    before = reloaded(failed).state
    operator.post(url)

    assert (asked.status_code, before) == (200, "failed")
    assert reloaded(failed).state == "pending"
    assert "Called again" in LogEntry.objects.get().change_message


def test_all_that_failed_since_a_time_is_called_again(operator):
    endpoint, now = make_endpoint().endpoint, timezone.now()
    ended = {"state": "failed", "finished_at": now, "tries": 10}
    failed = [make_delivery(endpoint, **ended) for _ in range(2)]
    old = make_delivery(endpoint, created_at=now - timedelta(days=2), **ended)
    other = make_delivery(make_endpoint("https://other.example.com/").endpoint, **ended)
    url = button(endpoint, "replay_failed")

    asked = operator.get(url).content.decode()
    answer = operator.post(url, {"period": "1d"}, follow=True).content.decode()

    assert "last 24 hours" in asked
    assert "2 are called again." in answer
    assert [reloaded(row).state for row in (*failed, old, other)] == [
        *("pending", "pending", "failed", "failed"),
    ]
    assert LogEntry.objects.get().object_repr == endpoint.url


def test_of_many_failed_ones_the_oldest_go_first_and_it_says_that_there_may_be_more(
    operator, monkeypatch
):
    monkeypatch.setattr(endpoints, "REPLAYED_AT_ONCE", 2)
    endpoint = make_endpoint().endpoint
    ended = {"state": "failed", "finished_at": timezone.now()}
    rows = [make_delivery(endpoint, **ended) for _ in range(3)]

    answer = operator.post(button(endpoint, "replay_failed"), {"period": "1h"}, follow=True)

    assert [reloaded(row).state for row in rows] == ["pending", "pending", "failed"]
    assert "There may be more" in answer.content.decode()


def test_nothing_is_called_again_while_the_endpoint_is_off(operator):
    off = {"is_active": False, "disabled_at": timezone.now(), "disabled_reason": "operator"}
    endpoint = make_endpoint(**off).endpoint
    failed = make_delivery(endpoint, state="failed", finished_at=timezone.now())

    answer = operator.post(button(endpoint, "replay_failed"), {"period": "1h"}, follow=True)

    assert "switch it on first" in answer.content.decode()
    assert reloaded(failed).state == "failed"


def test_who_may_only_look_can_do_nothing():
    endpoint = make_endpoint().endpoint
    failed = make_delivery(endpoint, state="failed", finished_at=timezone.now())
    browser = browser_of(make_staff("view_webhookendpoint", "view_webhookdelivery"))

    for name in ("switch", "rotate", "test", "replay_failed"):
        assert browser.post(button(endpoint, name), {"period": "1d"}).status_code in {302, 403}
    browser.post(reverse("admin:messaging_webhookdelivery_replay", args=[failed.pk]))
    browser.post(
        reverse(DELIVERIES), {"action": "replay_selected", "_selected_action": [failed.pk]}
    )

    row = reloaded(endpoint)
    assert row.is_active
    assert row.secret == endpoint.secret
    assert reloaded(failed).state == "failed"
    assert WebhookDelivery.objects.count() == 1
    assert browser.get(page(endpoint)).status_code == 200


def test_a_deleted_one_is_not_listed(operator):
    endpoint = make_endpoint().endpoint
    endpoints.delete_endpoint(endpoint, now=timezone.now())

    found = operator.get(reverse("admin:messaging_webhookendpoint_changelist")).content.decode()

    assert str(endpoint.pk) not in found

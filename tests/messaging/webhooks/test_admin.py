"""What operators do with endpoints and deliveries."""

import pytest
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


def test_who_may_only_look_can_do_nothing():
    endpoint = make_endpoint().endpoint
    failed = make_delivery(endpoint, state="failed", finished_at=timezone.now())
    browser = browser_of(make_staff("view_webhookendpoint", "view_webhookdelivery"))

    for name in ("switch", "rotate", "test"):
        assert browser.post(button(endpoint, name)).status_code in {302, 403}
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

from datetime import timedelta

import pytest
from django.utils import timezone

from messaging.callbacks.measures import WebhookCollector
from tests.factories import make_application
from tests.messaging.webhooks.conftest import make_delivery, make_endpoint

pytestmark = pytest.mark.django_db


def measured():
    return {family.name: family.samples[0].value for family in WebhookCollector().collect()}


def test_without_webhooks_the_gauges_are_zero():
    assert measured() == {
        "notifications_webhooks_pending": 0,
        "notifications_oldest_due_webhook_seconds": 0,
    }


def test_only_what_is_due_for_endpoints_that_are_on_makes_the_age():
    now = timezone.now()
    endpoint = make_endpoint().endpoint
    off = make_endpoint(is_active=False, disabled_at=now, disabled_reason="gone").endpoint
    silent = make_endpoint(application=make_application(is_active=False)).endpoint
    make_delivery(endpoint, due_at=now - timedelta(seconds=90))
    make_delivery(endpoint, due_at=now - timedelta(seconds=30))
    make_delivery(endpoint, due_at=now + timedelta(hours=2))
    make_delivery(endpoint, state="delivered", finished_at=now, due_at=now - timedelta(days=1))
    for other in (off, silent):
        make_delivery(other, due_at=now - timedelta(days=2))

    found = measured()

    assert found["notifications_webhooks_pending"] == 3
    assert found["notifications_oldest_due_webhook_seconds"] == pytest.approx(90, abs=20)


def test_what_is_only_due_later_has_no_age():
    make_delivery(make_endpoint().endpoint, due_at=timezone.now() + timedelta(hours=1))

    assert measured()["notifications_oldest_due_webhook_seconds"] == 0

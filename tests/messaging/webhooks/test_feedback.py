"""What providers report is told to whoever listens."""

import pytest

from messaging.models import WebhookDelivery
from tests.factories import make_sender
from tests.messaging.reporting import apply, news, sent_by
from tests.messaging.webhooks.conftest import make_endpoint

pytestmark = pytest.mark.django_db


def test_each_rise_of_the_feedback_is_told_once_and_nothing_else():
    sender = make_sender()
    message, attempt = sent_by(sender)
    make_endpoint(application=message.application)
    make_endpoint()
    WebhookDelivery.objects.all().delete()

    for kind in ("delivered", "delivered", "bounced", "deferred"):
        apply(news(kind, attempt), sender)

    told = WebhookDelivery.objects.order_by("pk")
    assert [delivery.event for delivery in told] == ["message.delivered", "message.bounced"]
    assert {delivery.endpoint.application_id for delivery in told} == {message.application_id}
    assert told[1].payload["data"]["feedback"] == "bounced"
    assert "example.com" not in str(told[1].payload)


def test_an_endpoint_hears_only_what_it_asked_for():
    sender = make_sender()
    message, attempt = sent_by(sender)
    make_endpoint(application=message.application, events=["message.complained"])

    apply(news("delivered", attempt), sender)
    apply(news("complained", attempt), sender)

    assert [told.event for told in WebhookDelivery.objects.all()] == ["message.complained"]

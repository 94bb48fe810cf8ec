import pytest
from django.urls import reverse

from messaging.models import Event, OtherRecipient
from tests.factories import NOON, drain, make_message, make_sender

pytestmark = pytest.mark.django_db


def listed(browser, model, **query):
    response = browser.get(reverse(f"admin:messaging_{model}_changelist"), query)
    return list(response.context["cl"].result_list)


def test_attempts_are_found_by_message_and_by_the_providers_id(operator, adapter):
    make_sender()
    make_message()
    message = make_message()
    drain()
    attempt = message.attempts.get()

    assert listed(operator, "attempt", q=str(message.pk)) == [attempt]
    assert listed(operator, "attempt", q=attempt.provider_message_id) == [attempt]
    assert listed(operator, "attempt", q="fake") == []


def test_attempts_are_filtered_by_outcome(operator, adapter):
    make_sender()
    make_message()
    drain()

    assert len(listed(operator, "attempt", outcome="accepted")) == 1
    assert listed(operator, "attempt", outcome="open") == []


def test_events_are_found_by_message_and_by_kind(operator):
    message = make_message()
    event = Event.objects.create(message=message, kind=Event.Kind.CANCELLED, at=NOON)
    Event.objects.create(message=make_message(), kind=Event.Kind.FAILED, at=NOON)

    assert listed(operator, "event", q=str(message.pk)) == [event]
    assert listed(operator, "event", kind="cancelled") == [event]
    assert listed(operator, "event", q="nonsense") == []


def test_further_recipients_are_found_by_address_and_by_message(operator):
    message = make_message()
    other = OtherRecipient.objects.create(message=message, role="cc", address="bob@example.com")
    OtherRecipient.objects.create(message=make_message(), role="cc", address="eve@example.com")

    assert listed(operator, "otherrecipient", q="Bob@example.com") == [other]
    assert listed(operator, "otherrecipient", q=str(message.pk)) == [other]

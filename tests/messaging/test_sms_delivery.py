"""SMS by the engine and a provider that answers, falls silent, and is asked."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from messaging import delivery, reconciliation, states, story
from messaging.channels.http_api import HttpApi
from messaging.models import Attempt, Event, FeedbackEvent, Reason, Status
from notification_platform.embedded.providers.aliyun import AliyunSmsServer
from notification_platform.embedded.providers.server import Act, Answer
from tests.factories import reloaded
from tests.messaging.channels.aliyun import sms_message, sms_sender

pytestmark = pytest.mark.django_db

NOW = timezone.now()
LATER = NOW + timedelta(minutes=2)
TOO_LATE = NOW + timedelta(minutes=11)


@pytest.fixture
def provider():
    with AliyunSmsServer() as running:
        yield running


def drain(now=NOW):
    return delivery.drain(channel="sms", lane="normal", clock=lambda: now)


def ask(now=LATER):
    return reconciliation.ask_about_unknown(clock=lambda: now)


def sms(**fields):
    times = {"created_at": NOW, "due_at": NOW, "expires_at": NOW + timedelta(hours=1)}
    return sms_message(**times | fields)


def at_the_provider(provider, *, ago=timedelta(minutes=2)):
    """The attempts were made that long ago, by everybody's clock."""
    then = timezone.now() - ago
    Attempt.objects.update(started_at=then)
    for one in provider.sent:
        one.at = then


def test_a_lost_answer_to_an_sms_that_was_taken_sends_nothing_again(provider):
    sms_sender(provider)
    message = sms()
    provider.lose.append(Act.RESET)
    drain()
    assert reloaded(message).status == Status.UNKNOWN
    at_the_provider(provider)

    states.settle_unknown(now=LATER)
    assert reloaded(message).status == Status.UNKNOWN
    assert ask() == 1
    drain(LATER)

    message = reloaded(message)
    assert (message.status, message.unknown_resends) == (Status.SUCCESS, 0)
    assert (len(provider.sent), provider.duplicates()) == (1, 0)
    assert message.attempts.get().unknown_at is not None
    assert message.events.get(kind=Event.Kind.LATE_SUCCESS)


def test_what_was_not_taken_is_sent_again_once(provider):
    sms_sender(provider)
    message = sms()
    provider.once.append(Act.RESET)
    drain()
    at_the_provider(provider)

    ask()
    message = reloaded(message)
    assert (message.status, message.reason) == (Status.PENDING, Reason.TEMPORARY)
    assert "the provider, when it was asked, had none" in message.reason_detail
    drain(LATER)
    drain(LATER)

    assert reloaded(message).status == Status.SUCCESS
    assert len(provider.sent) == 1
    assert message.attempts.count() == 2
    assert any("had none" in step.detail for step in story.tell(message))


def test_what_was_taken_and_arrived_is_told_in_one_go(provider):
    sms_sender(provider)
    message = sms()
    provider.lose.append(Act.CLOSE)
    drain()
    at_the_provider(provider)
    provider.settle(provider.sent[0])

    ask()

    assert (reloaded(message).status, reloaded(message).feedback) == ("success", "delivered")
    assert FeedbackEvent.objects.get().recipient == "to/0"


def test_a_provider_that_cannot_be_asked_decides_nothing_for_ten_minutes(provider):
    sms_sender(provider)
    message = sms()
    provider.once.append(Act.RESET)
    drain()
    provider.script = Answer(500, "")

    ask()
    states.settle_unknown(now=LATER)
    waiting = reloaded(message)
    assert (waiting.status, waiting.due_at) == (Status.UNKNOWN, LATER + states.ASK_AGAIN)

    assert ask(TOO_LATE) == 0
    states.settle_unknown(now=TOO_LATE)
    assert reloaded(message).status == Status.PENDING
    assert reloaded(message).reason_detail == "No answer came; it is sent once more."


def test_with_two_accounts_one_fails_and_the_other_sends(provider):
    with AliyunSmsServer() as second:
        second.templates = {"SMS_200": "验证码${code}"}
        provider.keys = {}
        sms_sender(provider, name="first", priority=1)
        sms_sender(second, name="second", options={"template_ids": "SMS_100=SMS_200"})
        message = sms()

        drain()

        assert reloaded(message).status == Status.SUCCESS
        assert [a.outcome for a in message.attempts.order_by("started_at", "pk")] == [
            "sender",
            "accepted",
        ]
        assert (len(provider.sent), len(second.sent)) == (0, 1)


def test_nothing_is_held_while_a_provider_is_asked(provider, monkeypatch):
    sms_sender(provider)
    sms()
    provider.lose.append(Act.RESET)
    drain()
    depth = len(connection.savepoint_ids)
    seen = []
    call = HttpApi.call

    def looking(self, *args, **named):
        seen.append(len(connection.savepoint_ids))
        return call(self, *args, **named)

    monkeypatch.setattr(HttpApi, "call", looking)

    ask()

    assert seen
    assert set(seen) == {depth}

"""Aliyun posts what became of an SMS, for real, to a real server."""

import json
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from messaging import delivery, receipts, states
from messaging.models import FeedbackEvent, ProviderReport, Status, Suppression
from notification_platform.embedded.providers.aliyun import AliyunSmsServer
from notification_platform.embedded.providers.server import Act
from tests.factories import reloaded
from tests.messaging.channels.aliyun import NUMBER, sms_message, sms_sender
from tests.messaging.reporting import path_of

NOW = timezone.now()
THANKS = {"code": 0, "msg": "接收成功"}


@pytest.fixture
def provider(live_server):
    with AliyunSmsServer() as running:
        sender = sms_sender(running, name="sms-1")
        running.report_url = live_server.url + path_of(sender)
        yield running


def send(count=1):
    times = {"created_at": NOW, "due_at": NOW, "expires_at": NOW + timedelta(hours=1)}
    messages = [sms_message(to=f"+86139{number:08}", **times) for number in range(1, count + 1)]
    delivery.drain(channel="sms", lane="normal", clock=lambda: NOW)
    return messages


def process():
    receipts.process_due(clock=lambda: timezone.now() + timedelta(minutes=1))


@pytest.mark.django_db(transaction=True)
def test_a_posted_report_is_thanked_for_and_told(provider):
    message, other = send(2)
    of_message = {sms.number: sms for sms in provider.sent}

    assert provider.report(of_message["13900000001"], of_message["13900000002"])
    process()

    assert json.loads(provider.report_answers[0][1]) == THANKS
    assert {reloaded(message).feedback, reloaded(other).feedback} == {"delivered"}
    assert FeedbackEvent.objects.count() == 2
    assert ProviderReport.objects.get().error == ""


@pytest.mark.django_db(transaction=True)
def test_a_repeated_report_changes_nothing(provider):
    (message,) = send()

    for _ in range(3):
        assert provider.report(provider.sent[0], code="UNDELIV")
    process()

    assert reloaded(message).feedback == "bounced"
    assert FeedbackEvent.objects.count() == 1
    assert not Suppression.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_number_that_does_not_exist_is_not_written_to_again(provider):
    (message,) = send()

    provider.report(provider.sent[0], code="MK:0001")
    process()

    suppressed = Suppression.objects.get()
    assert (suppressed.channel, suppressed.address) == ("sms", message.recipient)
    assert (suppressed.reason, suppressed.application) == ("hard_bounce", None)
    assert FeedbackEvent.objects.get().recipient == "to/0"


@pytest.mark.django_db(transaction=True)
def test_a_report_proves_a_hand_over_whose_answer_was_lost(provider):
    provider.lose.append(Act.RESET)
    (message,) = send()
    assert reloaded(message).status == Status.UNKNOWN

    provider.report(provider.sent[0])
    process()
    states.settle_unknown(now=NOW + timedelta(hours=1))

    assert (reloaded(message).status, reloaded(message).feedback) == ("success", "delivered")
    assert message.attempts.get().provider_message_id == provider.sent[0].biz_id
    assert len(provider.sent) == 1


@pytest.mark.django_db(transaction=True)
def test_a_report_of_another_number_suppresses_nobody(provider):
    send()
    provider.sent[0].number = NUMBER.removeprefix("+86")

    provider.report(provider.sent[0], code="MK:0001")
    process()

    assert not Suppression.objects.exists()
    assert FeedbackEvent.objects.get().recipient == ""


@pytest.mark.django_db(transaction=True)
def test_reports_to_a_wrong_address_are_not_taken(provider, live_server):
    send()
    provider.report_url = live_server.url + "/hooks/nobody/reports"

    assert not provider.report(provider.sent[0])

    assert provider.report_answers == [(404, "")]
    assert not ProviderReport.objects.exists()


@pytest.mark.django_db
def test_what_is_no_report_is_refused(client):
    with AliyunSmsServer() as running:
        path = path_of(sms_sender(running))

    response = client.post(path, data="{}", content_type="application/json")

    assert response.status_code == 403
    assert not ProviderReport.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_reports_may_come_at_once(provider):
    provider.reports_at_once = True
    send(3)
    ends_at = time.monotonic() + 20
    while len(provider.report_answers) < 3 and time.monotonic() < ends_at:
        time.sleep(0.01)

    process()

    assert FeedbackEvent.objects.filter(kind="delivered").count() == 3

"""What an Official Account posts to a sender's address, plain and encrypted, for real."""

import time
from datetime import timedelta

import pytest
import requests

from messaging import receipts
from messaging.channels.base import Outbound
from messaging.channels.content import TemplatedContent
from messaging.channels.wechat_official import WechatOfficial
from messaging.models import Attempt, FeedbackEvent, ProviderReport, Status, Suppression
from notification_platform.embedded.providers.wechat_official import OfficialServer
from tests.factories import NOON, make_message, reloaded
from tests.messaging.channels.official import AES_KEY, ANN, BOB, address, event_of, post, sender_at
from tests.messaging.reporting import SOON, path_of, process


@pytest.fixture
def provider():
    with OfficialServer() as running:
        yield running


@pytest.fixture(params=["", AES_KEY], ids=["plain", "encrypted"])
def posting(provider, request):
    """The account with its server address in plain or in encrypted mode."""
    provider.encoding_aes_key = request.param
    return provider


def sent(sender, openid=ANN, *, is_known=True, kind="template"):
    """A message that really went to the provider; `is_known`: and whose answer is written."""
    template, parameters = {
        "template": ("template-0001", {"thing1": "Tea", "number2": "3"}),
        "subscribe": ("notice-0001", {"thing1": "Tea", "phrase2": "配送中"}),
    }[kind]
    content = TemplatedContent([("", openid)], template, parameters, kind=kind)
    message = make_message(
        channel="wechat_official",
        recipient=openid,
        content=content.as_json(),
        status=Status.SUCCESS if is_known else Status.SENDING,
        sender=sender,
    )
    adapter = WechatOfficial(sender.account())
    receipt = adapter.send(Outbound("attempt", f"<{message.pk}@example.com>", content))
    adapter.close()
    Attempt.objects.create(
        message=message,
        sender=sender,
        lease_token=1,
        started_at=NOON,
        finished_at=NOON if is_known else None,
        outcome="accepted" if is_known else "",
        provider_message_id=receipt.provider_message_id if is_known else "",
    )
    return message, receipt


# --- end to end ----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_what_was_sent_is_reported_as_delivered(live_server, posting):
    sender = sender_at(posting)
    posting.callback_url = live_server.url + path_of(sender)
    message, _ = sent(sender)

    assert posting.post_events() == [200]
    process()

    event = FeedbackEvent.objects.get()
    assert (event.message, event.kind, event.recipient) == (message, "delivered", "to/0")
    assert reloaded(message).feedback == "delivered"
    report = ProviderReport.objects.get()
    assert (report.error, report.processed_at) == ("", NOON)
    # Encrypted it lies there as it came.
    assert (ANN.encode() in bytes(report.body)) == (posting.encoding_aes_key == "")


@pytest.mark.django_db(transaction=True)
def test_the_address_is_greeted_when_it_is_entered(live_server, posting):
    sender = sender_at(posting)
    posting.callback_url = live_server.url + path_of(sender)

    status, said, expected = posting.greet()

    assert (status, said) == (200, expected)


@pytest.mark.django_db(transaction=True)
def test_who_blocks_the_account_bounces_and_may_change_his_mind(live_server, posting):
    sender = sender_at(posting)
    posting.callback_url = live_server.url + path_of(sender)
    posting.blocking.add(ANN)
    message, _ = sent(sender)

    posting.post_events()
    process()

    event = FeedbackEvent.objects.get()
    assert (event.kind, event.words) == ("bounced", "failed:user block")
    assert reloaded(message).feedback == "bounced"
    assert not Suppression.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_notice_is_reported_too(live_server, posting):
    sender = sender_at(posting)
    posting.callback_url = live_server.url + path_of(sender)
    posting.agree(ANN, "notice-0001")
    message, _ = sent(sender, kind="subscribe")

    posting.post_events()
    process()

    assert reloaded(message).feedback == "delivered"


@pytest.mark.django_db(transaction=True)
def test_reports_that_come_three_times_count_once(live_server, posting):
    sender = sender_at(posting)
    posting.callback_url = live_server.url + path_of(sender)
    message, _ = sent(sender)

    assert posting.post_events(times=3) == [200, 200, 200]
    process()
    process()

    assert FeedbackEvent.objects.count() == 1
    assert reloaded(message).feedback == "delivered"


@pytest.mark.django_db(transaction=True)
def test_a_report_that_overtakes_the_answer_waits_for_it(live_server, posting):
    sender = sender_at(posting)
    posting.callback_url = live_server.url + path_of(sender)
    message, receipt = sent(sender, is_known=False)

    posting.post_events()
    ProviderReport.objects.update(due_at=NOON)
    receipts.process_due(clock=lambda: NOON)
    assert reloaded(message).feedback == ""

    Attempt.objects.update(
        provider_message_id=receipt.provider_message_id, outcome="accepted", finished_at=NOON
    )
    process(SOON)
    assert reloaded(message).feedback == "delivered"


@pytest.mark.django_db(transaction=True)
def test_reports_of_several_messages_in_any_order_find_their_own(live_server, posting):
    sender = sender_at(posting)
    posting.callback_url = live_server.url + path_of(sender)
    posting.blocking.add(BOB)
    ann, _ = sent(sender)
    bob, _ = sent(sender, BOB)
    posting.events.reverse()

    posting.post_events()
    process()

    assert (reloaded(ann).feedback, reloaded(bob).feedback) == ("delivered", "bounced")


@pytest.mark.django_db(transaction=True)
def test_what_another_sender_sent_is_none_of_this_ones(live_server, provider):
    sender, other = sender_at(provider), sender_at(provider)
    message, _ = sent(sender)
    provider.callback_url = live_server.url + path_of(other)

    assert provider.post_events() == [200]
    process()

    assert reloaded(message).feedback == ""


@pytest.mark.django_db(transaction=True)
def test_an_account_that_is_prompt_reports_on_its_own(live_server, provider, monkeypatch):
    place = "notification_platform.embedded.providers.wechat_official.PROMPT_SECONDS"
    monkeypatch.setattr(place, 0.05)
    sender = sender_at(provider)
    provider.callback_url, provider.is_prompt = live_server.url + path_of(sender), True

    message, _ = sent(sender)
    deadline = time.monotonic() + 10
    while not ProviderReport.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process()

    assert reloaded(message).feedback == "delivered"


# --- what is no news -----------------------------------------------------------------------------

REFUSAL = (
    "<SubscribeMsg{0}Event><List><TemplateId>notice-0001</TemplateId><SubscribeStatusString>reject"
    "</SubscribeStatusString></List></SubscribeMsg{0}Event>"
)


@pytest.mark.parametrize(
    ("name", "xml"),
    [
        ("unsubscribe", ""),
        ("subscribe", "<EventKey></EventKey>"),
        ("LOCATION", "<Latitude>23.1</Latitude>"),
        ("subscribe_msg_popup_event", REFUSAL.format("Popup")),
        ("subscribe_msg_change_event", REFUSAL.format("Change")),
        ("", "<Content>What people write to the account</Content>"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_what_else_happens_at_the_account_is_thanked_for_and_not_kept(
    live_server, posting, name, xml
):
    sender = sender_at(posting)
    posting.callback_url = live_server.url + path_of(sender)
    posting.tell(name, ANN, xml)

    assert posting.post_events() == [200]

    assert not ProviderReport.objects.exists()
    assert not Suppression.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_report_is_answered_in_the_form_that_wechat_wants(live_server, posting):
    sender = sender_at(posting)
    query, body = posting.signed(event_of(posting))

    response = requests.post(f"{live_server.url}{address(sender, query)}", data=body, timeout=10)

    assert (response.status_code, response.text) == (200, "success")
    assert response.headers["Content-Type"].startswith("text/plain")


@pytest.mark.django_db
def test_a_clock_that_is_wrong_or_missing_does_no_harm(provider):
    sender = sender_at(provider)
    message, receipt = sent(sender)
    xml = event_of(provider, message_id=receipt.provider_message_id)

    for stamp in ("later", "9" * 30, ""):
        begin, _, rest = xml.partition("<CreateTime>")
        changed = f"{begin}<CreateTime>{stamp}</CreateTime>{rest.partition('</CreateTime>')[2]}"
        assert post(sender, *provider.signed(changed)).status_code == 200
    process(NOON + timedelta(minutes=1))

    assert FeedbackEvent.objects.get().at == NOON + timedelta(minutes=1)
    assert reloaded(message).feedback == "delivered"

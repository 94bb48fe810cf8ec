"""What an Official Account posts to a sender's address, plain and encrypted, for real."""

import time
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode

import pytest
import requests
from django.test import Client
from wechatpy.crypto import WeChatCrypto

from messaging import receipts
from messaging.channels import wechat_crypto
from messaging.channels.base import Outbound
from messaging.channels.content import TemplatedContent
from messaging.channels.wechat_official import WechatOfficial
from messaging.models import Attempt, FeedbackEvent, ProviderReport, Status, Suppression
from notification_platform.embedded.providers.wechat_official import OfficialServer
from tests.factories import NOON, make_message, make_sender, reloaded
from tests.messaging.channels.test_wechat_official import ANN, BOB
from tests.messaging.reporting import SOON, path_of, process

AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


@pytest.fixture
def provider():
    with OfficialServer() as running:
        yield running


@pytest.fixture(params=["", AES_KEY], ids=["plain", "encrypted"])
def posting(provider, request):
    """The account with its server address in plain or in encrypted mode."""
    provider.encoding_aes_key = request.param
    return provider


def sender_at(provider, **credentials):
    secrets = {"app_secret": provider.secret, "callback_token": provider.callback_token}
    if provider.encoding_aes_key:
        secrets["encoding_aes_key"] = provider.encoding_aes_key
    return make_sender(
        channel="wechat_official",
        adapter="wechat_official",
        from_address="",
        options={"app_id": provider.app_id, "api_url": provider.url},
        credentials=secrets | credentials,
    )


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


def address(sender, query=""):
    return f"{path_of(sender)}?{query}"


def post(sender, query, body):
    return Client().post(address(sender, query), body, content_type="text/xml")


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


# --- forged --------------------------------------------------------------------------------------


def event_of(provider, status="success", message_id=4711):
    provider.tell(
        "TEMPLATESENDJOBFINISH", ANN, f"<MsgID>{message_id}</MsgID><Status>{status}</Status>"
    )
    return provider.xml_of(provider.events.pop())


@pytest.mark.parametrize("name", ["signature", "timestamp", "nonce"])
@pytest.mark.parametrize("change", ["wrong", "", None, "你好", "9" * 40, "\ud800"])
@pytest.mark.django_db
def test_a_signature_that_does_not_fit_is_refused(posting, name, change):
    sender = sender_at(posting)
    query, body = posting.signed(event_of(posting))
    fields = dict(parse_qsl(query))
    fields[name] = change
    changed = {key: value for key, value in fields.items() if value is not None}

    response = post(sender, urlencode(changed, errors="surrogatepass"), body)

    assert response.status_code == 403
    assert not ProviderReport.objects.exists()


@pytest.mark.parametrize("seconds", [-700, 700])
@pytest.mark.django_db
def test_an_old_report_is_a_replay(posting, seconds):
    sender = sender_at(posting)

    response = post(sender, *posting.signed(event_of(posting), at=int(time.time()) + seconds))

    assert response.status_code == 403
    assert b"ten minutes" in response.content


@pytest.mark.django_db
def test_with_another_token_neither_report_nor_greeting_is_taken(posting):
    sender = sender_at(posting, callback_token="another")
    query, body = posting.signed(event_of(posting))

    assert post(sender, query, body).status_code == 403
    assert Client().get(address(sender, f"{query}&echostr=1")).status_code == 403


@pytest.mark.django_db
def test_without_a_token_nothing_is_taken_and_it_says_what_is_missing(provider):
    sender = sender_at(provider, callback_token="")

    response = post(sender, *provider.signed(event_of(provider)))

    assert response.status_code == 403
    assert b"callback_token" in response.content


@pytest.mark.django_db
def test_who_only_looks_is_told_that_there_is_an_address(provider):
    response = Client().get(path_of(sender_at(provider)))

    assert (response.status_code, response["Content-Type"]) == (200, "text/plain")


@pytest.mark.django_db
def test_what_is_echoed_is_no_page(provider):
    query, _ = provider.signed("")

    response = Client().get(
        address(sender_at(provider), f"{query}&{urlencode({'echostr': '<script>1</script>'})}")
    )

    assert response["Content-Type"] == "text/plain"
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.django_db
def test_once_there_is_a_key_nothing_plain_is_taken(provider):
    sender = sender_at(provider, encoding_aes_key=AES_KEY)

    response = post(sender, *provider.signed(event_of(provider)))

    assert response.status_code == 403
    assert b"not encrypted" in response.content


@pytest.mark.django_db
def test_without_the_key_it_is_said_that_one_is_needed(provider):
    sender = sender_at(provider)
    provider.encoding_aes_key = AES_KEY

    response = post(sender, *provider.signed(event_of(provider)))

    assert response.status_code == 403
    assert b"encoding_aes_key" in response.content


@pytest.mark.parametrize("key", [AES_KEY, ""])
@pytest.mark.django_db
def test_the_compatible_mode_has_both_and_is_read(provider, key):
    sender = sender_at(provider, encoding_aes_key=key)
    plain = event_of(provider)
    provider.encoding_aes_key = AES_KEY
    query, body = provider.signed(plain)
    encrypted = body.decode().partition("<Encrypt>")[2].partition("</Encrypt>")[0]

    both = plain.replace("</xml>", f"<Encrypt>{encrypted}</Encrypt></xml>")

    assert post(sender, query, both.encode()).status_code == 200


@pytest.mark.parametrize("change", ["Encrypt", "msg_signature", "key", "account"])
@pytest.mark.django_db
def test_what_was_encrypted_by_somebody_else_is_refused(provider, change):
    provider.encoding_aes_key = AES_KEY
    sender = sender_at(provider)
    if change == "key":
        provider.encoding_aes_key = AES_KEY[::-1]
    elif change == "account":
        provider.app_id = "wx-another"
    query, body = provider.signed(event_of(provider))
    if change == "Encrypt":
        body = body.replace(b"CDATA[", b"CDATA[AAAA")
    elif change == "msg_signature":
        query = query.replace("msg_signature=", "msg_signature=0")

    assert post(sender, query, body).status_code == 403
    assert not ProviderReport.objects.exists()


@pytest.mark.django_db
def test_what_wechatpy_encrypts_is_taken(provider):
    sender = sender_at(provider, encoding_aes_key=AES_KEY)
    now = str(int(time.time()))
    theirs = WeChatCrypto(provider.callback_token, AES_KEY, provider.app_id)
    body = theirs.encrypt_message(event_of(provider), "nonce", now)
    signed = body.partition("<MsgSignature><![CDATA[")[2].partition("]]>")[0]
    signature = wechat_crypto.signature(provider.callback_token, now, "nonce")
    query = {"timestamp": now, "nonce": "nonce", "signature": signature, "msg_signature": signed}

    response = post(sender, urlencode(query), body.encode())

    assert (response.status_code, response.content) == (200, b"success")
    assert ProviderReport.objects.count() == 1


# --- hostile and broken bodies -------------------------------------------------------------------

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><xml><MsgType>event</MsgType><Event>&i;</Event></xml>"
)
FILE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><xml><Event>&f;</Event></xml>'
BODIES = [
    BOMB,
    FILE,
    "",
    "{}",
    "<xml>",
    "<xml></xml",
    "\0",
    '<?xml version="1.0" encoding="nonsense"?><xml/>',
    '<?xml version="1.0" encoding="utf-16"?><xml/>',
    "<xml>" * 20_000,
]


@pytest.mark.parametrize("xml", BODIES, ids=range(len(BODIES)))
@pytest.mark.django_db
def test_xml_that_is_hostile_or_none_is_refused_at_once(posting, xml):
    sender = sender_at(posting)
    began = time.monotonic()

    response = post(sender, *posting.signed(xml))

    assert response.status_code == 403
    assert time.monotonic() - began < 2
    assert not ProviderReport.objects.exists()
    assert b"root:" not in response.content


@pytest.mark.parametrize("message_id", ["0", "", "x", "-1", "1.5"])
@pytest.mark.django_db
def test_a_report_about_no_message_is_put_away_with_a_reason(provider, message_id):
    sender = sender_at(provider)

    response = post(sender, *provider.signed(event_of(provider, message_id=message_id)))
    process()

    assert response.status_code == 200
    assert "which message" in ProviderReport.objects.get().error


@pytest.mark.django_db
def test_a_key_that_was_changed_meanwhile_leaves_a_reason(provider):
    provider.encoding_aes_key = AES_KEY
    sender = sender_at(provider)
    post(sender, *provider.signed(event_of(provider)))
    sender.credentials = sender.open_credentials() | {"encoding_aes_key": AES_KEY[::-1]}
    sender.save()

    process()

    assert "another key" in ProviderReport.objects.get().error


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


@pytest.mark.django_db(transaction=True)
def test_the_report_is_answered_in_the_form_that_wechat_wants(live_server, posting):
    sender = sender_at(posting)
    query, body = posting.signed(event_of(posting))

    response = requests.post(f"{live_server.url}{address(sender, query)}", data=body, timeout=10)

    assert (response.status_code, response.text) == (200, "success")
    assert response.headers["Content-Type"].startswith("text/plain")

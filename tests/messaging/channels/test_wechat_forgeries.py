"""Posts to the address of an Official Account that are forged, old, broken or hostile."""

import time
from urllib.parse import parse_qsl, urlencode

import pytest
from django.test import Client
from wechatpy.crypto import WeChatCrypto

from messaging.channels import wechat_crypto
from messaging.models import ProviderReport
from notification_platform.embedded.providers.wechat_official import OfficialServer
from tests.messaging.channels.official import AES_KEY, address, event_of, post, sender_at
from tests.messaging.reporting import path_of, process


@pytest.fixture
def provider():
    with OfficialServer() as running:
        yield running


@pytest.fixture(params=["", AES_KEY], ids=["plain", "encrypted"])
def posting(provider, request):
    """The account with its server address in plain or in encrypted mode."""
    provider.encoding_aes_key = request.param
    return provider


# --- forged --------------------------------------------------------------------------------------


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
    # Of work, which others on a busy machine do not lengthen.
    began = time.process_time()

    response = post(sender, *posting.signed(xml))

    assert response.status_code == 403
    assert time.process_time() - began < 2
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

    assert "It was encrypted" in ProviderReport.objects.get().error

"""The official SDK, which nobody here wrote, sends and asks at the imitation: what it takes from
the SDK, the provider would take from us."""

import json

import pytest
from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_dysmsapi20170525.models import QuerySendDetailsRequest, SendSmsRequest
from alibabacloud_tea_openapi.models import Config
from alibabacloud_tea_util.models import RuntimeOptions

from messaging.channels.aliyun_sms import AliyunSms
from notification_platform.embedded.providers.aliyun import (
    KEY_ID,
    SECRET,
    SIGN_NAME,
    TEMPLATE,
    AliyunSmsServer,
)
from tests.messaging.channels.aliyun import CALLED, sms_account, sms_content
from tests.messaging.channels.http_contract import outbound_of

ONCE = RuntimeOptions(autoretry=False, max_attempts=1)


@pytest.fixture
def provider():
    with AliyunSmsServer() as running:
        yield running


def client_of(provider, secret=SECRET):
    return Client(
        Config(
            access_key_id=KEY_ID,
            access_key_secret=secret,
            endpoint=f"127.0.0.1:{provider.port}",
            protocol="http",
        )
    )


def send_by_sdk(provider, secret=SECRET, **overrides):
    fields = {
        "phone_numbers": CALLED,
        "sign_name": SIGN_NAME,
        "template_code": TEMPLATE,
        "template_param": json.dumps({"code": "a b+~*'零"}, ensure_ascii=False),
        "out_id": "sdk-1",
    }
    request = SendSmsRequest(**fields | overrides)
    return client_of(provider, secret).send_sms_with_options(request, ONCE).body


def ask_by_sdk(provider, day, **overrides):
    fields = {"phone_number": CALLED, "send_date": day, "page_size": 10, "current_page": 1}
    request = QuerySendDetailsRequest(**fields | overrides)
    return client_of(provider).query_send_details_with_options(request, ONCE).body


def test_the_sdk_sends_by_the_imitation(provider):
    answer = send_by_sdk(provider)

    assert (answer.code, answer.biz_id) == ("OK", provider.sent[0].biz_id)
    assert provider.arrived[0].text == f"【{SIGN_NAME}】您的验证码为：a b+~*'零，请勿泄露。"
    assert provider.sent[0].out_id == "sdk-1"


def test_the_sdk_and_we_say_the_same(provider):
    adapter = AliyunSms(sms_account(provider))
    adapter.send(outbound_of(sms_content(parameters={"code": "a b+~*'零"})))
    adapter.close()
    send_by_sdk(provider)

    ours, theirs = provider.arrived
    assert ours == theirs


def test_the_sdk_is_told_what_is_wrong(provider):
    answer = send_by_sdk(provider, template_code="SMS_404")

    assert answer.code == "isv.SMS_TEMPLATE_ILLEGAL"


def test_the_sdk_with_a_wrong_secret_is_refused(provider):
    with pytest.raises(Exception, match="SignatureDoesNotMatch") as caught:
        send_by_sdk(provider, secret="wrong")

    assert caught.value.code == "SignatureDoesNotMatch"
    assert provider.sent == []


def test_the_sdk_finds_what_we_sent(provider):
    adapter = AliyunSms(sms_account(provider))
    outbound = outbound_of(sms_content())
    receipt = adapter.send(outbound)
    adapter.close()
    provider.settle(provider.sent[0])
    day = provider.sent[0].detail()["SendDate"][:10].replace("-", "")

    answer = ask_by_sdk(provider, day, biz_id=receipt.provider_message_id)

    (detail,) = answer.sms_send_detail_dtos.sms_send_detail_dto
    assert (answer.code, answer.total_count) == ("OK", "1")
    assert (detail.out_id, detail.phone_num) == (outbound.attempt_id, CALLED)
    assert (detail.send_status, detail.err_code) == (3, "DELIVERED")


def test_the_sdk_turns_pages(provider):
    for number in range(12):
        send_by_sdk(provider, out_id=f"sdk-{number}")
    day = provider.sent[0].detail()["SendDate"][:10].replace("-", "")

    answer = ask_by_sdk(provider, day, current_page=2)

    found = answer.sms_send_detail_dtos.sms_send_detail_dto
    assert [detail.out_id for detail in found] == ["sdk-1", "sdk-0"]
    assert answer.total_count == "12"

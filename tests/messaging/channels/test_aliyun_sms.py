"""Aliyun's SMS against its imitation, which the official SDK judges in `test_aliyun_sdk.py`."""

import json
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from messaging.channels.aliyun_codes import VERDICTS, judge
from messaging.channels.aliyun_reports import NO_SUCH_NUMBER
from messaging.channels.aliyun_sms import AliyunSms
from messaging.channels.base import (
    OutcomeUnknown,
    PermanentFailure,
    SenderFailure,
    TemporaryFailure,
)
from notification_platform.embedded.providers.aliyun import SECRET, SIGN_NAME, AliyunSmsServer
from notification_platform.embedded.providers.server import Act, Answer
from tests.factories import NOON
from tests.messaging.channels.aliyun import CALLED, NUMBER, options_of, sms_account, sms_content
from tests.messaging.channels.http_contract import HttpContract, outbound_of

REJECTED = (PermanentFailure, "rejected")
ROOT = Path(__file__).parents[3]
# Variants of what the docs name, and what is no failure of anything.
UNTOLD = {"isv.PRODUCT_UNSUBSCRIBE", "IncompleteSignature", "SignatureNonceUsed"}
LATER = (TemporaryFailure, "temporary")


@pytest.fixture
def provider():
    with AliyunSmsServer() as running:
        yield running


@pytest.fixture
def adapter(provider):
    return AliyunSms(sms_account(provider))


@pytest.fixture
def outbound():
    return outbound_of(sms_content())


class TestAliyunSms(HttpContract):
    SECRETS = (SECRET, CALLED, "123456")
    CODES = {
        "isp.SYSTEM_ERROR": LATER,
        "isp.GATEWAY_ERROR": LATER,
        "isp.UNKNOWN": LATER,
        "ServiceUnavailable": LATER,
        "isv.BUSINESS_LIMIT_CONTROL": LATER,
        "isv.MOBILE_NUMBER_ILLEGAL": (PermanentFailure, "hard_bounce"),
        "isv.MOBILE_COUNT_OVER_LIMIT": REJECTED,
        "isv.BLACK_KEY_CONTROL_LIMIT": (PermanentFailure, "blocked"),
        "isv.TEMPLATE_MISSING_PARAMETERS": REJECTED,
        "isv.INVALID_JSON_PARAM": REJECTED,
        "isv.INVALID_PARAMETERS": REJECTED,
        "isv.PARAM_LENGTH_LIMIT": REJECTED,
        "isv.PARAM_NOT_SUPPORT_URL": REJECTED,
        "isv.SMS_TEMPLATE_ILLEGAL": REJECTED,
        "isv.SMS_SIGNATURE_ILLEGAL": REJECTED,
        "isv.OUT_OF_SERVICE": (SenderFailure, "quota"),
        "isv.AMOUNT_NOT_ENOUGH": (SenderFailure, "quota"),
        "isv.MONTH_LIMIT_CONTROL": (SenderFailure, "quota"),
        "isv.DAY_LIMIT_CONTROL": (SenderFailure, "quota"),
        "isv.PRODUCT_UN_SUBSCRIPT": (SenderFailure, "misconfigured"),
        "isv.ACCOUNT_NOT_EXISTS": (SenderFailure, "credentials"),
        "isv.ACCOUNT_ABNORMAL": (SenderFailure, "blocked"),
        "isp.RAM_PERMISSION_DENY": (SenderFailure, "credentials"),
        "InvalidAccessKeyId.NotFound": (SenderFailure, "credentials"),
        "InvalidAccessKeyId.Inactive": (SenderFailure, "credentials"),
        "SignatureDoesNotMatch": (SenderFailure, "credentials"),
        "InvalidTimeStamp.Expired": (SenderFailure, "misconfigured"),
        "SignatureNonceUsed": (OutcomeUnknown, "no_answer"),
        "Throttling.User": (SenderFailure, "throttled"),
        "Throttling": (SenderFailure, "throttled"),
        # Known to nobody.
        "isv.NEVER_HEARD_OF": REJECTED,
    }

    @pytest.fixture
    def stranger(self, provider):
        adapter = AliyunSms(sms_account(provider, secret="wrong-secret"))
        yield adapter
        adapter.close()

    def refusal(self, code):
        """As the service answers, or the gateway in front of it, quoting what was asked."""
        is_business = code.startswith(("isv.", "isp.")) or code.isdigit()
        words = f"No: {CALLED}" if is_business else f"[SignName=x&PhoneNumbers={CALLED}]"
        told = {"Code": code, "Message": words, "RequestId": "R"}
        return Answer.of(told, 200 if is_business else 503 if "Service" in code else 400)


# --- what is sent --------------------------------------------------------------------------------


def test_the_recipient_reads_the_template_with_its_signature(provider, adapter, outbound):
    receipt = adapter.send(outbound)

    (arrival,) = provider.arrived
    assert (arrival.to, arrival.text) == (
        CALLED,
        f"【{SIGN_NAME}】您的验证码为：123456，请勿泄露。",
    )
    (sms,) = provider.sent
    assert (sms.out_id, sms.biz_id) == (outbound.attempt_id, receipt.provider_message_id)


def test_a_templates_own_signature_goes_before_the_accounts(provider, adapter):
    provider.signatures.add("别的公司")

    adapter.send(outbound_of(sms_content(signature="别的公司")))

    assert provider.arrived[0].text.startswith("【别的公司】")


@pytest.mark.parametrize(
    ("number", "called"),
    [
        (NUMBER, CALLED),
        ("+85291234567", "85291234567"),
        ("+447700900123", "447700900123"),
        ("+12125550123", "12125550123"),
        # Bare, it would be a mobile of the mainland.
        ("+13105550123", "0013105550123"),
    ],
)
def test_numbers_are_written_as_the_provider_wants_them(provider, adapter, number, called):
    adapter.send(outbound_of(sms_content(to=[("", number)])))

    assert provider.arrived[0].to == called


def test_an_account_has_its_own_ids_for_the_same_templates(provider):
    provider.templates = {"SMS_200": "验证码${code}"}
    adapter = AliyunSms(sms_account(provider, template_ids="SMS_1=SMS_2, SMS_100=SMS_200"))

    adapter.send(outbound_of(sms_content()))
    adapter.close()

    assert provider.sent[0].template == "SMS_200"


@pytest.mark.parametrize("code", ["a b", "+&=%/?#~*'", "零一二", "1+1"])
def test_whatever_is_in_a_parameter_arrives_as_it_is(provider, adapter, code):
    adapter.send(outbound_of(sms_content(parameters={"code": code})))

    assert f"您的验证码为：{code}，" in provider.arrived[0].text


def test_without_any_signature_the_sender_is_misconfigured(provider):
    adapter = AliyunSms(sms_account(provider, sign_name=""))

    with pytest.raises(SenderFailure) as caught:
        adapter.send(outbound_of(sms_content()))

    assert caught.value.kind == "misconfigured"
    assert provider.requests == 0


@pytest.mark.parametrize("content", [{"template_id": ""}, {"to": []}, {"to": [("", NUMBER)] * 2}])
def test_what_has_no_template_or_not_one_number_is_refused(provider, adapter, content):
    with pytest.raises(PermanentFailure):
        adapter.send(outbound_of(sms_content(**content)))

    assert provider.requests == 0


def test_a_rotated_key_is_refused_and_the_new_one_taken(provider, adapter, outbound):
    adapter.send(outbound)
    provider.rotate("LTAI5tNew", "another-secret")

    with pytest.raises(SenderFailure) as caught:
        adapter.send(outbound)

    assert caught.value.kind == "credentials"
    renewed = AliyunSms(sms_account(provider, access_key_id="LTAI5tNew", secret="another-secret"))
    renewed.send(outbound)
    renewed.close()
    assert len(provider.sent) == 2


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("触发分钟级流控Permits:1", 60.0),
        ("触发小时级流控Permits:5", 3600.0),
        # Noon in Greenwich is 20:00 in China.
        ("触发天级流控Permits:10", 4 * 3600.0),
        ("Something else", None),
    ],
)
def test_the_level_of_the_flow_control_says_when_to_come_again(words, seconds):
    error = judge("isv.BUSINESS_LIMIT_CONTROL", words, now=NOON)

    assert (type(error), error.retry_after) == (TemporaryFailure, seconds)


def test_more_codes_to_one_number_than_it_takes_wait(provider, adapter, outbound):
    provider.is_flow_controlled = True
    adapter.send(outbound)

    with pytest.raises(TemporaryFailure) as caught:
        adapter.send(outbound)

    assert caught.value.retry_after == 60
    assert len(provider.sent) == 1


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "isv.TEMPLATE_MISSING_PARAMETERS"),
        ({"code": "1" * 36}, "isv.PARAM_LENGTH_LIMIT"),
        ({"code": "https://example.com"}, "isv.PARAM_NOT_SUPPORT_URL"),
    ],
)
def test_the_provider_says_what_is_wrong_with_parameters(provider, adapter, parameters, code):
    with pytest.raises(PermanentFailure) as caught:
        adapter.send(outbound_of(sms_content(parameters=parameters)))

    assert caught.value.code == code


def test_no_answer_quotes_what_was_sent(provider, adapter, outbound):
    for body in (f"<html>/?PhoneNumbers={CALLED}&code=123456", json.dumps({"Code": CALLED})):
        provider.once.append(Answer(502, body))

        with pytest.raises(OutcomeUnknown) as caught:
            adapter.send(outbound)

        assert "123456" not in str(caught.value)
        assert "code" not in str(caught.value)


def test_a_lost_answer_does_not_repeat_the_request(provider, adapter, outbound, monkeypatch):
    provider.lose.append(Act.RESET)

    with pytest.raises(OutcomeUnknown):
        adapter.send(outbound)

    assert (len(provider.sent), provider.duplicates()) == (1, 0)


def test_no_line_of_the_log_holds_what_was_sent(provider, adapter, outbound, caplog):
    caplog.set_level("DEBUG")
    adapter.send(outbound)
    provider.lose.append(Act.RESET)
    with pytest.raises(OutcomeUnknown):
        adapter.send(outbound)

    assert CALLED not in caplog.text
    assert "123456" not in caplog.text


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"access_key_id": ""}, "access_key_id"),
        ({"access_key_id": "a b"}, "access_key_id"),
        ({"sign_name": "【示例】"}, "sign_name"),
        ({"template_ids": "SMS_1"}, "template_ids"),
        ({"template_ids": "SMS_1=SMS_2 SMS_3=SMS_4"}, "template_ids"),
        ({"api_url": "ftp://example.com"}, "api_url"),
        ({"region": "cn"}, "region"),
    ],
)
def test_settings_are_checked(provider, options, wrong):
    found = AliyunSms.problems(options_of(provider, **options), {"access_key_secret": "secret"})

    assert set(found) == {wrong}


def test_the_secret_is_no_option(provider):
    assert "access_key_secret" in AliyunSms.problems(
        options_of(provider, access_key_secret="s"), {}
    )


@pytest.mark.django_db
def test_an_account_is_added_as_the_docs_say(provider, monkeypatch):
    monkeypatch.setattr(sys, "stdin", StringIO(f"{SECRET}\n"))
    options = options_of(provider)
    given = [word for name, value in options.items() for word in ("--option", f"{name}={value}")]
    out = StringIO()

    call_command(
        *("add_sender", "sms-1", "--adapter", "aliyun_sms", "--from", ""),
        *(*given, "--secret", "access_key_secret"),
        stdout=out,
    )
    call_command("test_sender", "sms-1", stdout=out)

    assert "QuerySendDetails was answered with OK." in out.getvalue()
    assert provider.sent == []


def test_the_table_of_codes_stands_in_the_docs():
    for page in ("sms.md", "sms.zh-hans.md"):
        text = (ROOT / "docs" / "channels" / page).read_text()
        for code, (failure, kind) in VERDICTS.items():
            is_told = code in text or any(
                code.startswith(start) and f"{start}…" in text
                for start in ("isv.TEMPLATE_", "isv.PARAM_", "isv.INVALID_", "isv.SMS_")
            )
            is_rejected = (failure, kind) == REJECTED
            assert is_told or is_rejected or code in UNTOLD, (page, code)
        for code in NO_SUCH_NUMBER:
            assert f"`{code}`" in text

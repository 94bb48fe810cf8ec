"""The imitation of Aliyun's SMS refuses what the provider refuses."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import requests

from messaging.channels.acs3 import DATE, encoded_query, signature
from notification_platform.embedded.providers.aliyun import (
    KEY_ID,
    SECRET,
    SIGN_NAME,
    TEMPLATE,
    AliyunSmsServer,
)
from tests.messaging.channels.aliyun import CALLED

EMPTY = hashlib.sha256(b"").hexdigest()
SEND = {
    "PhoneNumbers": CALLED,
    "SignName": SIGN_NAME,
    "TemplateCode": TEMPLATE,
    "TemplateParam": '{"code":"1234"}',
    "OutId": "out-1",
}


@pytest.fixture
def provider():
    with AliyunSmsServer() as running:
        yield running


def call(provider, params, *, at=None, without="", body=b"", **overrides):
    query = encoded_query(params)
    headers = {
        "host": f"127.0.0.1:{provider.port}",
        "x-acs-action": "SendSms",
        "x-acs-content-sha256": EMPTY,
        "x-acs-date": (at or datetime.now(UTC)).strftime(DATE),
        "x-acs-signature-nonce": f"nonce-{provider.requests}",
        "x-acs-version": "2017-05-25",
    }
    headers |= {name.replace("_", "-"): value for name, value in overrides.items()}
    signed = sorted(name for name in headers if name != without)
    made = signature(
        SECRET,
        method="POST",
        path="/",
        query=query,
        headers=headers,
        signed=signed,
        payload_hash=EMPTY,
    )
    said = f"Credential={KEY_ID},SignedHeaders={';'.join(signed)},Signature={made}"
    answer = requests.post(
        f"{provider.url}/?{query}",
        data=body,
        headers={**headers, "Authorization": f"ACS3-HMAC-SHA256 {said}"},
        timeout=10,
    )
    return answer.status_code, answer.json()["Code"]


def test_what_is_signed_as_documented_is_taken(provider):
    assert call(provider, SEND) == (200, "OK")


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_date_that_is_a_quarter_of_an_hour_off_is_refused(provider, minutes):
    at = datetime.now(UTC) + timedelta(minutes=minutes)

    assert call(provider, SEND, at=at) == (400, "InvalidTimeStamp.Expired")


def test_a_nonce_is_taken_once(provider):
    call(provider, SEND, x_acs_signature_nonce="one")

    answer = call(provider, SEND, x_acs_signature_nonce="one")

    assert answer == (400, "SignatureNonceUsed")
    assert len(provider.sent) == 1


@pytest.mark.parametrize("name", ["host", "x-acs-date", "x-acs-action", "x-acs-signature-nonce"])
def test_what_must_be_signed_must_be_signed(provider, name):
    assert call(provider, SEND, without=name) == (400, "IncompleteSignature")


def test_a_body_with_another_hash_is_refused(provider):
    assert call(provider, SEND, body=b"a=b") == (400, "SignatureDoesNotMatch")


def test_a_call_without_a_signature_is_refused(provider):
    answer = requests.post(f"{provider.url}/", params=SEND, timeout=10)

    assert (answer.status_code, answer.json()["Code"]) == (400, "IncompleteSignature")


def test_another_action_is_not_there(provider):
    answer = call(provider, SEND, x_acs_action="DeleteSmsSign")

    assert answer == (404, "InvalidAction.NotFound")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"PhoneNumbers": "12"}, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"PhoneNumbers": ",".join([CALLED] * 1001)}, "isv.MOBILE_COUNT_OVER_LIMIT"),
        ({"SignName": "nobody"}, "isv.SMS_SIGNATURE_ILLEGAL"),
        ({"TemplateCode": "SMS_404"}, "isv.SMS_TEMPLATE_ILLEGAL"),
        ({"TemplateParam": "{"}, "isv.INVALID_JSON_PARAM"),
        ({"TemplateParam": '{"code":1234}'}, "isv.INVALID_JSON_PARAM"),
        ({"TemplateParam": "{}"}, "isv.TEMPLATE_MISSING_PARAMETERS"),
    ],
)
def test_what_the_service_itself_refuses(provider, params, code):
    assert call(provider, SEND | params) == (200, code)
    assert provider.sent == []


def test_flow_control_counts_by_number_and_signature_at_three_levels():
    now = datetime(2026, 6, 1, tzinfo=UTC)
    provider = AliyunSmsServer(clock=lambda: now)
    provider.is_flow_controlled = True
    with provider:
        answers = []
        for _ in range(12):
            answers.append(call(provider, SEND, at=now)[1])
            now += timedelta(minutes=2)
        now += timedelta(hours=1)
        for _ in range(6):
            answers.append(call(provider, SEND, at=now)[1])
            now += timedelta(minutes=2)

        assert answers == (
            ["OK"] * 5
            + ["isv.BUSINESS_LIMIT_CONTROL"] * 7
            + ["OK"] * 5
            + ["isv.BUSINESS_LIMIT_CONTROL"]
        )
        assert call(provider, SEND | {"PhoneNumbers": "13800000000"}, at=now)[1] == "OK"


def test_duplicates_are_counted_by_out_id(provider):
    for out_id in ("a", "b", "a", "a"):
        call(provider, SEND | {"OutId": out_id})

    assert provider.duplicates() == 2

import json

import pytest

from messaging.models import Message, OtherRecipient
from tests.conftest import client_for
from tests.factories import make_api_key

URL = "/api/v1/messages/email/send"
LEAST = {"to": "user@example.com", "subject": "测试邮件", "content": "<h1>Hello World</h1>"}


def errors_of(response):
    return {(error["pointer"], error["code"]) for error in response.json()["errors"]}


def test_the_least_request_is_stored_and_a_worker_is_woken(
    api, bells, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        response = api.post(URL, LEAST)

    message = Message.objects.get()
    assert response.status_code == 202
    assert response.json()["id"] == str(message.pk)
    assert response.json()["status"] == "pending"
    assert message.application == api.key.application
    assert message.recipient == "user@example.com"
    assert bells == [("email", "normal")]


def test_everything_that_was_asked_is_on_the_message(api):
    response = api.post(
        URL,
        {
            "to": ["Ann Lee <Ann@Example.com>", "bob@example.com"],
            "cc": "carl@example.com",
            "bcc": ["dora@example.com"],
            "reply_to": "help@example.com",
            "subject": "Receipt",
            "content": "<p>Thanks</p>",
            "text": "Thanks",
            "priority": "high",
            "policy": "at_most_once",
            "expires_at": "2027-01-01T00:00:00+08:00",
            "reference": "order-4711",
            "metadata": {"order": "4711"},
            "tags": ["receipt", "receipt"],
        },
        headers={"X-Request-ID": "call-1"},
    )

    message = Message.objects.get()
    assert response.status_code == 202, response.json()
    assert message.content == {
        "to": [["Ann Lee", "Ann@example.com"], ["", "bob@example.com"]],
        "cc": [["", "carl@example.com"]],
        "bcc": [["", "dora@example.com"]],
        "reply_to": [["", "help@example.com"]],
        "subject": "Receipt",
        "html": "<p>Thanks</p>",
        "text": "Thanks",
    }
    assert (message.lane, message.policy) == ("high", "at_most_once")
    assert message.expires_at.isoformat() == "2026-12-31T16:00:00+00:00"
    assert (message.reference, message.metadata) == ("order-4711", {"order": "4711"})
    assert (message.tags, message.request_id) == (["receipt"], "call-1")
    assert message.recipient == "ann@example.com"
    assert set(OtherRecipient.objects.values_list("role", "address")) == {
        ("to", "bob@example.com"),
        ("cc", "carl@example.com"),
        ("bcc", "dora@example.com"),
    }


def test_text_content_becomes_the_text_part(api):
    api.post(URL, LEAST | {"content": "Hello", "content_type": "text"})

    assert Message.objects.get().content["text"] == "Hello"


BAD = {
    "no recipient": ({"to": None}, "/to", "required"),
    "an empty list": ({"to": []}, "/to", "empty"),
    "51 recipients": ({"to": [f"u{n}@example.com" for n in range(51)]}, "/to", "too_many"),
    "51 over to and cc": (
        {"to": [f"u{n}@example.com" for n in range(30)], "cc": ["v@example.com"] * 21},
        "/to",
        "too_many",
    ),
    "no address": ({"to": "nobody"}, "/to", "invalid_address"),
    "a bad one in a list": ({"to": ["a@b.cc", "nobody"]}, "/to/1", "invalid_address"),
    "an object": ({"to": {"a": 1}}, "/to", "invalid"),
    "a number in the list": ({"to": [1]}, "/to/0", "invalid"),
    "an address with CRLF": (
        {"to": "a@example.com\r\nBcc: b@example.com"},
        "/to",
        "control_characters",
    ),
    "a name with CRLF": (
        {"to": "A\r\nBcc: b@example.com <a@example.com>"},
        "/to",
        "control_characters",
    ),
    "an encoded word": ({"to": "=?utf-8?q?a?=@example.com"}, "/to", "invalid_address"),
    "spaces": ({"to": "a b@example.com"}, "/to", "invalid_address"),
    "two in one string": ({"to": "a@example.com, b@example.com"}, "/to", "invalid_address"),
    "a subject with CRLF": (
        {"subject": "Hi\r\nBcc: b@example.com"},
        "/subject",
        "control_characters",
    ),
    "a subject that turns around": ({"subject": "Hi \u202eevil"}, "/subject", "control_characters"),
    "a long subject": ({"subject": "x" * 256}, "/subject", "max_length"),
    "no subject": ({"subject": None}, "/subject", "required"),
    "an empty subject": ({"subject": ""}, "/subject", "blank"),
    "a number as subject": ({"subject": 5}, "/subject", "invalid"),
    "no content": ({"content": None}, "/content", "required"),
    "long content": ({"content": "x" * 512_001}, "/content", "max_length"),
    "a content type": ({"content_type": "pdf"}, "/content_type", "invalid_choice"),
    "text beside text": ({"content_type": "text", "text": "x"}, "/text", "conflict"),
    "an unknown field": ({"subjekt": "x"}, "/subjekt", "unknown_field"),
    "an unknown field with odd signs": ({"a/b.c~": "x"}, "/a~1b.c~0", "unknown_field"),
    "a priority": ({"priority": "urgent"}, "/priority", "invalid_choice"),
    "a list as priority": ({"priority": ["high"]}, "/priority", "invalid_choice"),
    "a time without offset": (
        {"expires_at": "2026-12-01T00:00:00"},
        "/expires_at",
        "invalid",
    ),
    "a time in the past": (
        {"expires_at": "2020-12-01T00:00:00Z"},
        "/expires_at",
        "invalid_moment",
    ),
    "a number as time": ({"expires_at": 5}, "/expires_at", "invalid"),
    "nested metadata": ({"metadata": {"a": {"b": 1}}}, "/metadata", "invalid"),
    "a tag with a space": ({"tags": ["a b"]}, "/tags", "invalid"),
}


@pytest.mark.parametrize(("change", "pointer", "code"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_named_and_nothing_is_stored(api, bells, change, pointer, code):
    body = {name: value for name, value in (LEAST | change).items() if value is not None}

    response = api.post(URL, body)

    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    assert (pointer, code) in errors_of(response)
    assert response.json()["code"] == "invalid_request"
    assert not Message.objects.exists()
    assert bells == []


def test_all_that_is_wrong_is_said_at_once(api):
    response = api.post(URL, {"to": "x", "subject": 1, "more": True})

    assert {pointer for pointer, _ in errors_of(response)} == {
        "/to",
        "/subject",
        "/content",
        "/more",
    }


RAW = {
    "bad JSON": (b'{"to": ', 400, "malformed_json"),
    "not UTF-8": (b'{"to": "\xff"}', 400, "malformed_json"),
    "50,000 brackets": (b"[" * 50_000, 400, "malformed_json"),
    "50,000 closed brackets": (b"[" * 50_000 + b"]" * 50_000, 400, "malformed_json"),
    "33 levels": (b'{"a":' * 33 + b"1" + b"}" * 33, 400, "malformed_json"),
    "NaN": (b'{"to": NaN}', 400, "malformed_json"),
    "a name twice": (b'{"to": "a@b.cc", "to": "c@d.ee"}', 400, "malformed_json"),
    "a huge number": (b'{"to": ' + b"9" * 5000 + b"}", 400, "malformed_json"),
    "a list": (b"[1]", 422, "invalid_request"),
    "a string": (b'"x"', 422, "invalid_request"),
    "null": (b"null", 422, "invalid_request"),
    "nothing": (b"", 422, "invalid_request"),
    "2 MB": (b'{"content": "' + b"x" * 2_000_000 + b'"}', 413, "payload_too_large"),
}


@pytest.mark.parametrize(("body", "status", "code"), RAW.values(), ids=RAW.keys())
def test_a_body_that_cannot_be_used_is_refused(api, body, status, code):
    response = api.post(URL, body, content_type="application/json")

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert not Message.objects.exists()


@pytest.mark.parametrize("escape", [r"\ud800", r"\udc00x", r"\u0000"])
@pytest.mark.parametrize("field", ["subject", "content", "to"])
def test_what_no_database_can_store_is_named(api, escape, field):
    body = json.dumps(LEAST | {field: "MARK"}).replace("MARK", f"a{escape}")

    response = api.post(URL, body.encode(), content_type="application/json")

    assert response.status_code == 422
    assert (f"/{field}", "unstorable_character") in errors_of(response)


def test_a_proper_surrogate_pair_is_an_emoji(api):
    body = json.dumps(LEAST | {"subject": "😀"})

    response = api.post(URL, body.encode(), content_type="application/json")

    assert response.status_code == 202
    assert Message.objects.get().content["subject"] == "😀"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x"]
)
def test_another_content_type_is_415(api, kind):
    response = api.post(URL, b"{}", content_type=kind)

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
    assert response.json()["detail"].endswith("Send application/json.")


def test_a_method_that_is_not_there_is_405(api):
    response = api.get(URL)

    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.json()["detail"].endswith("This path takes POST.")


def test_whoever_chooses_what_there_is_not_is_told_what_there_is(api):
    (error,) = api.post(URL, LEAST | {"priority": "urgent"}).json()["errors"]

    assert error["pointer"] == "/priority"
    assert error["detail"] == "It must be one of: high, normal, bulk."


def test_a_body_that_is_no_object_is_told_so(api):
    (error,) = api.post(URL, [1]).json()["errors"]

    assert error["detail"] == "It must be a JSON object: names and values."


def test_an_unknown_path_is_a_problem_too(api):
    response = api.get("/api/v1/nothing")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert response.json()["request_id"] == response["X-Request-ID"]


def test_a_key_that_may_only_read_cannot_send(db):
    client = client_for(make_api_key(scopes=["messages:read"]))

    response = client.post(URL, LEAST)

    assert (response.status_code, response.json()["code"]) == (403, "missing_scope")
    assert "messages:send" in response.json()["detail"]

"""What is too large, too deep or too long is refused by name, and can be set."""

import json
import socket

import pytest
from rest_framework.test import APIClient

from core.bare_answers import write_problem
from tests.conftest import client_for
from tests.factories import make_api_key, make_message

SEND = "/api/v1/messages/email/send"
MESSAGES = "/api/v1/messages"

pytestmark = pytest.mark.django_db


def post(api, body, content_type="application/json"):
    return api.generic("POST", SEND, body, content_type=content_type)


def test_a_body_over_the_limit_is_413_with_the_limit_in_it(api, settings):
    settings.MAX_BODY_BYTES = 1000

    answer = post(api, json.dumps({"content": "x" * 1000}))

    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert "1000 bytes" in answer.json()["detail"]


@pytest.mark.parametrize("depth", [9, 50_000])
def test_a_body_that_is_nested_too_deep_is_400_with_the_limit_in_it(api, settings, depth):
    settings.MAX_JSON_DEPTH = 8

    answer = post(api, '{"metadata": ' + "[" * depth + "]" * depth + "}")

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")
    assert "8 levels" in answer.json()["detail"]


def test_a_url_over_the_limit_is_414_also_without_a_token(api, settings):
    settings.MAX_URL_BYTES = 600

    answers = [
        api.get(MESSAGES, {"reference": "x" * 600}),
        APIClient().get(MESSAGES + "/" + "x" * 600),
        APIClient().get("/docs?" + "x" * 600),
    ]

    assert {answer.status_code for answer in answers} == {414}
    assert {answer.json()["code"] for answer in answers} == {"url_too_long"}
    assert all("600 are allowed" in answer.json()["detail"] for answer in answers)
    assert all(answer["X-Request-ID"] == answer.json()["request_id"] for answer in answers)


def test_too_many_parameters_are_400_and_no_fault_of_ours(api, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 100

    answer = api.get(f"{MESSAGES}?" + "&".join(f"a{n}=" for n in range(101)))

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_forms_are_415_however_large(api, content_type):
    answer = post(api, b"a=" + b"x" * 3_000_000, content_type)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


def test_the_sizes_of_pages_can_be_set(settings):
    settings.PAGE_SIZE, settings.MAX_PAGE_SIZE = 2, 3
    key = make_api_key()
    for _ in range(4):
        make_message(application=key.application)
    api = client_for(key)

    assert len(api.get(MESSAGES).json()["results"]) == 2
    assert len(api.get(MESSAGES, {"page_size": 3}).json()["results"]) == 3
    refused = api.get(MESSAGES, {"page_size": 4})
    assert refused.status_code == 422
    assert "from 1 to 3" in refused.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("status", "sent", "code"),
    [
        (400, 400, "bad_request"),
        (414, 414, "url_too_long"),
        (417, 400, "bad_request"),
        (431, 431, "headers_too_large"),
        (500, 500, "internal_error"),
        (501, 400, "bad_request"),
    ],
)
def test_what_the_web_server_cannot_read_is_answered_like_everything_else(status, sent, code):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        request_id = write_problem(ours, status, "Some Reason", "X-Secret: unguessable")
        head, _, body = theirs.recv(10_000).partition(b"\r\n\r\n")

    problem = json.loads(body)
    assert head.startswith(f"HTTP/1.1 {sent} ".encode())
    assert f"X-Request-ID: {request_id}".encode() in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert (problem["code"], problem["status"], problem["request_id"]) == (code, sent, request_id)
    assert b"unguessable" not in body

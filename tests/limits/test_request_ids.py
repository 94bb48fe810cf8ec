"""One id from the request through the worker's log lines to the message."""

import json
import logging
import re

import pytest
import structlog
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from core.ids import uuid7
from core.logging import logging_config
from messaging import lines as lines_module
from messaging.channels.base import PermanentFailure
from tests.conftest import client_for
from tests.factories import drain, make_api_key, make_message, make_sender

SEND = "/api/v1/messages/email/send"
MESSAGES = "/api/v1/messages"
LETTER = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hi</p>"}
MADE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")

pytestmark = pytest.mark.django_db


@pytest.fixture
def lines():
    """What is logged, formatted as in production, as a list of JSON objects."""
    logging_config(level="INFO", form="json")
    root = logging.getLogger()
    [kept] = [h for h in root.handlers if h.get_name() == "main"]
    found = []

    class Collector(logging.Handler):
        def emit(self, record):
            found.append(json.loads(kept.format(record)))

    collector = Collector()
    root.addHandler(collector)
    yield found
    root.removeHandler(collector)


@pytest.mark.django_db(transaction=True)
def test_one_id_goes_from_the_request_through_the_worker_to_the_message(adapter, lines):
    api = client_for(make_api_key())
    make_sender()
    adapter.failure = PermanentFailure("rejected", phase="data", words="550 no")
    send = adapter.send

    def noisy(self, outbound):
        logging.getLogger("some.library").warning("about to send")
        return send(self, outbound)

    adapter.send = noisy
    try:
        accepted = api.post(SEND, LETTER, headers={"X-Request-ID": "order-4711"})
        drain(now=timezone.now())
    finally:
        adapter.send = send
    told = api.get(f"{MESSAGES}/{accepted.json()['id']}").json()

    by_worker = {line["event"]: line for line in lines if line.get("request_id") == "order-4711"}
    assert accepted["X-Request-ID"] == "order-4711"
    # Ours after the outcome, and a library's during the hand-over.
    assert by_worker["attempt_finished"]["message_id"] == accepted.json()["id"]
    assert by_worker["about to send"]["message_id"] == accepted.json()["id"]
    assert told["request_id"] == "order-4711"
    assert told["status"] == "failed"


@pytest.mark.django_db(transaction=True)
def test_an_adapter_that_breaks_logs_whose_message_it_was(adapter, lines):
    make_sender()
    for name in ("first", "second"):
        make_message(request_id=name)
    adapter.failure = RuntimeError("broken")

    drain()

    broken = [line for line in lines if line["event"] == "adapter_broke"]
    assert broken
    assert {line["request_id"] for line in broken} <= {"first", "second"}
    # The threads are kept, and must not give their next lines to a message that is over.
    left = lines_module._threads().map(lambda _: structlog.contextvars.get_contextvars(), range(50))
    assert list(left) == [{}] * 50


@pytest.mark.parametrize("good", ["a", "order-4711", "A.b_c:d@e/f+g=h", "x" * 64])
def test_a_usable_id_is_kept(api, good):
    assert api.get(MESSAGES, headers={"X-Request-ID": good})["X-Request-ID"] == good


@pytest.mark.parametrize(
    "bad", ["", " ", "x" * 65, "a b", "a\tb", "ä", "<script>", 'a"b', "a;b", "%0d%0aSet-Cookie"]
)
def test_an_id_that_is_not_usable_is_replaced(api, bad):
    answer = api.get(MESSAGES, headers={"X-Request-ID": bad})

    assert MADE.fullmatch(answer["X-Request-ID"])


def test_every_answer_has_an_id_whatever_it_is(api, settings, monkeypatch):
    quiet = Client(raise_request_exception=False)
    monkeypatch.setattr("messaging.viewsets.MessageViewSet.list", lambda *_: 1 / 0)
    api.raise_request_exception = False
    answers = [
        api.post(SEND, LETTER),  # 202
        api.post(SEND, {}),  # 422
        api.get(MESSAGES),  # 500, in a view of the API
        api.get(f"{MESSAGES}/{uuid7()}"),  # 404
        api.put(MESSAGES),  # 405
        APIClient().get(MESSAGES),  # 401
        api.generic("POST", SEND, "{", content_type="application/json"),  # 400
        quiet.get("/api/v1/nothing"),  # 404, past every view
        quiet.get("/nothing"),
        quiet.get("/health/live"),
        quiet.get("/admin/"),  # 302
        quiet.get("/docs", headers={"host": "evil.example.com"}),  # 400
        quiet.get("/api/v1/messages", headers={"host": "evil.example.com"}),
    ]

    statuses = [answer.status_code for answer in answers]
    assert statuses == [202, 422, 500, 404, 405, 401, 400, 404, 404, 200, 302, 400, 400]
    ids = [answer["X-Request-ID"] for answer in answers]
    assert all(MADE.fullmatch(id_) for id_ in ids)
    assert len(set(ids)) == len(ids)
    problems = [answer for answer in answers if "problem" in answer["Content-Type"]]
    assert len(problems) == 9
    assert all(answer.json()["request_id"] == answer["X-Request-ID"] for answer in problems)


def test_a_fault_outside_of_the_api_is_a_problem_with_the_id(monkeypatch):
    monkeypatch.setattr("core.health._result", lambda *_: 1 / 0)

    answer = Client(raise_request_exception=False).get("/health/ready")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.json()["request_id"] == answer["X-Request-ID"]


def test_a_host_that_is_not_ours_is_a_problem(api):
    answer = Client().get("/api/v1/messages", headers={"host": "evil.example.com"})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")

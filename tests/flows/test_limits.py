"""Limits over several web processes, tokens over a change of keys, ids over process borders."""

import json
import secrets
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from tests.flows.production import Production
from tests.installation import until

SEND = "/api/v1/messages/email/send"


@pytest.fixture(scope="module")
def served(production: Production):
    """gunicorn as the image runs it, with four processes."""
    production.stop("web")
    start(production)
    yield production
    with redis.Redis.from_url(production.environment["REDIS_URL"]) as client:
        for key in client.scan_iter(f"{production.database}:*", count=1000):
            client.delete(key)


@pytest.fixture
def web(served: Production):
    """Without limits, to begin with."""
    served.execute(
        "UPDATE accounts_application SET messages_per_day = NULL, requests_per_second = NULL"
    )
    return served


def start(production: Production, **extra: str) -> None:
    production.start_web(workers=4, LOG_FORMAT="json", **extra)
    until(lambda: production.status_of("/health/live") == 200, seconds=30, what="up")


def send(production: Production, token: str, **headers: str) -> tuple[int, dict[str, Any], Any]:
    # Each differs from every other.
    body = {
        "to": "ann@example.com",
        "subject": "Limits",
        "content": "<p>Hi</p>",
        "reference": secrets.token_hex(8),
    }
    request = urllib.request.Request(
        f"http://{production.bind}{SEND}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {token}", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


def test_four_processes_accept_exactly_the_quota_together(web):
    token = web.token()
    before = web.query("SELECT COUNT(*) FROM messaging_message")[0][0]
    web.manage("set_limits", "flows", "--messages-per-day", str(before + 50))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(web, token), range(200)))

    assert Counter(status for status, *_ in answers) == {202: 50, 429: 150}
    assert {body["code"] for status, body, _ in answers if status == 429} == {"quota_exceeded"}
    assert web.query("SELECT COUNT(*) FROM messaging_message")[0][0] == before + 50
    used = web.manage("set_limits", "flows")
    assert f"used today: {before + 50}" in used


def test_four_processes_let_exactly_the_burst_through_together(web):
    token = web.token()
    web.manage("set_limits", "flows", "--requests-per-second", "1", "--burst", "40")

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(web, token), range(60)))
    took = time.monotonic() - began

    counted = Counter(status for status, *_ in answers)
    # One a second comes back meanwhile.
    assert 40 <= counted[202] <= 41 + took
    assert {b["code"] for status, b, _ in answers if status == 429} == {"rate_limited"}


def test_one_id_is_found_in_the_lines_of_web_and_worker_and_on_the_message(web):
    token = web.token()
    web.stop("worker")
    web.start("worker", "celery", "-A", "notification_platform", "worker", "-P", "threads",
              "-c", "2", LOG_LEVEL="DEBUG", LOG_FORMAT="json")  # fmt: skip
    try:
        status, body, headers = send(web, token, **{"X-Request-ID": "flow-4711"})
        until(
            lambda: web.message(token, body["id"])["status"] == "success", seconds=30, what="sent"
        )
        until(lambda: '"flow-4711"' in web.log("worker"), seconds=10, what="logged")
    finally:
        web.stop("worker")
        web.start_worker()

    assert (status, headers["X-Request-ID"]) == (202, "flow-4711")
    assert web.message(token, body["id"])["request_id"] == "flow-4711"
    of_web = [line for line in web.log("web").splitlines() if '"flow-4711"' in line]
    of_worker = [line for line in web.log("worker").splitlines() if '"flow-4711"' in line]
    assert any(json.loads(line)["path"] == SEND for line in of_web)
    assert any(json.loads(line)["event"] == "attempt_finished" for line in of_worker)
    assert all("ann@example.com" not in line for line in of_worker)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"NONSENSE\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, "url_too_long"),
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 9000 + b"\r\n\r\n",
            431,
            "headers_too_large",
        ),
    ],
    ids=["nonsense", "header name", "url", "header"],
)
def test_what_gunicorn_cannot_read_is_a_problem_with_an_id_that_is_logged(web, sent, status, code):
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        connection.sendall(sent)
        answer = b""
        while piece := connection.recv(10_000):
            answer += piece

    head, _, body = answer.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert (problem["status"], problem["code"]) == (status, code)
    assert f"X-Request-ID: {problem['request_id']}".encode() in head
    until(lambda: problem["request_id"] in web.log("web"), seconds=10, what="logged")


def test_a_rotated_signing_key_ends_all_tokens_and_new_ones_work(web):
    old = web.token()
    assert send(web, old)[0] == 202

    web.stop("web")
    start(web, JWT_SIGNING_KEY="another-signing-key-" + "1" * 48)
    refused, body, _ = send(web, old)
    new = web.token()

    assert (refused, body["code"]) == (401, "invalid_token")
    assert send(web, new)[0] == 202

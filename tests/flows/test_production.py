"""The production way: gunicorn, Celery worker and beat as processes of their own."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from http.client import HTTPConnection
from uuid import UUID

from tests.flows.production import Production
from tests.installation import CELERY, until


def subjects(production: Production) -> list[str]:
    return [message_from_bytes(content)["Subject"] for content in production.mail.contents()]


def test_200_messages_by_http_all_arrive_once(production):
    token = production.token()

    with ThreadPoolExecutor(8) as pool:
        ids = list(
            pool.map(
                lambda n: production.send(token, subject=f"Message {n}", to=f"user{n}@example.com"),
                range(200),
            )
        )

    until(lambda: len(production.mail.envelopes) >= 200, seconds=60, what="all there")
    until(
        lambda: all(production.message(token, id_)["status"] == "success" for id_ in ids[-20:]),
        seconds=20,
        what="recorded",
    )
    listed = production.call("/api/v1/messages?status=success&page_size=100", token=token)
    assert sorted(subjects(production)) == sorted(f"Message {n}" for n in range(200))
    assert len(set(ids)) == 200
    assert listed["total"] == 200


def test_the_story_of_a_message_can_be_read(production):
    token = production.token()
    message_id = production.send(token)

    until(
        lambda: production.message(token, message_id)["status"] == "success",
        seconds=20,
        what="sent",
    )

    history = production.message(token, message_id)["history"]
    assert [step["status"] for step in history] == ["pending", "sending", "success"]
    assert [step["at"] for step in history] == sorted(step["at"] for step in history)


def test_a_simulated_bounce_comes_back_through_the_whole_platform(production):
    token = production.token()
    before = len(production.mail.envelopes)
    sent = production.send(token, to="bounce+flow@simulator.invalid", priority="high")

    until(
        lambda: production.message(token, sent)["feedback"] == "bounced",
        seconds=30,
        what="reported",
    )

    history = production.message(token, sent)["history"]
    assert [step["status"] for step in history] == ["pending", "sending", "success", "bounced"]
    suppressed = production.call("/api/v1/suppressions", token=token)["results"]
    assert [row["address"] for row in suppressed] == ["bounce+flow@simulator.invalid"]
    assert len(production.mail.envelopes) == before


def test_with_the_broker_down_accepting_goes_on_and_the_mail_goes_out_later(production):
    token = production.token()
    before = len(production.mail.envelopes)
    production.broker_proxy.cut()
    try:
        started = time.monotonic()
        ids = [production.send(token) for _ in range(20)]
        took = time.monotonic() - started
        ready = production.status_of("/health/ready")
    finally:
        production.broker_proxy.mend()

    assert len(set(ids)) == 20
    # A request that waited for the broker would wait for 3 s each.
    assert took < 20
    assert ready == 503
    until(lambda: len(production.mail.envelopes) == before + 20, seconds=90, what="caught up")


def test_a_second_worker_on_the_same_host_works_beside_the_first(production):
    production.start("worker-2", *CELERY, "worker", "-P", "threads", "-c", "2", "-l", "info")

    until(lambda: "ready." in production.log("worker-2"), seconds=30, what="ready")
    assert production.processes["worker-2"].poll() is None
    assert "RESOURCE_LOCKED" not in production.log("worker-2")
    production.stop("worker-2")


def test_a_worker_that_is_stopped_hands_back_what_it_holds(production):
    token = production.token()
    production.stop("worker")
    production.start("worker", *CELERY, "worker", "-P", "threads", "-c", "2")
    production.mail.delay = 0.1
    before = len(production.mail.envelopes)
    try:
        ids = [production.send(token, subject="Stop") for _ in range(60)]
        until(lambda: len(production.mail.envelopes) > before + 2, seconds=30, what="under way")
        production.stop("worker")
        held = production.query("SELECT status, COUNT(*) FROM messaging_message GROUP BY status")
        doubts = production.query("SELECT 1 FROM messaging_attempt WHERE outcome = ''")
    finally:
        production.mail.delay = 0.0
        production.start_worker()

    assert dict(held)["pending"] > 0
    assert "sending" not in dict(held)
    assert doubts == []
    until(
        lambda: all(production.message(token, id_)["status"] == "success" for id_ in ids),
        seconds=30,
        what="all sent",
    )
    assert len(production.mail.envelopes) == before + 60


def test_a_killed_worker_loses_nothing_and_every_extra_copy_is_explained(production):
    token = production.token()
    production.mail.delay = 0.1
    before = len(production.mail.envelopes)
    # It finds all of them at once, so that it holds many while the first go out.
    production.pause("worker")
    try:
        with ThreadPoolExecutor(8) as pool:
            ids = list(pool.map(lambda _: production.send(token, subject="Kill"), range(150)))
        production.resume("worker")
        until(lambda: len(production.mail.envelopes) >= before + 10, seconds=30, what="under way")
        production.kill_worker()
    finally:
        production.mail.delay = 0.0
        production.start_worker()

    # The lease ends after 5 s; then the sweep finds what was held.
    until(
        lambda: (
            not production.query(
                "SELECT 1 FROM messaging_message WHERE status <> 'success' LIMIT 1"
            )
        ),
        seconds=60,
        what="all recovered",
    )
    doubts = dict(
        production.query(
            "SELECT message_id, COUNT(*) FROM messaging_attempt WHERE unknown_at IS NOT NULL "
            "GROUP BY message_id"
        )
    )
    copies = Counter(
        message_from_bytes(content)["Message-ID"][1:37]
        for content in production.mail.contents()[before:]
    )
    events = dict(production.query("SELECT kind, COUNT(*) FROM messaging_event GROUP BY kind"))
    # The kill hit claims that were held: otherwise this test shows nothing.
    assert events.get("lease_lost", 0) > 0
    assert set(copies) == set(ids)
    for id_ in ids:
        assert copies[id_] <= 1 + doubts.get(UUID(id_), 0)


def test_a_wrong_password_benches_the_sender_and_the_message_goes_when_it_is_mended(production):
    token = production.token()
    before = len(production.mail.envelopes)
    production.mail.password = "changed"
    # Open connections have logged in already: only new ones notice.
    production.manage(
        "shell",
        "-c",
        "from messaging.models import Sender; Sender.objects.update(from_name='Renamed')",
    )
    message_id = production.send(token)
    until(
        lambda: production.message(token, message_id)["reason"] == "no_sender",
        seconds=20,
        what="benched",
    )
    waiting = production.message(token, message_id)

    production.mail.password = "right"
    seen = production.manage("test_sender", "flow-1")

    until(
        lambda: production.message(token, message_id)["status"] == "success",
        seconds=20,
        what="sent",
    )
    assert waiting["status"] == "pending"
    assert "flow-1: benched" in waiting["reason_detail"]
    assert "credentials" in waiting["reason_detail"]
    assert "535" in str(waiting["history"])
    assert "ok     auth" in seen
    assert len(production.mail.envelopes) == before + 1


def test_a_body_in_chunks_is_read_and_one_that_is_too_large_is_refused(production):
    def post(*chunks: bytes) -> int:
        connection = HTTPConnection(production.bind, timeout=10)
        headers = {
            "Authorization": f"Bearer {production.token()}",
            "Content-Type": "application/json",
            "Transfer-Encoding": "chunked",
        }
        path = "/api/v1/messages/email/send"
        connection.request("POST", path, body=iter(chunks), headers=headers, encode_chunked=True)
        status = connection.getresponse().status
        connection.close()
        return status

    body = json.dumps({"to": "ann@example.com", "subject": "Chunks", "content": "x"}).encode()

    assert post(body[:10], body[10:]) == 202
    assert post(b'{"content": "', b"x" * 1_048_576, b'"}') == 413

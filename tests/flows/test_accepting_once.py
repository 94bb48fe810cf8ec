"""Many processes at once: one key is one message, and a thousand times one moment is one drain."""

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from tests.flows.production import Production
from tests.installation import until

ROUNDS, CALLERS = 20, 50
BATCHES, SIZE = 10, 1000


def post(production: Production, token: str, *, key: str) -> tuple[int, bytes, bool]:
    """Status, body, and whether it is a replay. One that is told to come again comes again."""
    body = {"to": "ann@example.com", "subject": key, "content": "<p>Hi</p>"}
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {token}",
        "Idempotency-Key": key,
    }
    url = f"http://{production.bind}/api/v1/messages/email/send"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), "Idempotent-Replayed" in answer.headers
    except urllib.error.HTTPError as error:
        if (error.code, error.headers["Retry-After"]) != (409, "1"):
            raise
        return post(production, token, key=key)


def test_fifty_requests_with_one_key_through_four_processes_store_one_row(production):
    production.stop("web")
    production.start_web(workers=4)
    until(lambda: production.status_of("/health/live") == 200, seconds=30, what="up")
    token = production.token()

    with ThreadPoolExecutor(CALLERS) as pool:
        for number in range(ROUNDS):
            key = f"round-{number}"
            asked = [pool.submit(post, production, token, key=key) for _ in range(CALLERS)]
            answers = [one.result() for one in asked]
            assert len({body for _, body, _ in answers}) == 1
            assert {status for status, _, _ in answers} == {202}
            assert sum(not is_replay for _, _, is_replay in answers) == 1

    stored = production.query(
        "SELECT count(*) FROM messaging_message WHERE content->>'subject' LIKE 'round-%%'"
    )
    assert stored == [(ROUNDS,)]


def test_ten_thousand_that_are_due_in_one_second_start_within_two(production):
    """And take no more memory of a worker than a few."""
    token = production.token()
    production.send(token)
    before = max(child.memory_info().rss for child in production.children("worker"))
    due_at = datetime.now(UTC) + timedelta(seconds=25)
    for batch in range(BATCHES):
        body = {
            "defaults": {"subject": f"Due {batch}", "content": "x", "send_at": due_at.isoformat()},
            "items": [{"to": f"c{number}@example.com"} for number in range(SIZE)],
        }
        told = production.call("/api/v1/messages/batch", body, token=token, timeout=30)
        assert told["accepted"] == SIZE
    assert datetime.now(UTC) < due_at, "this machine is too slow to accept them in time"

    scheduled = "SELECT count(*) FROM messaging_message WHERE due_at = %s AND status = 'pending'"
    assert production.query(scheduled, due_at) == [(BATCHES * SIZE,)]
    began = """
        SELECT min(started_at) FROM messaging_attempt
        JOIN messaging_message ON messaging_message.id = message_id WHERE due_at = %s
    """
    until(lambda: production.query(began, due_at)[0][0] is not None, seconds=60, what="begun")
    started_at = production.query(began, due_at)[0][0]
    until(
        lambda: production.query(scheduled, due_at) == [(0,)], seconds=180, what="all handed over"
    )
    after = max(child.memory_info().rss for child in production.children("worker"))

    assert timedelta(0) <= started_at - due_at < timedelta(seconds=2)
    assert after - before < 30e6

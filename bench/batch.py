"""How many messages a second come in by batches of 100, against the same rows by one multi-row
INSERT a hundred."""

import json
import time
from contextlib import ExitStack

from django.db import connection

from bench.report import Figure
from bench.stage import BenchError, Stage
from bench.web import BATCH_PATH, LETTER, load, make_application, make_token, serve_platform
from core.ids import uuid7
from messaging.models import Message

SIZE = 100
WARM_UP_SECONDS = 1.5
ROW = """(%s, %s, 'email', 'normal', 'at_least_once', %s, %s, '', '{}', '[]', '', 'pending', '', '',
    '', now() + interval '72 hours', 0, 0, 0, 0)"""
INSERT = f"""
    INSERT INTO messaging_message (
        id, application_id, channel, lane, policy, recipient, content, reference, metadata, tags,
        request_id, status, reason, reason_detail, feedback, expires_at, lease_token, claims, tries,
        unknown_resends
    ) VALUES {", ".join([ROW] * SIZE)}
"""


def measure(stage: Stage, *, rounds: int, seconds: float) -> list[Figure]:
    token = make_token()
    ours: list[float] = []
    theirs: list[float] = []
    # Each batch has a reference of its own, so that none repeats another.
    people = [{"to": f"customer-{number}@example.com"} for number in range(SIZE)]
    body = {"defaults": LETTER | {"reference": "%NUMBER%"}, "items": people}
    with ExitStack() as stack:
        web = serve_platform(stage, stack)
        load(web, token=token, body=body, path=BATCH_PATH, duration=WARM_UP_SECONDS)
        for number in range(rounds):
            for is_ours in (True, False) if number % 2 else (False, True):
                with connection.cursor() as cursor:
                    cursor.execute("TRUNCATE messaging_message, messaging_fingerprint CASCADE")
                if not is_ours:
                    theirs.append(_insert(seconds))
                    continue
                done = load(web, token=token, body=body, path=BATCH_PATH, duration=seconds)
                stored, asked = Message.objects.count(), SIZE * len(done["seconds"])
                if stored != asked:
                    raise BenchError(f"{asked} were answered with 202, and {stored} are stored.")
                ours.append(stored / done["took"])
    return [Figure("accept: by batches of 100", ours, "one INSERT a hundred", theirs, 0.25)]


def _insert(seconds: float) -> float:
    """Contents written once; a hundred rows by one statement and one commit."""
    application = make_application().pk
    contents = [
        json.dumps(
            {
                "to": [["", f"customer-{number}@example.com"]],
                "subject": LETTER["subject"],
                "html": LETTER["content"],
                "text": LETTER["text"],
            }
        )
        for number in range(SIZE)
    ]
    stored, started = 0, time.perf_counter()
    with connection.cursor() as cursor:
        while (took := time.perf_counter() - started) < seconds:
            values = [
                value
                for number, content in enumerate(contents)
                for value in (uuid7(), application, f"customer-{number}@example.com", content)
            ]
            cursor.execute(INSERT, values)
            stored += SIZE
    return stored / took

"""`python -m bench.growth_fill ROWS` fills the migrated database of `DATABASE_URL`: messages of the
last 90 days in the order of their ids, with 1 kB of content and one attempt for each that was sent.
"""

import sys
import time
from contextlib import suppress
from typing import Any

import django

CHUNK = 250_000
# Messages that are due in `bulk`, however many rows there are: a backlog, not a share.
DUE = 2_000

# A UUID of version 7 from the time and a number (the shape is that of `core.ids`).
FUNCTION = """
    CREATE FUNCTION pg_temp.uuid7(at timestamptz, seed text) RETURNS uuid LANGUAGE sql AS $$
        SELECT (
            lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
            || '7' || substr(md5(seed), 1, 3) || '8' || substr(md5(seed), 4, 15)
        )::uuid
    $$
"""
# Of a hundred messages 60 belong to the largest application, 95 went well and 3 failed; 2 in a
# thousand wait for a time to come. `number` runs up to `total`, the newest.
MESSAGES = """
    WITH numbers AS (
        SELECT number, 'customer-' || number %% 1000003 || '@example.com' AS recipient,
            now() - interval '90 days' * (1 - number::float / %(total)s) AS at,
            (number * 7919) %% 1000 AS dice
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) number
    ), drawn AS (
        SELECT *, CASE
            WHEN %(is_due)s OR dice >= 998 THEN 'pending'
            WHEN dice < 950 THEN 'success'
            WHEN dice < 980 THEN 'failed'
            ELSE 'cancelled'
        END AS status
        FROM numbers
    ), made AS (
        INSERT INTO messaging_message (
            id, application_id, api_key_id, channel, lane, policy, recipient, content, reference,
            metadata, tags, request_id, status, reason, reason_detail, feedback, sender_id,
            created_at, due_at, expires_at, finished_at, lease_token, claims, tries,
            unknown_resends
        )
        SELECT pg_temp.uuid7(at, number || 'm'),
            (%(applications)s::bigint[])[CASE
                WHEN number %% 100 < 60 THEN 1 WHEN number %% 100 < 80 THEN 2
                WHEN number %% 100 < 90 THEN 3 WHEN number %% 100 < 97 THEN 4 ELSE 5 END],
            NULL, 'email',
            CASE WHEN %(is_due)s OR number %% 10 < 6 THEN 'bulk'
                WHEN number %% 10 < 9 THEN 'normal' ELSE 'high' END,
            'at_least_once', recipient,
            jsonb_build_object('to', jsonb_build_array(jsonb_build_array('', recipient)),
                'subject', 'Your order ' || number, 'text', 'Thank you for order ' || number,
                'html', '<p>' || repeat(md5(number::text) || ' is on its way. ', 18) || '</p>'),
            CASE WHEN number %% 4 = 0 THEN 'order-' || number ELSE '' END, '{}', '[]', '', status,
            CASE WHEN status = 'failed' THEN 'rejected' ELSE '' END, '', '',
            CASE WHEN status IN ('success', 'failed') THEN %(sender)s END,
            at, CASE WHEN status = 'pending' AND NOT %(is_due)s THEN now() + interval '9 days'
                ELSE at END,
            now() + interval '10 days',
            CASE WHEN status = 'pending' THEN NULL ELSE at + interval '2 seconds' END,
            CASE WHEN status = 'pending' THEN 0 ELSE 1 END, 0, 0, 0
        FROM drawn
        RETURNING id, status, created_at, sender_id
    )
    INSERT INTO messaging_attempt (
        id, message_id, sender_id, lease_token, started_at, finished_at, outcome, kind, phase,
        provider_code, provider_words, provider_message_id, refused, decision, worker
    )
    SELECT pg_temp.uuid7(created_at + interval '1 second', id || 'a'), id, sender_id, 1,
        created_at + interval '1 second', created_at + interval '2 seconds',
        CASE WHEN status = 'success' THEN 'accepted' ELSE 'permanent' END, '', '',
        '250', '2.0.0 Taken', '', '[]', '{"chosen": "bench"}', 'bench:1'
    FROM made WHERE sender_id IS NOT NULL
"""


def main(*, rows: int) -> str:
    django.setup()
    from django.db import DatabaseError, connection

    started = time.monotonic()
    given = _foundation() | {"total": rows}
    with connection.cursor() as cursor:
        cursor.execute(FUNCTION)
        # Our rows refer to what is there; without the right to say so they are checked one by one.
        with suppress(DatabaseError):
            cursor.execute("SET session_replication_role = replica")
        for first in range(1, rows + 1, CHUNK):
            last = min(first + CHUNK - 1, rows)
            is_due = {"is_due": False}
            cursor.execute(MESSAGES, given | is_due | {"first": first, "last": last})
        due = {"is_due": True, "first": rows + 1, "last": rows + DUE, "total": rows + DUE}
        cursor.execute(MESSAGES, given | due)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT pg_database_size(current_database())")
        size = cursor.fetchone()[0]
    took = time.monotonic() - started
    return f"{rows:,} rows in {took:.0f} s, {size / 1e6:,.0f} MB, {size / rows:,.0f} bytes each."


def _foundation() -> dict[str, Any]:
    from accounts.models import Application
    from messaging.models import Sender

    applications = [Application.objects.create(name=f"growth-{number}") for number in range(5)]
    sender = Sender.objects.create(
        name="bench", channel="email", adapter="smtp", from_address="bench@example.com"
    )
    return {"applications": [row.pk for row in applications], "sender": sender.pk}


if __name__ == "__main__":
    print(main(rows=int(sys.argv[1])))

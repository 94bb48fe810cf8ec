"""Waits until a fleet is quiet and gathers what its verifier judges."""

import time
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.faults.clients import Clients
from tests.faults.fleet import Fleet
from tests.faults.ledger import Copy
from tests.faults.verifier import (
    Allowed,
    AttemptRow,
    Evidence,
    Move,
    Quota,
    Row,
    Verdict,
    judge,
)

# Held, resting, or due, or waiting for something that the scenario does not wait for.
_MOVING = """
    SELECT count(*) FROM messaging_message
    WHERE status = 'sending' OR (status = 'unknown' AND NOT %s)
        OR (status = 'pending' AND NOT (reason = ANY(%s) AND due_at > now()))
"""


def verify(
    fleet: Fleet, clients: Clients, *, allowed: Allowed | None = None, within: float = 120
) -> Verdict:
    """Wait until nothing moves, or for `within` seconds after the last fault, which was now; print
    the verdict's line and raise `AssertionError` when something is wrong."""
    allowed = allowed or Allowed()
    wait_until_quiet(fleet, allowed, within=within)
    verdict = judge(gather(fleet, clients), allowed)
    print(f"{verdict}; answers {clients.summary()}", flush=True)
    return verdict.check()


def wait_until_quiet(fleet: Fleet, allowed: Allowed, *, within: float) -> bool:
    ends_at = time.monotonic() + within
    quiet_since: float | None = None
    copies = -1
    while time.monotonic() < ends_at:
        ((moving,),) = fleet.query(_MOVING, allowed.unknown, sorted(allowed.pending))
        if moving or len(fleet.copies) != copies:
            quiet_since, copies = None, len(fleet.copies)
        elif quiet_since is None:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > 1:
            return True
        time.sleep(0.25)
    return False


def gather(fleet: Fleet, clients: Clients) -> Evidence:
    ((now,),) = fleet.query("SELECT now()")
    rows = fleet.query(
        "SELECT id, status, reason, policy, due_at, lease_token FROM messaging_message"
    )
    attempts = fleet.query(
        "SELECT a.id, a.message_id, s.name, a.started_at, a.outcome, a.unknown_at IS NOT NULL "
        "FROM messaging_attempt a JOIN messaging_sender s ON s.id = a.sender_id"
    )
    moves = fleet.query(
        "SELECT message_id, was, became, old_reason, old_token, new_token FROM fault_moves "
        "ORDER BY id"
    )
    return Evidence(
        requests=list(clients.requests),
        copies=copies_of(fleet, clients),
        rows=[Row(str(row[0]), *row[1:]) for row in rows],
        attempts=[AttemptRow(str(row[0]), str(row[1]), *row[2:]) for row in attempts],
        moves=[Move(str(row[0]), *row[1:]) for row in moves],
        quotas=[_quota(row) for row in fleet.query(_QUOTAS)],
        now=now,
    )


def copies_of(fleet: Fleet, clients: Clients) -> list[Copy]:
    """All that were taken. A provider that is told no id of a message knows to whom it went, and
    the clients know which one that was."""
    ids = {request.to: request.message_id for request in clients.accepted()}
    return [
        copy if copy.message_id else replace(copy, message_id=ids.get(copy.recipients[0], ""))
        for copy in fleet.copies.copies
    ]


_QUOTAS = """
    SELECT s.name, l.window, l.limited, COALESCE(w.used, 0), s.time_zone
    FROM messaging_sender s
    CROSS JOIN LATERAL (
        VALUES ('minute', s.per_minute), ('hour', s.per_hour), ('day', s.per_day)
    ) AS l("window", limited)
    LEFT JOIN messaging_senderwindow w ON w.sender_id = s.id AND w."window" = l."window"
    WHERE l.limited IS NOT NULL
"""


def _quota(row: tuple[Any, ...]) -> Quota:
    name, window, limit, used, zone = row

    def start_of(moment: datetime) -> datetime:
        local = moment.astimezone(ZoneInfo(zone))
        if window == "day":
            return local.replace(hour=0, minute=0, second=0, microsecond=0)
        minute = 0 if window == "hour" else local.minute
        return local.replace(minute=minute, second=0, microsecond=0)

    return Quota(name, window, limit, used, start_of)

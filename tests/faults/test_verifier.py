"""A verifier that cannot fail is worthless: each check against evidence that was forged for it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.faults.clients import Request
from tests.faults.ledger import Copy
from tests.faults.verifier import (
    SILENCE,
    Allowed,
    AttemptRow,
    Evidence,
    Move,
    Quota,
    Row,
    judge,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def sound() -> Evidence:
    """Message 1 went well; 2 arrived twice after a doubt."""
    return Evidence(
        requests=[request("1"), request("2"), Request("ref-3", 0, "", "at_least_once", "", 0.0)],
        copies=[copy("1", "1a"), copy("2", "2a"), copy("2", "2b")],
        rows=[row("1"), row("2")],
        attempts=[
            attempt("1a", "1"),
            attempt("2a", "2", outcome="", is_doubtful=True),
            attempt("2b", "2"),
        ],
        moves=[
            *moves("1", None, "pending", "sending", "success"),
            *moves("2", None, "pending", "sending", "unknown", "pending", "sending", "success"),
        ],
        quotas=[quota(limit=3, used=3)],
        now=NOON + timedelta(minutes=5),
    )


def request(message_id: str) -> Request:
    return Request(f"ref-{message_id}", 202, message_id, "at_least_once", "", 0.0)


def copy(message_id: str, attempt_id: str, *, account: str = "plain") -> Copy:
    return Copy(message_id, attempt_id, ("ann@example.com",), account, 0.0, True)


def row(message_id: str, status: str = "success", reason: str = "") -> Row:
    return Row(message_id, status, reason, "at_least_once", NOON)


def attempt(
    id_: str, message_id: str, *, outcome: str = "accepted", is_doubtful: bool = False
) -> AttemptRow:
    return AttemptRow(id_, message_id, "plain", NOON, outcome, is_doubtful)


def moves(message_id: str, *path: str | None) -> list[Move]:
    found, token = [], 0
    for was, became in pairwise(path):
        risen = token + (was == "pending" and became == "sending")
        found.append(Move(message_id, was, str(became), "", token, risen))
        token = risen
    return found


def quota(*, limit: int, used: int, sender: str = "plain") -> Quota:
    return Quota(sender, "minute", limit, used, lambda at: at.replace(second=0, microsecond=0))


def problems(evidence: Evidence, allowed: Allowed | None = None) -> str:
    return "\n".join(judge(evidence, allowed).problems)


def test_sound_evidence_is_found_sound_and_summed_up():
    verdict = judge(sound()).check()

    assert str(verdict) == (
        "accepted 2 = delivered 2 + terminal 0 + pending 0; duplicates 1 (explained 1); lost 0"
    )


def test_an_accepted_message_without_a_row_is_lost():
    evidence = sound()
    evidence.requests.append(request("9"))

    verdict = judge(evidence)

    assert verdict.lost == 1
    assert "9: lost: accepted, and there is no row" in verdict.problems
    with pytest.raises(AssertionError, match="there is no row"):
        verdict.check()


def test_one_id_told_to_two_callers_is_found():
    evidence = sound()
    evidence.requests.append(request("1"))

    assert "1: answered with 202 to 2 requests" in problems(evidence)


def test_a_success_that_no_provider_took_is_lost():
    evidence = sound()
    del evidence.copies[0]

    verdict = judge(evidence)

    assert verdict.lost == 1
    assert "1: lost: success, and no provider took it" in verdict.problems


def test_a_success_that_nobody_was_told_of_needs_a_copy_too():
    evidence = sound()
    del evidence.copies[0], evidence.requests[0]

    assert "1: lost: success, and no provider took it" in problems(evidence)


def test_a_row_that_nobody_was_told_of_is_fine():
    evidence = sound()
    del evidence.requests[0]

    assert not problems(evidence)


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        ("failed", "rejected", "1: failed (rejected)"),
        ("pending", "no_sender", "1: still pending (no_sender)"),
        ("unknown", "", "1: still unknown"),
        ("cancelled", "", "1: cancelled"),
        ("sending", "", "1: stuck in sending"),
    ],
)
def test_an_end_that_the_scenario_does_not_allow_is_found(status, reason, words):
    evidence = sound()
    evidence.rows[0] = row("1", status, reason)
    evidence.moves.clear()

    assert words in problems(evidence)


@pytest.mark.parametrize(
    ("status", "reason", "path"),
    [
        ("failed", "unknown_outcome", ("pending", "sending", "unknown", "failed")),
        ("pending", "no_sender", ("pending", "sending", "pending")),
        ("unknown", "", ("pending", "sending", "unknown")),
    ],
)
def test_an_end_that_the_scenario_allows_is_fine(status, reason, path):
    evidence = sound()
    evidence.rows[0] = replace(row("1", status, reason), due_at=evidence.now)
    evidence.moves = [*moves("1", None, *path), *evidence.moves[3:]]
    allowed = Allowed(failed=SILENCE, pending=frozenset({"no_sender"}), unknown=True)

    assert not problems(evidence, allowed)


def test_a_copy_without_a_row_is_invented():
    evidence = sound()
    evidence.copies.append(copy("9", "9a"))

    assert "9: a copy without a row" in problems(evidence)


def test_a_copy_of_an_attempt_that_is_not_recorded_is_invented():
    evidence = sound()
    evidence.attempts[0] = attempt("1x", "1")

    assert "1: a copy of attempt 1a, which is none of its" in problems(evidence)


def test_a_copy_at_another_account_than_the_attempts_is_found():
    evidence = sound()
    evidence.copies[0] = copy("1", "1a", account="tls-1")

    assert "1: attempt of plain, taken by tls-1" in problems(evidence)


def test_an_extra_copy_without_a_doubt_is_found():
    evidence = sound()
    evidence.attempts[1] = attempt("2a", "2")
    verdict = judge(evidence)

    assert (verdict.duplicates, verdict.explained) == (1, 0)
    assert "2: 1 extra copies and 0 doubts" in verdict.problems


def test_two_extra_copies_are_one_too_many_even_with_doubts():
    evidence = sound()
    evidence.copies.append(copy("2", "2c"))
    evidence.attempts.append(attempt("2c", "2", outcome="unknown", is_doubtful=True))

    assert "2: 2 extra copies; one resend is allowed" in problems(evidence)


def test_at_most_once_allows_no_extra_copy_whatever_the_doubts():
    evidence = sound()
    evidence.rows[1] = replace(evidence.rows[1], policy="at_most_once")
    verdict = judge(evidence)

    assert (verdict.duplicates, verdict.explained) == (1, 0)
    assert "2: at_most_once, and 2 copies" in verdict.problems


def test_a_due_message_that_nobody_claims_is_stuck():
    evidence = sound()
    evidence.rows[0] = row("1", "pending", "temporary_failure")
    evidence.moves.clear()
    allowed = Allowed(pending=frozenset({"temporary_failure"}))

    assert "1: due for 0:05:00 and not claimed" in problems(evidence, allowed)
    evidence.now = NOON + timedelta(seconds=119)
    assert not problems(evidence, allowed)


def test_an_open_attempt_of_a_finished_message_is_found():
    evidence = sound()
    evidence.attempts[0] = attempt("1a", "1", outcome="")

    assert "1: success, and attempt 1a is open" in problems(evidence)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ((None, "sending", "success"), "1: inserted as sending"),
        ((None, "pending", "unknown", "success"), "1: pending -> unknown: no legal move"),
        (
            (None, "pending", "sending", "success", "pending", "success"),
            "1: success -> pending: no legal move",
        ),
        (
            (None, "pending", "sending", "failed", "success"),
            "1: failed -> success: it had failed for",
        ),
        ((None, "pending", "sending"), "1: is success, and was last seen becoming sending"),
    ],
)
def test_an_illegal_move_is_found(path, words):
    evidence = sound()
    evidence.moves = [*moves("1", *path), *evidence.moves[3:]]

    assert words in problems(evidence)


def test_a_gap_between_two_moves_is_found():
    evidence = sound()
    del evidence.moves[1]

    assert "1: sending -> success: it was pending before" in problems(evidence)


def test_a_late_answer_makes_a_success_of_an_unknown_outcome():
    evidence = sound()
    path = moves("1", None, "pending", "sending", "unknown", "failed", "success")
    path[-1] = replace(path[-1], old_reason="unknown_outcome")
    evidence.moves = [*path, *evidence.moves[3:]]

    assert not problems(evidence)


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 2), (3, 1)])
def test_a_claim_that_does_not_raise_the_lease_token_by_one_is_found(old, new):
    evidence = sound()
    evidence.moves[1] = replace(evidence.moves[1], old_token=old, new_token=new)

    assert f"the lease token went from {old} to {new}" in problems(evidence)


def test_a_row_of_quota_over_its_limit_is_found():
    evidence = sound()
    evidence.quotas = [quota(limit=3, used=4)]

    assert "plain: limit of 3 per minute, and its row says 4" in problems(evidence)


def test_more_hand_overs_than_the_limit_are_found_whatever_the_row_says():
    evidence = sound()
    evidence.quotas = [quota(limit=2, used=0)]

    assert "plain: limit of 2 per minute, and 3 were handed over" in problems(evidence)


def test_what_is_handed_over_at_the_border_of_a_window_may_belong_to_the_one_before():
    evidence = sound()
    evidence.quotas = [quota(limit=2, used=2)]
    before = replace(evidence.attempts[0], started_at=NOON - timedelta(seconds=5))
    evidence.attempts[0] = before

    assert not problems(evidence)

    evidence.attempts[0] = replace(before, started_at=NOON + timedelta(seconds=40))
    assert "3 were handed over" in problems(evidence)

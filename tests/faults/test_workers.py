"""Workers that are killed, abandoned and halted while they hold messages."""

import time

import pytest

from tests.faults.clients import Clients
from tests.faults.evidence import verify
from tests.faults.fleet import Fleet
from tests.faults.points import needs_point
from tests.faults.verifier import SILENCE, Allowed
from tests.installation import until


def events(fleet: Fleet) -> dict[str, int]:
    return dict(fleet.query("SELECT kind, COUNT(*) FROM messaging_event GROUP BY kind"))


def kill_children_under_load(fleet: Fleet, clients: Clients, *, seconds: float) -> None:
    # A worker whose child dies while it starts ends by itself; its supervisor starts it again.
    clients.send()
    fleet.wait_for_copies(1)
    fleet.slow_down(0.2)
    fleet.send_under_load(
        clients, rate=15, seconds=seconds, every=2, act=lambda: fleet.kill_busy_child("worker")
    )

    # Whoever loses its worker twice without an answer is given up, and says so.
    verdict = verify(fleet, clients, allowed=Allowed(failed=SILENCE))

    assert verdict.delivered >= 0.9 * verdict.accepted
    # The kills hit messages that were held: otherwise this shows nothing.
    assert events(fleet).get("outcome_unknown", 0) > 0


def test_a_child_killed_again_and_again_loses_nothing(fleet, clients):
    kill_children_under_load(fleet, clients, seconds=12)


@pytest.mark.faults
def test_a_child_killed_every_two_seconds_for_a_minute_loses_nothing(fleet, clients):
    kill_children_under_load(fleet, clients, seconds=60)


def test_a_whole_worker_killed_in_the_middle_loses_nothing(fleet, clients):
    fleet.slow_down(0.3)
    clients.start(rate=20)
    fleet.wait_for_copies(20)
    fleet.wait_for_one_in_hand("worker")
    fleet.kill("worker")
    time.sleep(2)
    fleet.start_worker()
    time.sleep(2)
    clients.stop()

    verdict = verify(fleet, clients)

    assert verdict.delivered == verdict.accepted > 20
    assert events(fleet).get("outcome_unknown", 0) > 0


@pytest.mark.faults
def test_children_whose_parent_was_killed_end_and_another_worker_goes_on(fleet, clients):
    fleet.slow_down(0.05)
    clients.start(rate=15)
    fleet.wait_for_copies(20)
    fleet.kill_parent("worker")
    fleet.start_worker()
    time.sleep(3)
    clients.stop()

    verdict = verify(fleet, clients)

    assert verdict.delivered == verdict.accepted > 20


def test_a_worker_halted_past_its_lease_and_continued_does_no_harm(fleet, clients):
    fleet.slow_down(0.3)
    # One message is in doubt at most, and all others are free for the second worker.
    fleet.start_worker("worker-2")
    clients.start(rate=20)
    fleet.wait_for_copies(20)
    fleet.wait_for_one_in_hand("worker")
    fleet.pause("worker")
    time.sleep(8)
    taken_by_the_other = len(fleet.copies)
    time.sleep(2)
    clients.stop()
    fleet.resume("worker")

    verdict = verify(fleet, clients)

    assert verdict.delivered == verdict.accepted
    assert taken_by_the_other > 40
    assert events(fleet).get("outcome_unknown", 0) > 0


def test_at_most_once_is_kept_when_workers_are_killed(fleet, clients):
    # So slow that at the kill some are in the hands of providers whatever the moment.
    fleet.slow_down(0.5)
    clients.start(rate=15, policy="at_most_once")
    fleet.wait_for_copies(15)
    fleet.wait_for_one_in_hand("worker")
    fleet.kill("worker")
    fleet.start_worker()
    time.sleep(3)
    clients.stop()

    verdict = verify(fleet, clients, allowed=Allowed(failed=SILENCE))

    assert verdict.duplicates == 0
    # Each was in the hands of a provider: three connections to each account, in two children.
    assert 0 < verdict.terminal <= 3 * len(fleet.accounts) * 2


def test_two_beats_do_not_send_twice(fleet, clients):
    fleet.start_beat("beat-2")
    fleet.send_under_load(clients, rate=15, seconds=5, every=10, act=lambda: None)

    verdict = verify(fleet, clients)

    assert verdict.delivered == verdict.accepted > 20
    assert verdict.duplicates == 0


def test_without_beat_messages_still_go_out(fleet, clients):
    fleet.stop("beat")
    clients.send(30)

    verdict = verify(fleet, clients)

    assert verdict.delivered == 30


@pytest.mark.faults
def test_quotas_hold_while_workers_are_killed(fleet, clients):
    fleet.execute("UPDATE messaging_sender SET per_minute = 20")
    # Not across a border, so that the limit is met in one minute.
    until(lambda: time.time() % 60 < 25, seconds=60, what="early in a minute")
    fleet.slow_down(0.05)
    clients.start(rate=15)
    for _ in range(5):
        time.sleep(2)
        fleet.kill_children("worker", count=1)
    clients.stop()
    allowed = Allowed(failed=SILENCE, pending=frozenset({"no_sender"}))
    try:
        verdict = verify(fleet, clients, allowed=allowed, within=30)
    finally:
        fleet.execute("UPDATE messaging_sender SET per_minute = NULL")

    assert verdict.pending > 0


@pytest.mark.parametrize("point", ["accept_before_commit", "accept_after_commit"])
def test_a_request_whose_process_dies_is_stored_or_not_and_never_half(fleet, clients, point):
    needs_point(point)
    armed = fleet.folder / f"armed-{point}"
    fleet.stop("web")
    fleet.start_web(CRASH_AT=f"{point}@{armed}")
    until(lambda: fleet.status_of("/health/ready") == 200, seconds=60, what="ready")
    try:
        clients.send(1)
        armed.touch()
        (killed,) = clients.send(1)
        clients.send(5)
    finally:
        fleet.kill("web")

    verdict = verify(fleet, clients)

    rows = fleet.query(
        "SELECT status FROM messaging_message WHERE reference = %s", killed.reference
    )
    assert not armed.exists()
    assert killed.status == 0
    assert rows == ([] if point == "accept_before_commit" else [("success",)])
    assert verdict.delivered == 6


def test_web_processes_killed_under_load_break_no_promise(fleet, clients):
    fleet.send_under_load(
        clients,
        rate=15,
        seconds=8,
        every=1.5,
        act=lambda: fleet.kill_children("web", count=1),
    )

    verdict = verify(fleet, clients)

    assert verdict.delivered == verdict.accepted > 20

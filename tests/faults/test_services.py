"""RabbitMQ, PostgreSQL and Redis that stop, die, forget and refuse, under load."""

import time
from collections.abc import Callable

import pytest

from tests.faults.clients import Clients
from tests.faults.evidence import verify
from tests.faults.fleet import Fleet
from tests.faults.verifier import SILENCE, Allowed, Verdict
from tests.installation import until

RATE = 15


def under_load(
    fleet: Fleet, clients: Clients, act: Callable[[], None], *, allowed: Allowed | None = None
) -> Verdict:
    """Send before, during and two seconds after `act`, then verify."""
    clients.start(rate=RATE)
    fleet.wait_for_copies(RATE)
    act()
    time.sleep(2)
    clients.stop()
    return verify(fleet, clients, allowed=allowed)


# --- RabbitMQ ------------------------------------------------------------------------------------


@pytest.mark.faults
def test_the_broker_stopped_for_20_seconds_delays_and_loses_nothing(fleet, clients):
    def stop_for_20_seconds() -> None:
        fleet.rabbitmq.stop()
        time.sleep(20)
        fleet.rabbitmq.start()

    verdict = under_load(fleet, clients, stop_for_20_seconds)

    # Callers did not notice.
    assert verdict.delivered == verdict.accepted == len(clients.requests)
    assert verdict.accepted > 20 * RATE * 0.8


def test_a_broker_that_is_killed_and_comes_back_delays_and_loses_nothing(fleet, clients):
    def kill() -> None:
        fleet.rabbitmq.kill()
        fleet.rabbitmq.start()

    verdict = under_load(fleet, clients, kill)

    assert verdict.delivered == verdict.accepted == len(clients.requests)
    assert verdict.duplicates == 0


def test_purged_queues_lose_hints_and_no_message(fleet, clients):
    verdict = under_load(fleet, clients, lambda: purge_a_few_times(fleet))

    assert verdict.delivered == verdict.accepted
    assert verdict.duplicates == 0


def purge_a_few_times(fleet: Fleet) -> None:
    for _ in range(3):
        fleet.rabbitmq.purge(fleet.database)


def test_a_broker_that_takes_nothing_delays_and_loses_nothing(fleet, clients):
    def alarm() -> None:
        fleet.rabbitmq.set_memory_alarm(True)
        try:
            time.sleep(6)
        finally:
            fleet.rabbitmq.set_memory_alarm(False)

    verdict = under_load(fleet, clients, alarm)

    assert verdict.delivered == verdict.accepted == len(clients.requests)


@pytest.mark.parametrize(
    "spoil",
    [
        "cut",
        "reset",
        pytest.param("black_hole", marks=pytest.mark.faults),
    ],
)
def test_a_line_to_the_broker_that_is_spoilt_delays_and_loses_nothing(fleet, clients, spoil):
    def spoil_and_mend() -> None:
        getattr(fleet.broker_line, spoil)()
        time.sleep(5)
        fleet.broker_line.mend()

    verdict = under_load(fleet, clients, spoil_and_mend)

    assert verdict.delivered == verdict.accepted == len(clients.requests)


# --- PostgreSQL ----------------------------------------------------------------------------------


def test_a_database_that_crashes_during_accepts_breaks_no_promise(fleet, clients):
    fleet.kill("worker")
    clients.start(rate=RATE)
    until(lambda: len(clients.accepted()) > RATE, seconds=30, what="accepted some")
    for _ in range(3):
        fleet.postgres.restart_immediate(away_for=0.5)
        time.sleep(1.5)
    clients.stop()
    fleet.start_worker()

    verdict = verify(fleet, clients)

    assert verdict.delivered == verdict.accepted > 2 * RATE
    assert len(clients.accepted()) < len(clients.requests)


def test_a_database_that_crashes_during_outcomes_leaves_every_copy_explained(fleet, clients):
    fleet.slow_down(0.02)
    clients.send(150)
    fleet.wait_for_copies(20)
    for _ in range(2):
        fleet.postgres.restart_immediate()
        time.sleep(1)

    verdict = verify(fleet, clients, allowed=Allowed(failed=SILENCE))

    assert verdict.delivered >= 145


@pytest.mark.faults
def test_a_database_away_for_20_seconds_delays_and_loses_nothing(fleet, clients):
    verdict = under_load(
        fleet,
        clients,
        lambda: fleet.postgres.restart_immediate(away_for=20),
        allowed=Allowed(failed=SILENCE),
    )

    assert verdict.delivered >= 0.9 * verdict.accepted


# --- Redis ---------------------------------------------------------------------------------------


def test_without_redis_accepting_and_sending_go_on(fleet, clients):
    def stop_and_flush() -> None:
        fleet.redis.flush()
        time.sleep(1)
        fleet.redis.stop()
        time.sleep(3)
        fleet.redis.start()

    verdict = under_load(fleet, clients, stop_and_flush)

    assert verdict.delivered == verdict.accepted == len(clients.requests)
    assert verdict.duplicates == 0

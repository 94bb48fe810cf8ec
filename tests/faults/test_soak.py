"""See `tests.faults.soak`. SOAK_SEED sets the dice, SOAK_MINUTES the length of the long one."""

import os
import random

import pytest

from tests.faults.fleet import Fleet
from tests.faults.soak import soak


def seed() -> int:
    return int(os.environ.get("SOAK_SEED") or random.randrange(1_000_000))


def test_two_minutes_with_a_fault_every_15_seconds_lose_nothing(fleet: Fleet) -> None:
    soak(fleet, seconds=120, every=15, seed=seed())


@pytest.mark.faults
def test_minutes_with_a_fault_every_45_seconds_lose_nothing(fleet: Fleet) -> None:
    minutes = float(os.environ.get("SOAK_MINUTES") or 10)

    soak(fleet, seconds=minutes * 60, every=45, seed=seed())

"""The points at which the code can be made to die."""

import re
from functools import cache

import pytest

from tests.installation import ROOT


@cache
def known_points() -> frozenset[str]:
    """Those that stand in the code, by the calls of `core.crash.crash_at`."""
    found: set[str] = set()
    for package in ("accounts", "core", "messaging", "notification_platform"):
        for path in (ROOT / package).rglob("*.py"):
            found.update(re.findall(r'crash_at\("(\w+)"\)', path.read_text()))
    return frozenset(found)


def needs_point(point: str) -> None:
    if point not in known_points():
        pytest.skip(f"the code has no point {point}")

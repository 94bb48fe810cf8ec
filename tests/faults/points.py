"""The points at which the code can be made to die."""

import re
from functools import cache

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
    assert point in known_points(), f"the code has no point {point} any more"

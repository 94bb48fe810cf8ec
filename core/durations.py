"""Lengths of time as people write them: `90s`, `15m`, `2h`, `7d`."""

import re
from datetime import timedelta

WRITTEN = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration(text: str) -> timedelta:
    """Raises `ValueError` with a sentence."""
    found = WRITTEN.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no duration. Write 90s, 15m, 2h or 7d.")
    return timedelta(seconds=int(found[1]) * SECONDS[found[2]])

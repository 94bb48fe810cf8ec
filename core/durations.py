"""Lengths of time as people write them: `90s`, `15m`, `2h`, `7d`; and as they read them."""

import re
from datetime import timedelta

from django.utils.translation import gettext

WRITTEN = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration(text: str) -> timedelta:
    """Raises `ValueError` with a sentence."""
    found = WRITTEN.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no duration. Write 90s, 15m, 2h or 7d.")
    return timedelta(seconds=int(found[1]) * SECONDS[found[2]])


def in_words(length: timedelta) -> str:
    """`340 ms`, `2.3 s`, `4 min 10 s`, `3 h 5 min`, `2 d 4 h`: no more than two units."""
    seconds = length.total_seconds()
    if seconds < 1:
        return gettext("%(count)d ms") % {"count": round(seconds * 1000)}
    if seconds < 59.95:
        return gettext("%(count).1f s") % {"count": seconds}
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return gettext("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return gettext("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    days, hours = divmod(hours, 24)
    return gettext("%(days)d d %(hours)d h") % {"days": days, "hours": hours}

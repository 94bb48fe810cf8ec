"""Places at which a test can kill this process, as a power cut would.

Call sites stand under `if __debug__:`, so `python -O`, which the image runs, compiles them out.
"""

import os
import signal
from pathlib import Path

# `CRASH_AT=point@file`: die at `point` as long as `file` is there. It is removed first, so that one
# process dies once and those that follow it live.
_point, _, _armed_by = os.environ.get("CRASH_AT", "").partition("@")


def is_armed(point: str) -> bool:
    """Whether `crash_at` may die at `point`, for places that are only there to die at."""
    return point == _point


def crash_at(point: str) -> None:
    """Die here, without any clean-up, if `CRASH_AT` says so."""
    if not _point or point != _point:
        return
    try:
        Path(_armed_by).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

"""What can be limited, and what comes of asking."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """`size` at once, refilled evenly within `seconds` (the generic cell rate algorithm)."""

    key: str
    size: int
    seconds: float
    amount: int = 1


@dataclass(frozen=True, slots=True)
class Count:
    """Up to `limit` in a window that the key names; it is kept for `keep_seconds` more.

    `seed` says what a counter that was lost had counted.
    """

    key: str
    limit: int
    keep_seconds: int
    seed: Callable[[], int]
    amount: int = 1


@dataclass(frozen=True, slots=True)
class Recent:
    """At most `limit` within any `seconds`, wherever they begin. Keeps `limit` times, so it is for
    small limits."""

    key: str
    limit: int
    seconds: int
    amount: int = 1


# An `amount` of 0 only looks, a negative one gives back; neither is refused.
Tally = Bucket | Count | Recent


@dataclass(frozen=True, slots=True)
class Verdict:
    """`left` may still be taken now (of `Recent` it is not known: 0), a bucket is full again after
    `reset` seconds. What was refused may be asked for again after `wait` seconds."""

    is_granted: bool
    left: int
    reset: float
    wait: float

"""When a call that failed is tried again: for three days, ever more rarely."""

import random
from datetime import timedelta

# After the first try, the second, and so on: 3 days and 4 hours in all.
WAITS = [
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
]
MAX_TRIES = len(WAITS) + 1
# Spreads what failed together, by a tenth either way.
JITTER = 0.1
LONGEST_RETRY_AFTER = timedelta(hours=24)


def wait_after(tries: int, *, retry_after: timedelta | None = None) -> timedelta | None:
    """How long to wait after so many failed tries; None when it was the last. What the other side
    asked for is kept, a day at most."""
    if tries >= MAX_TRIES:
        return None
    wait = WAITS[max(tries, 1) - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    if retry_after is not None:
        wait = max(wait, min(retry_after, LONGEST_RETRY_AFTER))
    return wait

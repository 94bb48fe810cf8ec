"""When a message is tried again."""

import random
from dataclasses import dataclass
from datetime import timedelta

from messaging.models import Lane


@dataclass(frozen=True, slots=True)
class Backoff:
    """All in seconds."""

    floor: float
    base: float
    cap: float

    def delay(self, tries: int, *, retry_after: float | None = None) -> timedelta:
        """After `tries` failures: at least the floor and what the provider asked for, plus full
        jitter that doubles with every try up to the cap."""
        asked = min(max(retry_after or 0, 0), 3600)
        jitter = random.uniform(0, min(self.cap, self.base * 2 ** min(tries, 20)))  # noqa: S311
        return timedelta(seconds=max(asked, self.floor) + jitter)


BACKOFF: dict[str, Backoff] = {
    Lane.HIGH: Backoff(floor=1, base=2, cap=20),
    Lane.NORMAL: Backoff(floor=15, base=30, cap=3600),
    Lane.BULK: Backoff(floor=60, base=300, cap=4 * 3600),
}

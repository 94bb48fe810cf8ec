"""When a message is tried again."""

import random
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

# What a provider asks for is kept within these, in seconds: a nonsense value stops nothing.
SHORTEST_ASKED, LONGEST_ASKED = 1.0, 3600.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """All in seconds."""

    floor: float
    base: float
    cap: float

    def delay(self, tries: int, *, retry_after: float | None = None) -> timedelta:
        """After `tries` failures: at least the floor and what the provider asked for, plus full
        jitter that doubles with every try up to the cap."""
        least = self.floor
        if retry_after is not None:
            least = max(least, min(max(retry_after, SHORTEST_ASKED), LONGEST_ASKED))
        jitter = random.uniform(0, min(self.cap, self.base * 2 ** min(tries, 20)))  # noqa: S311
        return timedelta(seconds=least + jitter)


def delay(channel: str, lane: str, tries: int, *, retry_after: float | None = None) -> timedelta:
    """How long a message rests after `tries` failures and this one, as `RETRY_<CHANNEL>_<LANE>`
    says. `retry_after` is what the provider asked for, in seconds."""
    return Backoff(*settings.RETRIES[channel, lane]).delay(tries, retry_after=retry_after)

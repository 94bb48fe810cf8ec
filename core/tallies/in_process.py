"""The same tallies in this process alone: for the embedded mode, and while Redis is away."""

import threading
import time
from collections.abc import Callable, Sequence
from math import floor

from core.tallies.kinds import Bucket, Count, Tally, Verdict

# Other processes count for themselves: what the rows know is asked for again after so long.
SEED_EVERY = 60.0
# Past so many keys, those that are over are dropped; then past twice as many as are left.
MANY = 10_000


class ProcessTallies:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # Of buckets when they are full again, of counts what is used, of the others times, newest
        # first; each with when it may be forgotten.
        self._full_at: dict[str, float] = {}
        self._used: dict[str, tuple[int, float]] = {}
        self._times: dict[str, tuple[list[float], float]] = {}
        self._seeded_at: dict[str, float] = {}
        self._many = MANY

    def ask(self, tallies: Sequence[Tally], *, is_real: bool) -> list[Verdict]:
        """All is taken, or nothing."""
        self._seed(tallies)
        with self._lock:
            now = self._clock()
            waits = [self._wait(tally, now) for tally in tallies]
            is_refused = any(wait is not None for wait in waits)
            if is_real:
                for tally in tallies:
                    if tally.amount < 0 or (tally.amount > 0 and not is_refused):
                        self._write(tally, now)
            verdicts = [
                Verdict(wait is None, *self._standing(tally, now), wait=wait or 0.0)
                for tally, wait in zip(tallies, waits, strict=True)
            ]
            if self._size() > self._many:
                self._forget_what_is_over(now)
                self._many = max(MANY, 2 * self._size())
        return verdicts

    def counted(self) -> set[str]:
        """Keys of the counts that were kept here."""
        return set(self._used)

    def drop(self, key: str) -> None:
        with self._lock:
            self._used.pop(key, None)
            self._seeded_at.pop(key, None)

    def _seed(self, tallies: Sequence[Tally]) -> None:
        """Outside the lock: it asks the database."""
        for tally in tallies:
            if not isinstance(tally, Count) or tally.amount < 0:
                continue
            now = self._clock()
            if now - self._seeded_at.get(tally.key, float("-inf")) < SEED_EVERY:
                continue
            known = tally.seed()
            with self._lock:
                # Never lower: what was taken here may not have become a row yet.
                used, _ = self._used.get(tally.key, (0, 0.0))
                self._used[tally.key] = (max(used, known), now + tally.keep_seconds)
                self._seeded_at[tally.key] = now

    def _wait(self, tally: Tally, now: float) -> float | None:
        """None: there is enough. Else after how many seconds there may be."""
        if tally.amount <= 0:
            return None
        if isinstance(tally, Bucket):
            full_at = max(now, self._full_at.get(tally.key, 0.0))
            wait = full_at + tally.amount * tally.seconds / tally.size - now - tally.seconds
            return wait if wait > 1e-6 else None
        if isinstance(tally, Count):
            used, _ = self._used.get(tally.key, (0, 0.0))
            return 0.0 if used + tally.amount > tally.limit else None
        if tally.amount > tally.limit:
            return float(tally.seconds)
        times, _ = self._times.get(tally.key, ([], 0.0))
        index = tally.limit - tally.amount
        wait = times[index] + tally.seconds - now if index < len(times) else 0.0
        return wait if wait > 0 else None

    def _standing(self, tally: Tally, now: float) -> tuple[int, float]:
        """What is left, and after how many seconds a bucket is full again."""
        if isinstance(tally, Bucket):
            missing = max(now, self._full_at.get(tally.key, 0.0)) - now
            left = floor((tally.seconds - missing) / (tally.seconds / tally.size) + 0.001)
            return max(0, left), missing
        if isinstance(tally, Count):
            used, _ = self._used.get(tally.key, (0, 0.0))
            return max(0, tally.limit - used), 0.0
        return 0, 0.0

    def _write(self, tally: Tally, now: float) -> None:
        key, amount = tally.key, tally.amount
        if isinstance(tally, Bucket):
            step = tally.seconds / tally.size
            full_at = max(now, self._full_at.get(key, 0.0)) + amount * step
            self._full_at[key] = max(now, full_at)
        elif isinstance(tally, Count):
            used, _ = self._used.get(key, (0, 0.0))
            self._used[key] = (max(0, used + amount), now + tally.keep_seconds)
        else:
            times, _ = self._times.get(key, ([], 0.0))
            kept = [now] * amount + times if amount > 0 else times[-amount:]
            self._times[key] = (kept[: tally.limit], now + tally.seconds)

    def _size(self) -> int:
        return len(self._full_at) + len(self._used) + len(self._times)

    def _forget_what_is_over(self, now: float) -> None:
        self._full_at = {key: at for key, at in self._full_at.items() if at > now}
        self._used = {key: kept for key, kept in self._used.items() if kept[1] > now}
        self._times = {key: kept for key, kept in self._times.items() if kept[1] > now}
        self._seeded_at = {k: at for k, at in self._seeded_at.items() if k in self._used}

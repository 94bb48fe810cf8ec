"""How much of attachments the threads of one process hold at the same time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# Bytes of files. Encoded, with its copies on the way to a provider, each is about four times that.
LIMIT = 67_108_864


class Room:
    """Bytes for which there is room. Who asks takes all that it needs at once, so nobody waits for
    more while holding some."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, size: int, *, seconds: float) -> Iterator[bool]:
        """Whether there was room for `size` within so many seconds; then it is taken until the end
        of the block. What is larger than everything is let through alone."""
        size = min(size, self._limit)
        ends_at = time.monotonic() + seconds
        with self._changed:
            while self._taken + size > self._limit:
                left = ends_at - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            is_room = self._taken + size <= self._limit
            if is_room:
                self._taken += size
        try:
            yield is_room
        finally:
            if is_room:
                with self._changed:
                    self._taken -= size
                    self._changed.notify_all()


room = Room(LIMIT)

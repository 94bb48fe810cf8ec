"""What the providers took responsibility for, copy by copy, whatever they answered."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Copy:
    # Empty: the provider is told none.
    message_id: str
    attempt_id: str
    recipients: tuple[str, ...]
    account: str
    # Seconds since the epoch.
    at: float
    # False: taken, and then the connection was closed, reset or left hanging.
    is_answered: bool


class CopyLedger:
    """One for all accounts, filled by their threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copies: list[Copy] = []

    def add(
        self,
        *,
        message_id: str,
        attempt_id: str,
        recipients: Iterable[str],
        account: str,
        is_answered: bool,
    ) -> None:
        copy = Copy(message_id, attempt_id, tuple(recipients), account, time.time(), is_answered)
        with self._lock:
            self._copies.append(copy)

    @property
    def copies(self) -> list[Copy]:
        with self._lock:
            return list(self._copies)

    def by_message(self) -> dict[str, list[Copy]]:
        found: dict[str, list[Copy]] = defaultdict(list)
        for copy in self.copies:
            found[copy.message_id].append(copy)
        return found

    def clear(self) -> None:
        with self._lock:
            self._copies.clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._copies)

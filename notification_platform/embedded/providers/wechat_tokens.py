"""Access tokens as WeChat gives them out, for the imitations."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Given:
    """A token: for whom, and until when."""

    value: str
    owner: str
    until: float


class Tokens:
    """Who asks again while his token is good gets the same one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.seconds = 7200
        self.given: dict[str, Given] = {}

    def give(self, owner: str) -> Given:
        known = next((one for one in self.given.values() if one.owner == owner), None)
        if known is None or self._clock() >= known.until:
            self.revoke(owner)
            value = secrets.token_urlsafe(96)
            known = self.given[value] = Given(value, owner, self._clock() + self.seconds)
        return known

    def revoke(self, owner: str | None = None) -> None:
        """Those of `owner`, or all."""
        self.given = {
            value: one for value, one in self.given.items() if owner not in {None, one.owner}
        }

    def left(self, given: Given) -> int:
        return max(0, round(given.until - self._clock()))

    def owner_of(self, value: str) -> tuple[str, int]:
        """Whose it is, and the `errcode` if it is nobody's."""
        known = self.given.get(value)
        if known is None:
            return "", 40014 if value else 41001
        return known.owner, 42001 if self._clock() >= known.until else 0

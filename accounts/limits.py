"""What an application may do in a second, a day, and to one recipient."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.db import DatabaseError
from prometheus_client import Counter

from core import tallies
from core.errors import Code, DomainError

REFUSED = Counter("notifications_limited", "Requests that a limit refused.", ["code"])
# The counter of a day is kept for longer than the day, for clocks that differ.
KEPT_AFTER = 3600

# In the order of `limits_of`. Asked with the key, in one query.
COLUMNS = (
    "requests_per_second",
    "burst",
    "messages_per_day",
    "time_zone",
    "recipient_per_hour",
    "recipient_per_day",
    "is_recipient_cap_for_high_only",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one application; 0 is no limit. There is none of these for an application without any."""

    application_id: int
    per_second: int
    burst: int
    per_day: int
    time_zone: str
    recipient_per_hour: int
    recipient_per_day: int
    is_for_high_only: bool

    def key(self, *parts: object) -> str:
        return tally_key("application", self.application_id, *parts)

    def requests(self) -> tallies.Bucket:
        return tallies.Bucket(
            self.key("requests"), size=self.burst, seconds=self.burst / self.per_second
        )


def tally_key(*parts: object) -> str:
    return ":".join(map(str, (settings.QUEUE_PREFIX, "limits", *parts)))


def limits_of(
    application_id: int,
    per_second: int | None,
    burst: int | None,
    per_day: int | None,
    time_zone: str,
    *of_recipients: Any,
) -> Limits | None:
    """The limits by the columns of `COLUMNS`, with the platform's defaults; None without any."""
    per_hour_to_one, per_day_to_one, is_for_high_only = of_recipients
    per_second = _or(per_second, settings.DEFAULT_REQUESTS_PER_SECOND)
    per_day = _or(per_day, settings.DEFAULT_MESSAGES_PER_DAY)
    per_hour_to_one = _or(per_hour_to_one, settings.DEFAULT_RECIPIENT_PER_HOUR)
    per_day_to_one = _or(per_day_to_one, settings.DEFAULT_RECIPIENT_PER_DAY)
    if not (per_second or per_day or per_hour_to_one or per_day_to_one):
        return None
    return Limits(
        application_id,
        per_second,
        # Fewer at once than in a second would be another limit than the one that is set.
        max(burst or 0, per_second),
        per_day,
        time_zone or settings.TIME_ZONE,
        per_hour_to_one,
        per_day_to_one,
        bool(is_for_high_only),
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


@dataclass(slots=True)
class Allowance:
    """The limits of the caller of one request, and how they stand as far as it knows."""

    limits: Limits
    now: datetime
    requests: tallies.Verdict | None = None
    messages_left: int | None = None

    def enter(self) -> None:
        """Count this request. Raises `DomainError` (`rate_limited`)."""
        if not self.limits.per_second:
            return
        asked: list[tallies.Tally] = [self.limits.requests()]
        if self.limits.per_day:
            # Only looked at, for the headers: it costs nothing more in the same round trip.
            asked.append(day_tally(self.limits, self.now, amount=0))
        self.requests, *of_day = tallies.ask(asked)
        if of_day:
            self.messages_left = of_day[0].left
        if not self.requests.is_granted:
            REFUSED.labels(Code.RATE_LIMITED).inc()
            raise DomainError(
                Code.RATE_LIMITED,
                f"This application may send {self.limits.per_second} requests a second"
                f" and {self.limits.burst} at once. Wait for as long as Retry-After says.",
                retry_after=max(1, ceil(self.requests.wait)),
            )

    def headers(self) -> dict[str, str]:
        """`RateLimit-Policy` and `RateLimit` by draft-ietf-httpapi-ratelimit-headers-10 (27
        September 2025): quota `q` in a window of `w` seconds; `r` left, all of it in `t` seconds.
        """
        limits, policy, state = self.limits, [], []
        if self.requests is not None:
            window = ceil(limits.burst / limits.per_second)
            policy.append(f'"requests";q={limits.burst};w={window}')
            state.append(f'"requests";r={self.requests.left};t={ceil(self.requests.reset)}')
        if limits.per_day:
            if self.messages_left is None:
                self.messages_left = self._look()
            policy.append(f'"messages";q={limits.per_day};w=86400')
            if self.messages_left is not None:
                rest = seconds_left(limits, self.now)
                state.append(f'"messages";r={self.messages_left};t={rest}')
        if not state:
            return {}
        return {"RateLimit-Policy": ", ".join(policy), "RateLimit": ", ".join(state)}

    def _look(self) -> int | None:
        """What is left of the day. Not known when its counter was lost and the database is away."""
        try:
            [seen] = tallies.ask([day_tally(self.limits, self.now, amount=0)])
        except DatabaseError:
            return None
        return seen.left


def day_of(time_zone: str, now: datetime) -> tuple[datetime, datetime]:
    """The midnights, in that zone, between which `now` is: 23 to 25 hours apart."""
    local = now.astimezone(_zone(time_zone))
    begins = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return begins, (begins + timedelta(days=1))


def seconds_left(limits: Limits, now: datetime) -> int:
    _, ends = day_of(limits.time_zone, now)
    # Over UTC: within one zone Python subtracts what the clocks on the wall show.
    return max(1, ceil(ends.timestamp() - now.timestamp()))


def day_tally(limits: Limits, now: datetime, *, amount: int) -> tallies.Count:
    """The messages of this day, of which `amount` more are wanted."""
    begins, _ = day_of(limits.time_zone, now)
    return tallies.Count(
        # With its beginning: a new time zone begins a new count, from the rows.
        limits.key("messages", int(begins.timestamp())),
        limit=limits.per_day,
        keep_seconds=seconds_left(limits, now) + KEPT_AFTER,
        seed=lambda: _count_messages(limits.application_id, begins),
        amount=amount,
    )


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    """UTC for one that this machine does not know: no reason to refuse every request."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


# --- how many there are, which only `messaging` knows ---------------------------------------------


def _count_messages(application_id: int, since: datetime) -> int:
    assert _counter is not None, "the app of the messages has not connected itself"
    return int(_counter(application_id, since))


_counter: Any = None


def connect(counter: Any) -> None:
    """Called once when Django starts, with what counts the messages of an application that were
    accepted since a moment. So imports still go down (docs/adr/0007)."""
    global _counter
    _counter = counter

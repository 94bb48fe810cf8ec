"""Where tallies are asked for: Redis, or this process while Redis does not answer."""

import time
from collections.abc import Iterable, Mapping, Sequence

import structlog
from django.conf import settings
from prometheus_client import Counter
from redis.exceptions import RedisError

from core.tallies import in_redis
from core.tallies.in_process import ProcessTallies
from core.tallies.kinds import Count, Tally, Verdict

log = structlog.get_logger(__name__)

# After a failure Redis is left alone for so long: one request of many waits for it, not all.
REST_SECONDS = 5.0

FALL_BACKS = Counter(
    "notifications_limits_without_redis",
    "Decisions on limits that one process made alone, because Redis did not answer.",
)

_here = ProcessTallies()
_resting_until = 0.0


def ask(tallies: Sequence[Tally], *, is_real: bool = True) -> list[Verdict]:
    """Take all of `tallies`, each with a key of its own, or, if one is refused, nothing. Unless it
    `is_real`, nothing is taken, whatever the answer. One round trip.

    Redis that is down or slow is no error: then this process decides by what it has seen itself,
    and by the seeds of counts."""
    return ask_each([tallies], is_real=is_real)[0]


def ask_each(groups: Sequence[Sequence[Tally]], *, is_real: bool = True) -> list[list[Verdict]]:
    """As `ask`, each group for itself and in order, a hundred in one round trip."""
    global _resting_until
    url = settings.REDIS_URL
    if not url:
        return [_here.ask(group, is_real=is_real) for group in groups]
    if time.monotonic() >= _resting_until:
        try:
            return _from_redis(url, groups, is_real=is_real)
        except (RedisError, OSError) as error:
            _resting_until = time.monotonic() + REST_SECONDS
            # Not its words: they name the host.
            log.warning("limits_without_redis", error=type(error).__name__, rest=REST_SECONDS)
    FALL_BACKS.inc()
    return [_here.ask(group, is_real=is_real) for group in groups]


def forget() -> None:
    """Whatever this process counted, and that Redis was away."""
    global _here, _resting_until
    _here, _resting_until = ProcessTallies(), 0.0


def _from_redis(
    url: str, groups: Sequence[Sequence[Tally]], *, is_real: bool
) -> list[list[Verdict]]:
    counts = {
        tally.key: tally
        for group in groups
        for tally in group
        if isinstance(tally, Count) and tally.amount >= 0
    }
    # What was counted here while Redis was away is unknown to it: the rows know.
    strayed = counts.keys() & _here.counted()
    answers = in_redis.ask_each(url, groups, _seeds(counts, strayed), is_real=is_real)
    for key in strayed:
        _here.drop(key)
    lost = [i for i, answer in enumerate(answers) if answer is None]
    if lost:
        # A new day, or a Redis that was emptied.
        seeds = _seeds(counts, counts.keys())
        again = in_redis.ask_each(url, [groups[i] for i in lost], seeds, is_real=is_real)
        for i, answer in zip(lost, again, strict=True):
            answers[i] = answer
    return [answer for answer in answers if answer is not None]


def _seeds(counts: Mapping[str, Count], keys: Iterable[str]) -> dict[str, int]:
    return {key: counts[key].seed() for key in keys}

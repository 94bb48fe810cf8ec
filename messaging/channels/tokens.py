"""Access tokens of providers, shared by all workers: fetched once, renewed once.

Providers give out few tokens a day and may make older ones invalid with each. A token lies sealed
in the cache, under a digest of the credentials that it was fetched with: credentials that change
find nothing. Who finds none fetches one under a lock, and looks again once he has it.

Redis may be away, and whoever holds the lock may have crashed: then everybody fetches for himself
after a few seconds. That costs the provider some calls and no message.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import structlog
from django.core.cache import cache
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import LockError, RedisError

from core.secrets import UnreadableSecret, decrypt, encrypt

log = structlog.get_logger(__name__)

# Seconds before its end in which a token is not used any more: a message may be on its way then.
MARGIN = 300.0
# A fetch takes a fraction of a second. Who is slower, or dead, holds up nobody for longer.
LOCK_SECONDS = 4.0
# After a failure Redis is left alone for so long: each try may take its patience.
REST_SECONDS = 5.0
CACHE_AWAY = (ConnectionInterrupted, RedisError, OSError)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a provider gave, and for how many seconds."""

    value: str = field(repr=False)
    seconds: float


@dataclass(frozen=True, slots=True)
class _Kept:
    value: str = field(repr=False)
    # By the wall clock: other machines read it.
    until: float

    def is_good(self, stale: str) -> bool:
        return self.value != stale and time.time() < self.until


# What this process has seen, so that not every message costs a trip to the cache.
_seen: dict[str, _Kept] = {}
_locks: dict[str, threading.Lock] = {}
_guard = threading.Lock()
_resting_until = 0.0


def get(key: str, fetch: Callable[[], Fetched], *, stale: str = "") -> str:
    """The token that belongs to `key`, a digest of credentials; never `stale`, which the provider
    refused, unless it gives out just that again. Raises whatever `fetch` raises."""
    kept = _look(key, stale)
    if kept is not None:
        return kept.value
    with _in_process(key), _in_cache(key):
        kept = _look(key, stale)
        if kept is None:
            kept = _renew(key, fetch)
        return kept.value


def forget() -> None:
    """What this process has seen."""
    global _resting_until
    _seen.clear()
    _resting_until = 0.0


def _look(key: str, stale: str) -> _Kept | None:
    """A good one that somebody has fetched."""
    kept = _seen.get(key)
    if kept is None or not kept.is_good(stale):
        kept = _read(key)
    if kept is None or not kept.is_good(stale):
        return None
    _seen[key] = kept
    return kept


def _renew(key: str, fetch: Callable[[], Fetched]) -> _Kept:
    fetched = fetch()
    # Some last five minutes only: half of that is used at least.
    seconds = max(fetched.seconds - MARGIN, fetched.seconds / 2)
    kept = _Kept(fetched.value, time.time() + seconds)
    for known in [name for name, old in list(_seen.items()) if not old.is_good("")]:
        _seen.pop(known, None)
    _seen[key] = kept
    _write(key, kept, seconds)
    return kept


def _read(key: str) -> _Kept | None:
    sealed = None
    with _cache_may_be_away() as is_there:
        if is_there:
            sealed = cache.get(_name(key))
    try:
        return _Kept(**decrypt(sealed)) if sealed else None
    except (UnreadableSecret, TypeError, AttributeError):
        # Sealed with a key that is gone, or by another version of the platform.
        return None


def _write(key: str, kept: _Kept, seconds: float) -> None:
    sealed = encrypt({"value": kept.value, "until": kept.until})
    with _cache_may_be_away() as is_there:
        if is_there:
            cache.set(_name(key), sealed, timeout=max(1, int(seconds)))


def _name(key: str) -> str:
    return f"token:{key}"


@contextlib.contextmanager
def _in_process(key: str) -> Iterator[None]:
    """One thread at a time; not for ever, as the one before may wait for its provider."""
    with _guard:
        lock = _locks.setdefault(key, threading.Lock())
    is_mine = lock.acquire(timeout=2 * LOCK_SECONDS)
    try:
        yield
    finally:
        if is_mine:
            lock.release()


@contextlib.contextmanager
def _in_cache(key: str) -> Iterator[None]:
    """One process at a time, where processes share a cache."""
    lock = None
    with _cache_may_be_away() as is_there:
        # Django's other caches have no locks: they are this process's alone.
        make = getattr(cache, "lock", None) if is_there else None
        if make is not None:
            asked = make(f"{_name(key)}:lock", timeout=LOCK_SECONDS, sleep=0.05)
            lock = asked if asked.acquire(blocking_timeout=LOCK_SECONDS + 1) else None
    try:
        yield
    finally:
        if lock is not None:
            # It may have run out, and belong to somebody else.
            with _cache_may_be_away(), contextlib.suppress(LockError):
                lock.release()


@contextlib.contextmanager
def _cache_may_be_away() -> Iterator[bool]:
    """Whether to try; what goes wrong inside is noted and forgotten."""
    global _resting_until
    if time.monotonic() < _resting_until:
        yield False
        return
    try:
        yield True
    except CACHE_AWAY as error:
        _resting_until = time.monotonic() + REST_SECONDS
        # Not its words: they name the host.
        log.warning("tokens_without_cache", error=type(error).__name__, rest=REST_SECONDS)

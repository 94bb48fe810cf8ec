"""Ids that sort by the time they were made (UUID version 7, RFC 9562 section 5.7)."""

import os
import time
from datetime import UTC, datetime
from uuid import UUID


def uuid7() -> UUID:
    """48 bits of Unix milliseconds, 12 of the fraction below (RFC 9562 section 6.2, method 3), so
    that ids of one process sort within a millisecond too, and 62 random ones."""
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = nanoseconds * 4096 // 1_000_000
    return _assemble(milliseconds, fraction, int.from_bytes(os.urandom(8), "big"))


def moment_of(pk: UUID) -> datetime:
    """When a UUID of version 7 was made."""
    return datetime.fromtimestamp((pk.int >> 80) / 1000, UTC)


def lowest_uuid7(moment: datetime) -> UUID:
    """The smallest id that could have been made at `moment`: a bound for range queries."""
    return _assemble(max(0, int(moment.timestamp() * 1000)), 0, 0)


def uuid7_at(moment: float, random: int) -> UUID:
    """An id as it would have been made at `moment`, in seconds since 1970, with 62 bits of
    `random`: for rows of the past."""
    milliseconds, rest = divmod(int(moment * 1_000_000), 1000)
    return _assemble(milliseconds, rest * 4096 // 1000, random)


def _assemble(milliseconds: int, fraction: int, random: int) -> UUID:
    high = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    version = 0x7 << 76 | fraction << 64
    variant = 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=high | version | variant)

"""Recipients that must not be written to: found, added, removed.

An entry without an application holds for all of them. Expired ones stand until they are renewed or
deleted, and hold for nobody.
"""

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from core.database import prepared_cursor
from core.errors import Code, DomainError
from messaging.models import Suppression

# For so many seconds a drain remembers that there are none at all. What is added meanwhile by
# another process holds for what is accepted at once, and for what is sent this much later.
EMPTY_FOR = 1.0
CHUNK = 500

_FIND = """
    SELECT address, application_id FROM messaging_suppression
    WHERE channel = %s AND {among} AND (expires_at IS NULL OR expires_at > %s)
"""
_FIND_POSTGRESQL = _FIND.format(among="address = ANY(%s::text[])")

# On the monotonic clock: until when there are none, and until when nobody looks again.
_empty_until = _looked_until = 0.0
_empty_at: datetime | None = None

# An address and whose mail it must not get; None: nobody's.
Found = set[tuple[str, int | None]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A recipient that is to be suppressed. `address` is checked and in lower case."""

    address: str
    reason: str = Suppression.Reason.MANUAL
    note: str = ""
    expires_at: datetime | None = None


def find(
    *, channel: str, application_id: int, addresses: Collection[str], now: datetime
) -> set[str]:
    """Those of `addresses`, in lower case, that `application_id` must not write to: one query."""
    found = _find(channel, addresses, now)
    return {address for address, owner in found if owner in {None, application_id}}


def find_for_many(*, channel: str, addresses: Collection[str], now: datetime) -> Found:
    """The same for a batch of several applications; notes when there are none at all."""
    global _empty_until, _empty_at, _looked_until
    found = _find(channel, addresses, now)
    if not found and time.monotonic() >= _looked_until:
        _looked_until = time.monotonic() + EMPTY_FOR
        if not Suppression.objects.exists():
            _empty_until, _empty_at = _looked_until, now
    return found


def none_at() -> datetime | None:
    """When, a moment ago, there were none at all; None if that was not so, or nobody has looked."""
    return _empty_at if time.monotonic() < _empty_until else None


def forget_emptiness() -> None:
    """In this process: something was added."""
    global _empty_until, _looked_until
    _empty_until = _looked_until = 0.0


def _find(channel: str, addresses: Collection[str], now: datetime) -> Found:
    if not addresses:
        return set()
    if connection.vendor == "postgresql":
        with prepared_cursor() as cursor:
            cursor.execute(_FIND_POSTGRESQL, [channel, list(addresses), now])
            return set(cursor.fetchall())
    moment = connection.ops.adapt_datetimefield_value(now)
    places = ", ".join(["%s"] * len(addresses))
    with connection.cursor() as cursor:
        sql = _FIND.format(among=f"address IN ({places})")
        cursor.execute(sql, [channel, *addresses, moment])
        return set(cursor.fetchall())


def add(
    entry: Entry, *, channel: str, application_id: int | None, source: str, now: datetime
) -> tuple[Suppression, bool]:
    """The row, and whether it is new. One that is there already stays, unless it has expired or
    would expire sooner."""
    owner: Any = application_id
    with transaction.atomic():
        row, is_new = Suppression.objects.get_or_create(
            channel=channel,
            address=entry.address,
            application_id=owner,
            defaults=_values(entry, source=source, now=now),
        )
        if not is_new and _lasts_longer(entry, row):
            for name, value in _values(entry, source=source, now=now).items():
                setattr(row, name, value)
            row.save()
            is_new = True
    forget_emptiness()
    return row, is_new


def add_many(
    entries: Sequence[Entry],
    *,
    channel: str,
    application_id: int | None,
    source: str,
    now: datetime,
) -> int:
    """How many are new. The same list again changes nothing."""
    owner: Any = application_id
    by_address = {entry.address: entry for entry in entries}
    changed = 0
    with transaction.atomic():
        for chunk in _chunks(list(by_address.values())):
            rows = Suppression.objects.select_for_update().filter(
                channel=channel,
                application_id=owner,
                address__in=[entry.address for entry in chunk],
            )
            known = {row.address: row for row in rows}
            new = [entry for entry in chunk if entry.address not in known]
            Suppression.objects.bulk_create(
                (
                    Suppression(
                        channel=channel,
                        address=entry.address,
                        application_id=application_id,
                        **_values(entry, source=source, now=now),
                    )
                    for entry in new
                ),
                # Somebody else may have added it meanwhile.
                ignore_conflicts=True,
            )
            renewed = [
                e for e in chunk if e.address in known and _lasts_longer(e, known[e.address])
            ]
            for entry in renewed:
                Suppression.objects.filter(pk=known[entry.address].pk).update(
                    **_values(entry, source=source, now=now)
                )
            changed += len(new) + len(renewed)
    forget_emptiness()
    return changed


def visible_to(application_id: int) -> QuerySet[Suppression]:
    """An application's own and those of all."""
    return Suppression.objects.filter(
        Q(application_id=application_id) | Q(application_id__isnull=True)
    )


def remove_own(pk: int, *, application_id: int) -> None:
    """Raises `DomainError`: `not_found`, and `forbidden` for what holds for all applications."""
    row = visible_to(application_id).filter(pk=pk).first()
    if row is None:
        raise DomainError(Code.NOT_FOUND, f"There is no suppression {pk}.")
    if row.application_id is None:
        raise DomainError(
            Code.FORBIDDEN,
            f"Suppression {pk} holds for all applications: operators remove it in the admin.",
        )
    row.delete()


def _values(entry: Entry, *, source: str, now: datetime) -> dict[str, Any]:
    return {
        "reason": entry.reason,
        "note": entry.note[:200],
        "source": source[:100],
        "expires_at": entry.expires_at,
        "created_at": now,
    }


def _lasts_longer(entry: Entry, row: Suppression) -> bool:
    if row.expires_at is None:
        return False
    return entry.expires_at is None or entry.expires_at > row.expires_at


def _chunks(entries: list[Entry]) -> Iterable[list[Entry]]:
    return (entries[start : start + CHUNK] for start in range(0, len(entries), CHUNK))

"""Quotas of senders and of their groups, reserved before a message is sent.

Counters are rows. A reservation locks those of the sender and of its group in one statement, always
in the same order and each time with the row of the day, so that workers cannot wait in a ring and
together never exceed a limit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q

from messaging.models import Sender, SenderGroup, SenderWindow

Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class _Counter:
    """One window of `owner`: when it began, and what it may hold."""

    owner: Sender | SenderGroup
    window: str
    started_at: datetime
    limit: int | None

    @property
    def key(self) -> Key:
        return (0 if isinstance(self.owner, Sender) else 1, self.window)

    def new_row(self) -> SenderWindow:
        row = SenderWindow(window=self.window, started_at=self.started_at)
        if isinstance(self.owner, Sender):
            row.sender = self.owner
        else:
            row.group = self.owner
        return row


def reserve(sender: Sender, wanted: int, *, now: datetime) -> int:
    """Reserve up to `wanted` messages in all windows of `sender` and its group; how many were
    granted. Commits by itself: what it locks must not stay locked."""
    counters = _counters(sender, now)
    while True:
        with transaction.atomic(durable=True):
            rows = _locked(sender, counters)
            if len(rows) == len(counters):
                return _take(rows, counters, wanted)
        # Outside, holding nothing: an insert waits for whoever inserts the same.
        missing = [counter for key, counter in counters.items() if key not in rows]
        SenderWindow.objects.bulk_create(
            [counter.new_row() for counter in missing], ignore_conflicts=True
        )


def give_back(sender: Sender, count: int, *, now: datetime) -> None:
    """Return quota that was reserved and not used, unless its window is over.

    It may be called for several senders within one transaction, in any order.
    """
    counters = _counters(sender, now)
    with transaction.atomic():
        # One at a time: groups of several senders come in no order. Reservations do not wait here.
        Sender.lock_all(sender.channel)
        rows = _locked(sender, counters)
        for key, row in rows.items():
            if row.started_at == counters[key].started_at:
                row.used = max(0, row.used - count)
                _write(row)


def _counters(sender: Sender, now: datetime) -> dict[Key, _Counter]:
    """In the order in which they are locked. The day is always counted, limited or not: it tells
    who was used least."""
    owners = (sender.group, sender) if sender.group is not None else (sender,)
    counters: dict[Key, _Counter] = {}
    for owner in owners:
        limits = owner.limits()
        for window in sorted({"day", *limits}):
            counter = _Counter(owner, window, owner.window_start(window, now), limits.get(window))
            counters[counter.key] = counter
    return counters


def _locked(sender: Sender, counters: Iterable[Key]) -> dict[Key, SenderWindow]:
    """Those rows that exist, locked: the group's first, the day's before others."""
    keys = set(counters)
    owned = Q(sender=sender)
    if sender.group_id is not None:
        owned |= Q(group=sender.group_id)
    rows = (
        SenderWindow.objects.select_for_update()
        .filter(owned)
        .order_by(F("group_id").asc(nulls_last=True), "sender_id", "window")
    )
    found = {(0 if row.group_id is None else 1, row.window): row for row in rows}
    return {key: row for key, row in found.items() if key in keys}


def _take(rows: dict[Key, SenderWindow], counters: dict[Key, _Counter], wanted: int) -> int:
    granted = wanted
    for key, row in rows.items():
        counter = counters[key]
        if row.started_at < counter.started_at:
            row.started_at, row.used = counter.started_at, 0
        if counter.limit is not None:
            granted = max(0, min(granted, counter.limit - row.used))
    for row in rows.values():
        row.used += granted
        _write(row)
    return granted


def _write(row: SenderWindow) -> None:
    """One statement a row: there are few, and for those `bulk_update` costs four times more."""
    SenderWindow.objects.filter(pk=row.pk).update(started_at=row.started_at, used=row.used)

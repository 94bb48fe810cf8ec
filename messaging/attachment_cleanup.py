"""Removes what nobody needs any more. Every part may run twice, at once, late, or be killed: it
finds its own work, and a file always goes before its row says so."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, Q

from messaging import attachment_files, states
from messaging.models import Attachment, MessageAttachment, Status

log = structlog.get_logger(__name__)

BATCH = 200
# How often it is looked at again: while a message waits to be sent with it; after a clean-up took
# it on and did not come back; when only its row is left, for messages that tell of it.
WHILE_NEEDED, IF_KILLED, WHEN_REMOVED = timedelta(hours=6), timedelta(hours=1), timedelta(days=30)
# A file without a row is younger than this only while it is being uploaded.
LOST_AFTER = timedelta(days=2)
NOT_FINAL = [status for status in Status.values if status not in states.FINAL]


@dataclass(slots=True)
class _Batch:
    """What is to become of some attachments that were due to be looked at."""

    count: int = 0
    # Whose files go: those that messages refer to, and those that nobody does.
    told_of: list[Attachment] = field(default_factory=list)
    unused: list[Attachment] = field(default_factory=list)


def remove_expired(*, now: datetime, limit: int = 10_000) -> int:
    """Remove the files of attachments that expired and that no message needs. Returns how many.

    A message needs them until it is final, and for `ATTACHMENT_KEEP_DAYS` after, so that it can be
    sent again. The row goes too, unless a message refers to it."""
    removed = looked_at = 0
    while looked_at < limit:
        batch = _take_batch(now)
        # No transaction is open here: a bucket is somewhere else.
        for attachment in (*batch.told_of, *batch.unused):
            attachment_files.remove(attachment.stored_as)
        _write(batch, now)
        removed += len(batch.told_of) + len(batch.unused)
        looked_at += batch.count
        if batch.count < BATCH:
            break
    if removed:
        log.info("attachments_removed", count=removed)
    return removed


def _take_batch(now: datetime) -> _Batch:
    """The next ones. All are put off, so that no other clean-up takes them."""
    found = _Batch()
    with transaction.atomic():
        rows = list(
            Attachment.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(look_at__lte=now)
            .order_by("look_at")
            .only("stored_as", "removed_at", "look_at")[:BATCH]
        )
        found.count = len(rows)
        needs = _needs(rows)
        for row in rows:
            needed = needs.get(row.pk)
            until = _needed_until(needed, now)
            if until is None and needed and row.removed_at is not None:
                until = now + WHEN_REMOVED
            if until is None:
                (found.told_of if needed else found.unused).append(row)
            row.look_at = until or now + IF_KILLED
        Attachment.objects.bulk_update(rows, ["look_at"])
    return found


def _needs(rows: list[Attachment]) -> dict[Any, tuple[int, datetime | None]]:
    """By attachment that messages refer to: how many are not final, and when the last one was."""
    counted = (
        MessageAttachment.objects.filter(attachment__in=rows)
        .values_list("attachment")
        .annotate(
            open=Count("pk", filter=Q(message__status__in=NOT_FINAL)),
            last=Max("message__finished_at"),
        )
    )
    return {pk: (not_final, last) for pk, not_final, last in counted}


def _needed_until(needed: tuple[int, datetime | None] | None, now: datetime) -> datetime | None:
    """When to look again at a file that is needed; None for one that is not."""
    if needed is None:
        return None
    not_final, last = needed
    if not_final or last is None:
        return now + WHILE_NEEDED
    until = last + timedelta(days=settings.ATTACHMENT_KEEP_DAYS)
    return until if until > now else None


def _write(batch: _Batch, now: datetime) -> None:
    with transaction.atomic():
        Attachment.objects.filter(pk__in=[row.pk for row in batch.unused]).delete()
        told_of = Attachment.objects.filter(pk__in=[row.pk for row in batch.told_of])
        told_of.update(removed_at=now, look_at=now + WHEN_REMOVED)


def remove_lost(*, now: datetime) -> int:
    """Remove files that no row knows: their upload was broken off between file and row. Returns how
    many. The storage must be this installation's alone."""
    before = (now - LOST_AFTER).date()
    removed = 0
    for names in attachment_files.stored_before(before):
        known = Attachment.objects.filter(stored_as__in=names, removed_at=None)
        for name in set(names).difference(known.values_list("stored_as", flat=True)):
            attachment_files.remove(name)
            removed += 1
    attachment_files.remove_empty_folders(before=before)
    if removed:
        log.warning("lost_files_removed", count=removed)
    return removed

"""Takes away what has had its time. Each job is idempotent, works in slices, and ends when nothing
is left that is old enough: any number of them at once do each other no harm."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from messaging import idempotency
from messaging.models import Fingerprint, IdempotencyKey

# Rows that one statement takes away: short enough that nobody waits for it.
SLICE = 5_000


def forget_answers(*, now: datetime) -> int:
    """Idempotency keys that are not replayed any more."""
    return _delete(IdempotencyKey.objects.filter(created_at__lte=now - idempotency.KEPT))


def forget_fingerprints(*, now: datetime) -> int:
    """Windows for duplicates that are over."""
    return _delete(Fingerprint.objects.filter(expires_at__lte=now))


def _delete(old: QuerySet[Any]) -> int:
    """Row by row of a slice, so that one that is in use just now is passed over."""
    deleted: int = 0
    while True:
        slice_ = old.select_for_update(skip_locked=True).values("pk")[:SLICE]
        count, _ = old.model.objects.filter(pk__in=slice_).delete()
        deleted += count
        if count < SLICE:
            return deleted

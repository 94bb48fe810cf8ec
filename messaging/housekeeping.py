"""Takes away what has had its time. Each job is idempotent, works in slices, and ends when nothing
is left that is old enough: any number of them at once do each other no harm."""

from datetime import datetime, timedelta

from core.database import delete_in_slices
from messaging import idempotency, receipts
from messaging.models import Fingerprint, IdempotencyKey, ProviderReport, SenderMove, Suppression

MOVES_KEPT = timedelta(days=90)


def forget_answers(*, now: datetime) -> int:
    """Idempotency keys that are not replayed any more."""
    return delete_in_slices(IdempotencyKey.objects.filter(created_at__lte=now - idempotency.KEPT))


def forget_fingerprints(*, now: datetime) -> int:
    """Windows for duplicates that are over."""
    return delete_in_slices(Fingerprint.objects.filter(expires_at__lte=now))


def forget_reports(*, now: datetime) -> int:
    """What providers reported long ago; what came of it stays with the messages."""
    return delete_in_slices(ProviderReport.objects.filter(received_at__lt=now - receipts.KEEP_FOR))


def forget_suppressions(*, now: datetime) -> int:
    """Those that expired long ago."""
    return delete_in_slices(Suppression.objects.filter(expires_at__lt=now - receipts.KEEP_FOR))


def forget_moves(*, now: datetime) -> int:
    """What senders did long ago."""
    return delete_in_slices(SenderMove.objects.filter(at__lt=now - MOVES_KEPT))

"""Changes of mind about what was accepted: cancel it, or send it at another time.

Exact under a race: what a worker claimed first is sent, and the answer here is a conflict.
"""

from datetime import datetime, timedelta
from uuid import UUID

from core.errors import Code, DomainError
from messaging import doorbell, states
from messaging.models import Batch, Message
from messaging.story import shown_status

# Messages that one statement of a batch cancels: short enough that nobody waits for its locks.
SLICE = 1000


def cancel(*, message: Message, now: datetime, actor_id: int | None = None) -> None:
    """Raises `DomainError` (`conflict`) for what is not pending any more."""
    if not states.cancel(message.pk, now=now, actor_id=actor_id):
        raise _conflict(message, "Only what was not handed to a sender yet can be cancelled.", now)


def reschedule(
    *, message: Message, due_at: datetime, now: datetime, actor_id: int | None = None
) -> None:
    """Its lifetime moves with it. Raises `DomainError` (`conflict`) for what is not scheduled."""
    if not states.reschedule(message.pk, due_at=due_at, now=now, actor_id=actor_id):
        raise _conflict(message, "Only what is scheduled can be sent at another time.", now)
    if due_at <= now + timedelta(seconds=1):
        doorbell.ring(channel=message.channel, lane=message.lane)


def cancel_batch(*, batch_id: UUID, now: datetime, actor_id: int | None = None) -> int:
    """Cancel what is still pending of it, in slices. Returns how many were."""
    cancelled = 0
    note_cancelled(batch_id, now=now)
    while True:
        count = states.cancel_some_of(batch_id, limit=SLICE, now=now, actor_id=actor_id)
        cancelled += count
        if count < SLICE:
            return cancelled


def note_cancelled(batch_id: UUID, *, now: datetime) -> None:
    """Of the batch itself; its messages are cancelled by whoever calls this."""
    Batch.objects.filter(pk=batch_id, cancelled_at=None).update(cancelled_at=now)


def _conflict(message: Message, why: str, now: datetime) -> DomainError:
    message.refresh_from_db(fields=["status", "reason", "due_at"])
    return DomainError(
        Code.CONFLICT, f"Message {message.pk} is {shown_status(message, now=now)}. {why}"
    )

"""Takes failed and unknown messages up again: one, those that a person picked, or all that match.

What may have arrived already goes only where a door was told so: sending it again may duplicate it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from core.errors import Code, DomainError, FieldError
from messaging import doorbell, states
from messaging.models import Attachment, Message, Status

# Rows that one statement moves: short enough that nobody waits for its locks. Measured on
# PostgreSQL 15: 20,000 rows take 2.5 s in slices of 100, and 1.7 s in slices of 1,000 or of 5,000.
SLICE = 1000
# Nothing is counted further than this; the answer is then "more than 100,000".
COUNT_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class Tally:
    """How many messages can go again: those that did not arrive for sure, and those that may have.
    Each up to `COUNT_LIMIT + 1`."""

    certain: int
    doubtful: int


def still_open(moment: datetime) -> Q:
    """What could be sent again at `moment` already. Whoever confirms twice, or late, does not also
    send again what failed after the question was asked."""
    return Q(status=Status.FAILED, finished_at__lte=moment) | Q(
        # An unknown one is due when its rest is over.
        status=Status.UNKNOWN,
        due_at__lte=moment + states.UNKNOWN_REST,
    )


def tally(rows: QuerySet[Message]) -> Tally:
    """Count those of `rows` that can go again."""
    movable = rows.filter(states.CAN_GO_AGAIN)
    return Tally(
        certain=count_bounded(movable.exclude(states.MAY_HAVE_ARRIVED)),
        doubtful=count_bounded(movable.filter(states.MAY_HAVE_ARRIVED)),
    )


def choose(rows: QuerySet[Message], *, may_duplicate: bool, limit: int) -> list[UUID]:
    """Ids of those of `rows` that can go again, the oldest first."""
    movable = rows.filter(states.CAN_GO_AGAIN)
    if not may_duplicate:
        movable = movable.exclude(states.MAY_HAVE_ARRIVED)
    return list(movable.order_by("pk").values_list("pk", flat=True)[:limit])


def resend_slice(
    ids: Sequence[UUID], *, may_duplicate: bool, now: datetime, actor_id: int | None = None
) -> int:
    """Put up to `SLICE` messages up for sending once more, in one transaction. Returns how many
    went: the others had moved meanwhile."""
    went = states.resend_many(ids, may_duplicate=may_duplicate, now=now, actor_id=actor_id)
    for channel, lane in {(message.channel, message.lane) for message in went}:
        doorbell.ring(channel=channel, lane=lane)
    return len(went)


def resend(*, message: Message, now: datetime, actor_id: int | None = None) -> None:
    """One by itself, also if it may have arrived: doors say so before they call this.

    Raises `DomainError` (`conflict`) for one that is neither failed nor unknown, and for one whose
    attachments are gone.
    """
    gone = Attachment.objects.filter(message_attachments__message=message, removed_at__lte=now)
    if (attachment := gone.first()) is not None:
        raise DomainError(
            Code.CONFLICT,
            f"Message {message.pk} cannot be sent again: its attachment {attachment.filename} was "
            f"removed {settings.ATTACHMENT_KEEP_DAYS} days after it was over. Send it anew.",
        )
    if not resend_slice([message.pk], may_duplicate=True, now=now, actor_id=actor_id):
        raise DomainError(
            Code.CONFLICT,
            f"Message {message.pk} is {message.status}: only failed and unknown ones can be sent "
            "again.",
        )


def resend_asked(*, message: Message, may_duplicate: bool, now: datetime) -> None:
    """One by itself, for its caller.

    Raises `DomainError`: `conflict` for one that is neither failed nor unknown,
    `confirmation_required` for one that may have arrived."""
    is_doubtful = Message.objects.filter(states.MAY_HAVE_ARRIVED, pk=message.pk).exists()
    if is_doubtful and not may_duplicate:
        words = "No answer came when it was sent: it may have arrived. Repeat with may_duplicate."
        error = FieldError("/may_duplicate", "confirmation_required", words)
        raise DomainError(Code.CONFIRMATION_REQUIRED, words, errors=(error,))
    resend(message=message, now=now)


def count_bounded(rows: QuerySet[Message]) -> int:
    """Up to `COUNT_LIMIT + 1`."""
    return rows.order_by().values("pk")[: COUNT_LIMIT + 1].count()

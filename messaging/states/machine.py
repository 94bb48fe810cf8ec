"""The whole machine: which moves there are, how one is made, and how it is told."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from messaging import outbox
from messaging.models import Event, Message, Reason, Status

MOVES: dict[str, frozenset[str]] = {
    Status.PENDING: frozenset({Status.SENDING, Status.SUCCESS, Status.FAILED, Status.CANCELLED}),
    Status.SENDING: frozenset({Status.PENDING, Status.SUCCESS, Status.FAILED, Status.UNKNOWN}),
    Status.UNKNOWN: frozenset({Status.PENDING, Status.SUCCESS, Status.FAILED}),
    Status.FAILED: frozenset({Status.PENDING, Status.SUCCESS}),
    Status.SUCCESS: frozenset(),
    Status.CANCELLED: frozenset(),
}
FINAL = frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELLED})
# Webhooks tell of these.
TOLD = FINAL | {Status.UNKNOWN}
CAN_GO_AGAIN = Q(status__in=[Status.FAILED, Status.UNKNOWN])
# The provider may have taken these: sending them again may duplicate them.
MAY_HAVE_ARRIVED = Q(status=Status.UNKNOWN) | Q(status=Status.FAILED, reason=Reason.UNKNOWN_OUTCOME)
# Claims without any outcome after which a message is taken out: it kills its workers.
MAX_CLAIMS = 5
# Tries after which a message fails although it has not expired: a stop against loops.
MAX_TRIES = 50
# How long a message with an unknown outcome rests before its policy decides.
UNKNOWN_REST = timedelta(seconds=60)


def move(messages: QuerySet[Message], to: Status, **changes: Any) -> int:
    """Update those of `messages` that may move `to`; how many did. For moves that nobody is told
    of: `move_and_tell` makes the others."""
    if to in TOLD:
        raise ValueError(f"Applications are told when a message becomes {to}: use move_and_tell.")
    return _move(messages, to, **changes)


def move_and_tell(messages: QuerySet[Message], to: Status, *, now: datetime, **changes: Any) -> int:
    """`move`, and in the same transaction what the applications that listen are told of it."""
    event = f"message.{to}"
    if not outbox.is_heard(event):
        return _move(messages, to, **changes)
    with transaction.atomic():
        # Who moved must be known, and after the move the condition holds for none.
        locked = _movable(messages, to).order_by("pk").select_for_update()
        ids = list(locked.values_list("pk", flat=True))
        moved = _move(Message.objects.filter(pk__in=ids), to, **changes)
        outbox.announce(ids, event, now)
    return moved


def _move(messages: QuerySet[Message], to: Status, **changes: Any) -> int:
    return _movable(messages, to).update(status=to, **changes)


def _movable(messages: QuerySet[Message], to: Status) -> QuerySet[Message]:
    return messages.filter(status__in=[source for source in MOVES if to in MOVES[source]])


def record(ids: Iterable[UUID], kind: Event.Kind, now: datetime, details: dict[str, Any]) -> None:
    Event.objects.bulk_create(
        Event(message_id=pk, kind=kind, at=now, details=details) for pk in ids
    )

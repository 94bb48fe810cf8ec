"""The moves of receipts: what providers tell of messages that they took."""

from datetime import datetime
from uuid import UUID

from messaging import outbox
from messaging.models import Event, Feedback, Message, Reason, Status
from messaging.states.drain import succeed
from messaging.states.machine import record

# From lowest to highest.
RANKS = tuple(Feedback.values)
_GIVEN_UP = (Status.PENDING, Status.UNKNOWN)


def prove(message_id: UUID, *, sender_id: int, now: datetime) -> bool:
    """sending, pending, unknown or failed (`unknown_outcome`) -> success, by a receipt that carries
    our attempt's id: the provider has it, whatever was heard at the time. Within a transaction.
    False if there was nothing to prove."""
    row = (
        Message.objects.select_for_update(no_key=True)
        .filter(pk=message_id)
        .values_list("status", "reason")
        .first()
    )
    if row is None:
        return False
    status, reason = row
    is_late = status in _GIVEN_UP or (status == Status.FAILED and reason == Reason.UNKNOWN_OUTCOME)
    if not is_late and status != Status.SENDING:
        return False
    if is_late:
        record([message_id], Event.Kind.LATE_SUCCESS, now, {"from": status})
    succeed([(message_id, sender_id, now)])
    return True


def raise_feedback(message_id: UUID, to: str, *, now: datetime) -> bool:
    """Up the ranks only: what is lower or the same changes nothing, and nobody is told of it.
    Within a transaction. Whether it rose."""
    lower = ("", *RANKS[: RANKS.index(to)])
    rose = Message.objects.filter(pk=message_id, feedback__in=lower).update(feedback=to)
    if rose:
        outbox.announce([message_id], f"message.{to}", now)
    return bool(rose)

"""The moves of people."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce

from core.vocabulary import Lane
from messaging.models import Event, Message, Reason, Status
from messaging.states.machine import CAN_GO_AGAIN, MAY_HAVE_ARRIVED, move, move_and_tell


def resend_many(
    ids: Sequence[UUID], *, may_duplicate: bool, now: datetime, actor_id: int | None
) -> list[Message]:
    """failed or unknown -> pending, by an operator: all of `ids` at once, each with its whole
    lifetime anew. Left out is what moved meanwhile or is being moved, and without `may_duplicate`
    what may have arrived. Returns those that went, as they were before; at best give 1,000."""
    with transaction.atomic():
        movable = Message.objects.filter(CAN_GO_AGAIN, pk__in=ids)
        if not may_duplicate:
            movable = movable.exclude(MAY_HAVE_ARRIVED)
        locked = movable.order_by("pk").select_for_update(skip_locked=True)
        went = list(locked.only("channel", "lane", "status", "reason"))
        again = Event.objects.filter(message=OuterRef("pk"), kind=Event.Kind.RESENT)
        began_at = Coalesce(Subquery(again.order_by("-at").values("at")[:1]), F("created_at"))
        move(
            Message.objects.filter(pk__in=[message.pk for message in went]),
            Status.PENDING,
            reason=Reason.RESENT,
            reason_detail="",
            due_at=now,
            expires_at=Value(now) + (F("expires_at") - began_at),
            finished_at=None,
            claims=0,
            tries=0,
            unknown_resends=0,
        )
        Event.objects.bulk_create(
            Event(
                message_id=message.pk,
                kind=Event.Kind.RESENT,
                at=now,
                details={"from": message.status, "reason": message.reason},
                actor_id=actor_id,
            )
            for message in went
        )
    return went


def reschedule(message_id: UUID, *, due_at: datetime, now: datetime, actor_id: int | None) -> bool:
    """Still pending, for another time, by a caller or an operator; its lifetime counts from
    there. False when it is not scheduled any more: a worker has it, or it was cancelled."""
    with transaction.atomic():
        waiting = Message.objects.filter(
            pk=message_id, status=Status.PENDING, reason="", due_at__gt=now, claims=0
        )
        was_at = waiting.select_for_update().values_list("due_at", flat=True).first()
        if was_at is not None:
            waiting.update(
                due_at=due_at,
                send_at=max(due_at, now),
                expires_at=F("expires_at") + (due_at - was_at),
            )
            Event.objects.create(
                message_id=message_id,
                kind=Event.Kind.RESCHEDULED,
                at=now,
                details={"from": _told(was_at), "to": _told(due_at)},
                actor_id=actor_id,
            )
    return was_at is not None


def _told(moment: datetime) -> str:
    """As the API writes times."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def cancel_some_of(batch_id: UUID, *, limit: int, now: datetime, actor_id: int | None) -> int:
    """pending -> cancelled, up to `limit` messages of a batch at once. What a worker is claiming
    just now is passed over. Returns how many were cancelled."""
    with transaction.atomic():
        pending = Message.objects.filter(batch=batch_id, status=Status.PENDING).order_by("pk")
        locked = pending.select_for_update(skip_locked=True)
        ids = list(locked.values_list("pk", flat=True)[:limit])
        _cancel(ids, now=now, actor_id=actor_id)
    return len(ids)


def cancel_many(ids: Sequence[UUID], *, now: datetime, actor_id: int | None) -> list[Message]:
    """pending -> cancelled, by an operator: all of `ids` at once. Left out is what is not pending
    any more and what a worker is claiming. Returns those that were, as they were before."""
    with transaction.atomic():
        waiting = _lock_pending(ids)
        _cancel([message.pk for message in waiting], now=now, actor_id=actor_id)
    return waiting


def _cancel(ids: Sequence[UUID], *, now: datetime, actor_id: int | None) -> None:
    move_and_tell(
        Message.objects.filter(pk__in=ids),
        Status.CANCELLED,
        now=now,
        reason="",
        reason_detail="",
        finished_at=now,
    )
    Event.objects.bulk_create(
        Event(message_id=pk, kind=Event.Kind.CANCELLED, at=now, actor_id=actor_id) for pk in ids
    )


def change_lane(
    ids: Sequence[UUID], lane: Lane, *, now: datetime, actor_id: int | None
) -> list[Message]:
    """Still pending, in another lane, by an operator: all of `ids` at once that are not in it.
    Returns those that moved, as they were before."""
    with transaction.atomic():
        waiting = [message for message in _lock_pending(ids) if message.lane != lane]
        Message.objects.filter(pk__in=[message.pk for message in waiting]).update(lane=lane)
        Event.objects.bulk_create(
            Event(
                message_id=message.pk,
                kind=Event.Kind.LANE_CHANGED,
                at=now,
                details={"from": message.lane, "to": lane.value},
                actor_id=actor_id,
            )
            for message in waiting
        )
    return waiting


def bring_forward(ids: Sequence[UUID], *, now: datetime, actor_id: int | None) -> list[Message]:
    """Still pending, and due at once, by an operator: all of `ids`, whether they wait for their
    time, for another try or for a sender. The lifetime of what was scheduled counts from now.
    Returns those that are due now, as they were before."""
    with transaction.atomic():
        waiting = _lock_pending(ids)
        scheduled = {m.pk for m in waiting if not m.reason and not m.claims and m.due_at > now}
        Message.objects.filter(pk__in=scheduled).update(
            due_at=now, send_at=now, expires_at=Value(now) + (F("expires_at") - F("due_at"))
        )
        others = [message.pk for message in waiting if message.pk not in scheduled]
        Message.objects.filter(pk__in=others).update(due_at=now)
        Event.objects.bulk_create(
            Event(
                message_id=message.pk,
                kind=Event.Kind.RELEASED,
                at=now,
                details={"from": _told(message.due_at)},
                actor_id=actor_id,
            )
            for message in waiting
        )
    return waiting


def _lock_pending(ids: Sequence[UUID]) -> list[Message]:
    """Inside a transaction. What somebody else is moving just now is left out."""
    pending = Message.objects.filter(pk__in=ids, status=Status.PENDING).order_by("pk")
    locked = pending.select_for_update(skip_locked=True)
    return list(locked.only("channel", "lane", "status", "reason", "claims", "due_at"))


def cancel(message_id: UUID, *, now: datetime, actor_id: int | None) -> bool:
    """pending -> cancelled, by a caller or an operator. False when it is not pending any more: then
    it is sent, or was."""
    with transaction.atomic():
        won = move_and_tell(
            Message.objects.filter(pk=message_id),
            Status.CANCELLED,
            now=now,
            reason="",
            reason_detail="",
            finished_at=now,
        )
        if won:
            Event.objects.create(
                message_id=message_id, kind=Event.Kind.CANCELLED, at=now, actor_id=actor_id
            )
    return bool(won)

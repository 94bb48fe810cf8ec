"""What operators do to many messages: to which it can be done, and how it is done to a slice."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from core.vocabulary import Lane
from messaging import doorbell, resending, states
from messaging.models import Event, Job, Message, Status
from messaging.search import created_before

Kind = Job.Kind


def is_open_to(job: Job) -> Q:
    """To which messages it can be done now that were there when it was asked for. What it was done
    to is none of them any more, and neither is what came to it later."""
    if job.kind == Kind.RESEND:
        again = states.CAN_GO_AGAIN & resending.still_open(job.asked_at)
        return again if job.may_duplicate else again & ~states.MAY_HAVE_ARRIVED
    waiting = Q(status=Status.PENDING) & created_before(job.asked_at)
    if job.kind == Kind.MOVE:
        return waiting & ~Q(lane=job.to_lane)
    if job.kind == Kind.RELEASE:
        released = Event.objects.filter(
            message=OuterRef("pk"), kind=Event.Kind.RELEASED, at__gte=job.asked_at
        )
        return waiting & Q(due_at__gt=job.asked_at) & ~Q(Exists(released))
    return waiting


def do(job: Job, ids: Sequence[UUID], *, now: datetime) -> set[UUID]:
    """Do it to up to `resending.SLICE` messages, and wake who is to send them. Returns to which it
    was done: the others are held by somebody, or had moved."""
    went = _DEEDS[Kind(job.kind)](job, ids, now)
    if job.kind != Kind.CANCEL:
        lanes = {(message.channel, job.to_lane or message.lane) for message in went}
        for channel, lane in sorted(lanes):
            doorbell.ring(channel=channel, lane=lane)
    return {message.pk for message in went}


def _resend(job: Job, ids: Sequence[UUID], now: datetime) -> list[Message]:
    return states.resend_many(ids, may_duplicate=job.may_duplicate, now=now, actor_id=job.actor_id)


def _cancel(job: Job, ids: Sequence[UUID], now: datetime) -> list[Message]:
    return states.cancel_many(ids, now=now, actor_id=job.actor_id)


def _move(job: Job, ids: Sequence[UUID], now: datetime) -> list[Message]:
    return states.change_lane(ids, Lane(job.to_lane), now=now, actor_id=job.actor_id)


def _release(job: Job, ids: Sequence[UUID], now: datetime) -> list[Message]:
    return states.bring_forward(ids, now=now, actor_id=job.actor_id)


_DEEDS: dict[Kind, Callable[[Job, Sequence[UUID], datetime], list[Message]]] = {
    Kind.RESEND: _resend,
    Kind.CANCEL: _cancel,
    Kind.MOVE: _move,
    Kind.RELEASE: _release,
}

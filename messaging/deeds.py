"""What operators do to many messages: to which it can be done, and how it is done to a slice."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from core.vocabulary import Lane
from messaging import doorbell, resending, states
from messaging.models import Event, Job, Message, MessageAttachment, Reason, Status
from messaging.search import created_before
from messaging.story import shown_status

Kind = Job.Kind
CAN_GO_AGAIN = {Status.FAILED, Status.UNKNOWN}
# Said of what would be sent again and cannot, because its file has had its time.
ATTACHMENT_GONE = Reason.ATTACHMENT_GONE.value


def is_open_to(job: Job) -> Q:
    """To which messages it can be done now that were there when it was asked for. What it was done
    to is none of them any more, and neither is what came to it later."""
    if job.kind == Kind.RESEND:
        again = states.CAN_GO_AGAIN & resending.still_open(job.asked_at)
        if job.ids is not None:
            # Of a filter a worker finds it out, and says so at the message.
            again &= ~Q(_an_attachment_is_gone(job.asked_at))
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


def why_not(job: Job, ids: set[UUID], *, now: datetime) -> Counter[str]:
    """What they are instead, of those to which it was not done."""
    rows = Message.objects.filter(pk__in=ids).only("status", "reason", "due_at")
    if job.kind == Kind.RESEND and job.ids is not None:
        gone = _an_attachment_is_gone(job.asked_at)
        rows = rows.annotate(lacks_file=gone)
    return Counter(
        ATTACHMENT_GONE
        if getattr(message, "lacks_file", False) and message.status in CAN_GO_AGAIN
        else shown_status(message, now=now)
        for message in rows
    )


def _an_attachment_is_gone(moment: datetime) -> Exists:
    return Exists(
        MessageAttachment.objects.filter(message=OuterRef("pk"), attachment__removed_at__lte=moment)
    )


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

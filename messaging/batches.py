"""Many messages in one request: stored in one transaction, followed and cancelled together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from messaging import duplicates
from messaging.insertion import Unique, insert_many, remember
from messaging.intake import Accepted, Origin, Ready, others_of, wake_for
from messaging.models import Batch, Event, Message, OtherRecipient
from messaging.story import shown_status

MAX_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class Stored:
    """The batch, and for each message in order what became of it."""

    batch: Batch
    accepted: list[Accepted]

    @property
    def are_new(self) -> list[bool]:
        """Of each, whether it became a message."""
        return [not accepted.is_duplicate for accepted in self.accepted]


def store_batch(
    readies: Sequence[Ready], *, origin: Origin, channel: str, rejected: int, now: datetime
) -> Stored:
    """Insert what is new of `readies` in one transaction, and wake workers. `rejected` counts the
    items of the request that did not come so far."""
    with transaction.atomic():
        firsts = _firsts(readies)
        new = [ready for ready in readies if ready.message.pk not in firsts]
        batch = Batch.objects.create(
            application_id=origin.application_id,
            api_key_id=origin.api_key_id,
            channel=channel,
            accepted=len(new),
            rejected=rejected,
            deduplicated=len(firsts),
            request_id=origin.request_id,
        )
        for ready in new:
            ready.message.batch_id = batch.pk
        insert_many([ready.message for ready in new])
        OtherRecipient.objects.bulk_create(
            row for ready in new for row in others_of(ready.message, ready.others)
        )
        details = {"request_id": origin.request_id}
        Event.objects.bulk_create(
            Event(message=first, kind=Event.Kind.DUPLICATE, at=now, details=details)
            for first in firsts.values()
        )
    wake_for([ready.message for ready in new], now=now)
    return Stored(
        batch,
        [
            Accepted(firsts[ready.message.pk], is_duplicate=True)
            if ready.message.pk in firsts
            else Accepted(ready.message, ready.warnings)
            for ready in readies
        ],
    )


def _firsts(readies: Sequence[Ready]) -> dict[UUID, Message]:
    """For those that repeat another, of this batch or before it, by their ids: that other one."""
    leaders: dict[bytes, tuple[Message, Unique]] = {}
    for ready in readies:
        if ready.unique is not None:
            leaders.setdefault(ready.unique.digest, (ready.message, ready.unique))
    known = _remembered_before(leaders)
    firsts: dict[UUID, Message] = {}
    for ready in readies:
        if ready.unique is not None:
            leader = leaders[ready.unique.digest][0]
            first = known.get(ready.unique.digest, leader)
            if first is not ready.message:
                firsts[ready.message.pk] = first
    return firsts


def _remembered_before(leaders: dict[bytes, tuple[Message, Unique]]) -> dict[bytes, Message]:
    """The messages that were accepted before, by digest. All other digests are remembered now."""
    found: dict[bytes, Message] = {}
    waiting = dict(leaders)
    # What was in the way and is over is passed over; the second round finds who else did that.
    for _ in range(2):
        if not waiting:
            break
        for digest in remember(list(waiting.values())):
            del waiting[digest]
        for digest, (_message, unique) in list(waiting.items()):
            first = duplicates.first_of(unique)
            if first is not None and first.is_over:
                duplicates.forget(unique, first)
            elif first is not None and first.message is not None:
                found[digest] = first.message
                del waiting[digest]
    return found


def counts_of(batch: Batch, *, now: datetime) -> dict[str, int]:
    """Its messages by the status that callers see; at most as many rows are read as it has."""
    rows = Message.objects.filter(batch=batch).only("status", "reason", "due_at").order_by()
    return dict(Counter(shown_status(message, now=now) for message in rows.iterator()))

"""The same message again, within a window: it is not sent twice, and the first one's story says so.

What failed or was cancelled keeps nobody back.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from messaging.insertion import Unique
from messaging.models import Event, Fingerprint, Message, Status

_OVER = frozenset({Status.FAILED, Status.CANCELLED})


def unique(
    *,
    application_id: int,
    is_test: bool,
    channel: str,
    parts: list[Any],
    texts: Sequence[str] = (),
    seconds: int,
) -> Unique:
    """What makes two messages of an application and channel the same: JSON values, and `texts`,
    which are long and go past JSON."""
    head = [application_id, is_test, channel, [len(text) for text in texts], *parts]
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for text in texts:
        digest.update(text.encode())
    return Unique(digest.digest(), seconds)


@dataclass(frozen=True, slots=True)
class First:
    """What was accepted with the same digest. `message` is None where it is not there any more."""

    message_id: UUID
    message: Message | None

    @property
    def is_over(self) -> bool:
        """It failed, was cancelled or deleted: who asks again is to be served."""
        return self.message is None or self.message.status in _OVER


def first_of(unique: Unique) -> First | None:
    """With `status`, `reason` and times alone."""
    message_id = (
        Fingerprint.objects.filter(digest=unique.digest).values_list("message", flat=True).first()
    )
    if message_id is None:
        return None
    rows = Message.objects.only("status", "reason", "created_at", "due_at")
    return First(message_id, rows.filter(pk=message_id).first())


def standing_first(unique: Unique, *, now: datetime) -> UUID | None:
    """The id of the message whose duplicate one with this would be at `now`."""
    if not Fingerprint.objects.filter(digest=unique.digest, expires_at__gt=now).exists():
        return None
    first = first_of(unique)
    return None if first is None or first.is_over else first.message_id


def forget(unique: Unique, first: First) -> None:
    """Of two that do this at once one goes on, and the other finds what that one remembered."""
    Fingerprint.objects.filter(digest=unique.digest, message=first.message_id).delete()


def tell(first: Message, *, request_id: str, now: datetime) -> None:
    """Write into the story of `first` that it was asked for again."""
    details = {"request_id": request_id}
    Event.objects.create(message=first, kind=Event.Kind.DUPLICATE, at=now, details=details)

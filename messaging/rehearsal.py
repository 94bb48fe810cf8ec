"""What a send would come to, with nothing stored: a dry run after the same checks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from messaging import duplicates
from messaging.intake import Ready
from messaging.sender_pool import Pool, Wish


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`decision` names the sender that would take it now, and why the others would not."""

    ready: Ready
    due_at: datetime
    decision: dict[str, Any]
    duplicate_of: UUID | None


def rehearse(ready: Ready, *, now: datetime) -> Rehearsal:
    message = ready.message
    wish = Wish(application_id=message.application_id, only=message.only_sender_id)
    decision = Pool(channel=message.channel, now=now).forecast(wish, now=now)
    first = duplicates.standing_first(ready.unique, now=now) if ready.unique else None
    due_at = message.due_at if isinstance(message.due_at, datetime) else now
    return Rehearsal(ready, due_at, decision, first)

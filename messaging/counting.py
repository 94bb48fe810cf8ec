"""What quotas need to know of messages; see `accounts.quotas`."""

from collections.abc import Sequence
from datetime import datetime

from accounts.limits import Allowance
from accounts.quotas import Letter
from accounts.usage import Span
from core.ids import lowest_uuid7
from core.pagination import COUNT_LIMIT
from messaging.channels.content import Content
from messaging.intake import Ready
from messaging.models import Message, Status


def count_messages(application_id: int, since: datetime) -> int:
    """Of an application, when the counter of its day was lost. By their ids, which sort by time:
    only an index is read, and of that only this time."""
    return Message.objects.filter(application=application_id, pk__gte=lowest_uuid7(since)).count()


def count_span(application_id: int, since: datetime) -> Span:
    """For the application's page: by indexes, and no further than lists count."""
    accepted = Message.objects.filter(application=application_id, pk__gte=lowest_uuid7(since))
    failed = accepted.filter(status=Status.FAILED)
    all_, bad = (rows.values("pk")[: COUNT_LIMIT + 1].count() for rows in (accepted, failed))
    return Span(min(all_, COUNT_LIMIT), min(bad, COUNT_LIMIT), is_more=all_ > COUNT_LIMIT)


def letters_of(
    readies: Sequence[Ready], allowance: Allowance | None, places: Sequence[int] | None = None
) -> list[Letter]:
    """What is to be counted of messages that are about to be stored; nothing where nothing is
    limited. `places`: which items of a batch they are."""
    if allowance is None:
        return []
    if places is None:
        return [letter_of(ready.message.lane, ready.content) for ready in readies]
    return [
        letter_of(ready.message.lane, ready.content, under=f"/items/{place}")
        for ready, place in zip(readies, places, strict=True)
    ]


def letter_of(lane: str, content: Content, *, under: str = "") -> Letter:
    """`under`: a pointer to where the mail stands in the body, as `/items/3`."""
    found = []
    for position, address in content.recipients():
        role, _, index = position.partition("/")
        # One address may have been given as a string: then there is nothing below it.
        is_alone = len(getattr(content, role)) == 1
        found.append((f"{under}/{role}" if is_alone else f"{under}/{role}/{index}", address))
    return Letter(lane, found)

"""Messages without an answer whose providers can be asked: who may ask, and for how long.

`due_at` is the claim: whoever asks moves it into the future first, so that nobody else asks or
settles meanwhile, and whoever dies while asking leaves a message that is due again.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from messaging.channels.registry import ADAPTERS
from messaging.models import Attempt, Message, Status

# So long after an answer failed to come it is settled as if nobody could be asked.
ASK_FOR = timedelta(minutes=10)
# For one who asks; and until the next time, after a provider was not sure.
ASKING_LASTS = timedelta(seconds=90)
ASK_AGAIN = timedelta(seconds=30)
# Attempts that a provider may have taken.
IN_DOUBT = (Attempt.Outcome.OPEN, Attempt.Outcome.UNKNOWN)


def is_to_be_asked(*, now: datetime) -> Q:
    """Of messages in `unknown`: all that may have taken it can be asked, and it is not too late.
    For each that is due it costs two looks into the index of attempts by message; for those of
    other channels none."""
    askable = [adapter for adapter in ADAPTERS.values() if adapter.can_look_up]
    names = [adapter.name for adapter in askable]
    in_doubt = Attempt.objects.filter(message=OuterRef("pk"), outcome__in=IN_DOUBT)
    return (
        Q(channel__in={adapter.channel for adapter in askable})
        & Q(Exists(in_doubt.filter(unknown_at__gt=now - ASK_FOR)))
        & ~Q(Exists(in_doubt.exclude(sender__adapter__in=names)))
    )


def take_to_ask(*, now: datetime, limit: int) -> list[Message]:
    """Messages that are due and that the caller asks about from now on, oldest first."""
    needed = ("pk", "channel", "lane", "policy", "unknown_resends", "expires_at", "content")
    with transaction.atomic():
        due = Message.objects.filter(status=Status.UNKNOWN, due_at__lte=now)
        due = due.filter(is_to_be_asked(now=now)).order_by("due_at")
        taken = list(due.select_for_update(skip_locked=True, of=("self",)).only(*needed)[:limit])
        until = now + ASKING_LASTS
        Message.objects.filter(pk__in=[message.pk for message in taken]).update(due_at=until)
    for message in taken:
        message.due_at = until
    return taken


def put_off(message: Message, *, due_at: datetime) -> bool:
    """Still unknown: settled, or asked about again, at `due_at`. Only by who took it."""
    return bool(as_taken(message).update(due_at=due_at))


def as_taken(message: Message) -> QuerySet[Message]:
    """The row, if nobody has moved or taken it since `message` was read."""
    return Message.objects.filter(pk=message.pk, status=Status.UNKNOWN, due_at=message.due_at)

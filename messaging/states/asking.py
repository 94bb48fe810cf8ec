"""Messages without an answer whose providers can be asked: who may ask, and for how long.

`due_at` is the claim: whoever asks moves it into the future first, so that nobody else asks or
settles meanwhile, and whoever dies while asking leaves a message that is due again.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Case, Count, Max, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.lookups import Exact, GreaterThan, IsNull

from messaging.channels.registry import ADAPTERS
from messaging.models import Attempt, Message, Status

# So long after an answer failed to come it is settled as if nobody could be asked.
ASK_FOR = timedelta(minutes=10)
# For one who asks; and until the next time, after a provider was not sure.
ASKING_LASTS = timedelta(seconds=90)
ASK_AGAIN = timedelta(seconds=30)
# Attempts that a provider may have taken.
IN_DOUBT = (Attempt.Outcome.OPEN, Attempt.Outcome.UNKNOWN)


def asked_about(messages: QuerySet[Message], is_so: bool, *, now: datetime) -> QuerySet[Message]:
    """Of `messages` in `unknown` those of which it is so, or not: all that may have taken it can be
    asked, and it is not too late for that.

    A message of other channels costs nothing, each of the others two looks into the index of
    attempts by message. Both are scalar: of an EXISTS that is negated PostgreSQL makes a hash of
    the whole table of attempts, when it expects many messages.
    """
    askable = [adapter for adapter in ADAPTERS.values() if adapter.can_look_up]
    names = [adapter.name for adapter in askable]
    in_doubt = Attempt.objects.filter(message=OuterRef("pk"), outcome__in=IN_DOUBT)
    by_message = in_doubt.order_by().values("message")
    since = Subquery(by_message.annotate(since=Max("unknown_at")).values("since"))
    others = by_message.exclude(sender__adapter__in=names).annotate(others=Count("pk"))
    is_asked = (
        Q(channel__in={adapter.channel for adapter in askable})
        & GreaterThan(since, now - ASK_FOR)
        & IsNull(Subquery(others.values("others")), True)
    )
    return messages.filter(
        Exact(Case(When(is_asked, then=Value(True)), default=Value(False)), is_so)
    )


def take_to_ask(*, now: datetime, limit: int) -> list[Message]:
    """Messages that are due and that the caller asks about from now on, oldest first."""
    needed = ("pk", "channel", "lane", "policy", "unknown_resends", "expires_at", "content")
    with transaction.atomic():
        due = Message.objects.filter(status=Status.UNKNOWN, due_at__lte=now)
        due = asked_about(due, True, now=now).order_by("due_at")
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

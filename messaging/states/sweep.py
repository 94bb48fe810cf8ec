"""The moves of the sweep: what workers left behind, and what waited for a sender."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F, QuerySet

from messaging.models import Attempt, Event, Message, Policy, Reason, Status
from messaging.states.asking import as_taken, asked_about
from messaging.states.machine import move, move_and_tell, record


def recover_leases(*, now: datetime, limit: int = 1000) -> int:
    """sending -> pending or unknown, by the sweep: leases that ran out.

    Without an attempt of that lease nothing was sent, and the message goes back. With an open one
    the provider may have it. An attempt that was closed as not sent counts as none.
    """
    with transaction.atomic():
        # First the locks, then the look at the attempts: a worker that is writing its mark holds
        # the message, and one that comes later finds the lease run out.
        overdue = dict(
            Message.objects.select_for_update(skip_locked=True)
            .filter(status=Status.SENDING, leased_until__lte=now)
            .order_by("leased_until")
            .values_list("pk", "lease_token")[:limit]
        )
        if not overdue:
            return 0
        open_attempts = Attempt.objects.filter(
            message_id__in=overdue, outcome__in=[Attempt.Outcome.OPEN, Attempt.Outcome.UNKNOWN]
        ).values_list("pk", "message_id", "lease_token")
        doubts = {pk: message for pk, message, token in open_attempts if overdue[message] == token}
        in_doubt = set(doubts.values())
        unsent = overdue.keys() - in_doubt
        Attempt.objects.filter(pk__in=doubts, unknown_at=None).update(unknown_at=now)
        move_and_tell(
            Message.objects.filter(pk__in=in_doubt),
            Status.UNKNOWN,
            now=now,
            reason="",
            reason_detail="Its worker was lost while a provider may have had it.",
            leased_until=None,
            due_at=now,
        )
        move(
            Message.objects.filter(pk__in=unsent),
            Status.PENDING,
            reason=Reason.LEASE_LOST,
            reason_detail="Its worker was lost before anything was sent.",
            leased_until=None,
            due_at=now,
        )
        record(in_doubt, Event.Kind.OUTCOME_UNKNOWN, now, {})
        record(unsent, Event.Kind.LEASE_LOST, now, {})
    return len(overdue)


def settle_unknown(*, now: datetime, limit: int = 1000) -> int:
    """unknown -> pending or failed, by the sweep, as the message's policy says: `at_least_once`
    allows one more hand-over, `at_most_once` none. What the providers can be asked about is left
    to `reconciliation`, for a while."""
    due = Message.objects.filter(status=Status.UNKNOWN, due_at__lte=now)
    resting = (
        asked_about(due, False, now=now)
        .order_by("due_at")
        .only("pk", "policy", "unknown_resends", "expires_at", "due_at")[:limit]
    )
    return sum(_settle(message, why=NO_ANSWER, now=now) for message in list(resting))


def settle_absent(message: Message, *, now: datetime) -> bool:
    """unknown -> pending or failed, by whoever asked the providers, none of which has it. False if
    it was moved or taken since."""
    return _settle(message, why=ABSENT, now=now)


@dataclass(frozen=True, slots=True)
class _Why:
    """What is told of a message that is sent again, and of one that is not."""

    again: str
    failed: str
    details: dict[str, str]


NO_ANSWER = _Why(
    "No answer came; it is sent once more.", "No answer came; it may have arrived.", {}
)
_NONE = "No answer came, and the provider, when it was asked, had none."
ABSENT = _Why(f"{_NONE} It is sent once more.", _NONE, {"why": _NONE})


def _settle(message: Message, *, why: _Why, now: datetime) -> bool:
    again = (
        message.policy == Policy.AT_LEAST_ONCE
        and message.unknown_resends == 0
        and message.expires_at > now
    )
    still = as_taken(message)
    with transaction.atomic():
        if not _lock_if_free(still):
            return False
        if again:
            move(
                still,
                Status.PENDING,
                reason=Reason.TEMPORARY,
                reason_detail=why.again,
                unknown_resends=F("unknown_resends") + 1,
                due_at=now,
            )
        else:
            move_and_tell(
                still,
                Status.FAILED,
                now=now,
                reason=Reason.UNKNOWN_OUTCOME,
                reason_detail=why.failed,
                finished_at=now,
            )
        kind = Event.Kind.SENT_AGAIN if again else Event.Kind.FAILED
        details = {} if again else {"reason": Reason.UNKNOWN_OUTCOME.value}
        record([message.pk], kind, now, details | why.details)
    return True


def _lock_if_free(one: QuerySet[Message]) -> bool:
    """False when another sweep is at it: two at once take turns and never wait for each other."""
    return bool(one.select_for_update(skip_locked=True).values_list("pk"))


def wake_waiting(*, channel: str, now: datetime, limit: int = 10_000) -> int:
    """Make those due that wait for a sender: one was mended. The rest looks again by itself."""
    waiting = Message.objects.filter(
        channel=channel, status=Status.PENDING, reason=Reason.NO_SENDER, due_at__gt=now
    ).order_by("due_at")[:limit]
    return Message.objects.filter(
        pk__in=list(waiting.values_list("pk", flat=True)),
        status=Status.PENDING,
        reason=Reason.NO_SENDER,
    ).update(due_at=now)

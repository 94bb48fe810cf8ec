"""The one writer of a message's status. Every move is a conditional UPDATE: whoever finds no row
to update was overtaken, which is no error.

`MOVES` is the whole machine; each function below is one of its arrows and says who walks it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from messaging.models import Attempt, Event, Message, Policy, Reason, Status

MOVES: dict[str, frozenset[str]] = {
    Status.PENDING: frozenset({Status.SENDING, Status.SUCCESS, Status.FAILED, Status.CANCELLED}),
    Status.SENDING: frozenset({Status.PENDING, Status.SUCCESS, Status.FAILED, Status.UNKNOWN}),
    Status.UNKNOWN: frozenset({Status.PENDING, Status.SUCCESS, Status.FAILED}),
    Status.FAILED: frozenset({Status.PENDING, Status.SUCCESS}),
    Status.SUCCESS: frozenset(),
    Status.CANCELLED: frozenset(),
}
CAN_GO_AGAIN = Q(status__in=[Status.FAILED, Status.UNKNOWN])
# The provider may have taken these: sending them again may duplicate them.
MAY_HAVE_ARRIVED = Q(status=Status.UNKNOWN) | Q(status=Status.FAILED, reason=Reason.UNKNOWN_OUTCOME)
# Claims without any outcome after which a message is taken out: it kills its workers.
MAX_CLAIMS = 5
# Tries after which a message fails although it has not expired: a stop against loops.
MAX_TRIES = 50
# How long a message with an unknown outcome rests before its policy decides.
UNKNOWN_REST = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this drain holds, and the token that proves it."""

    message: Message
    lease_token: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one claim brought. `count` includes those that were failed on the way, so that
    `count == limit` means that there is probably more."""

    claims: list[Claim]
    count: int


def _move(messages: QuerySet[Message], to: Status, **changes: Any) -> int:
    """Update those of `messages` that may move `to`; how many did."""
    sources = [source for source, targets in MOVES.items() if to in targets]
    return messages.filter(status__in=sources).update(status=to, **changes)


# --- drain ---------------------------------------------------------------------------------------

# `id = ANY(ARRAY(…))` keeps the plan on the partial index: 3.9 ms for 100 rows among ten million,
# where `UPDATE … FROM` a CTE took 54 ms.
_DUE = """
    SELECT id FROM messaging_message
    WHERE status = 'pending' AND channel = %s AND lane = %s AND due_at <= %s
    ORDER BY due_at LIMIT %s
"""
_CLAIM = """
    UPDATE messaging_message
    SET status = 'sending', lease_token = lease_token + 1, leased_until = %s, claims = claims + 1
    WHERE status = 'pending' AND {chosen}
    RETURNING id
"""
_CLAIM_POSTGRESQL = _CLAIM.format(chosen=f"id = ANY(ARRAY({_DUE} FOR UPDATE SKIP LOCKED))")
# SQLite has one writer at a time, so there is nothing to skip.
_CLAIM_SQLITE = _CLAIM.format(chosen=f"id IN ({_DUE})")


def claim_due(*, channel: str, lane: str, limit: int, now: datetime, lease: timedelta) -> Claimed:
    """pending -> sending, by a drain: up to `limit` due messages, oldest first.

    Messages that expired or that were claimed too often are failed on the way and not returned.
    """
    sql = _CLAIM_POSTGRESQL if connection.vendor == "postgresql" else _CLAIM_SQLITE
    due_at = Message._meta.get_field("due_at")
    stamps = [due_at.get_db_prep_value(moment, connection) for moment in (now + lease, now)]
    with connection.cursor() as cursor:
        cursor.execute(sql, [stamps[0], channel, lane, stamps[1], limit])
        ids = [UUID(str(row[0])) for row in cursor.fetchall()]
    if not ids:
        return Claimed([], 0)
    messages = list(Message.objects.filter(pk__in=ids, status=Status.SENDING).order_by("due_at"))
    expired = [message for message in messages if message.expires_at <= now]
    poison = [m for m in messages if m.claims > MAX_CLAIMS and m.expires_at > now]
    if expired:
        fail_unsent(expired, reason=Reason.EXPIRED, detail="", now=now)
    if poison:
        detail = f"Claimed {MAX_CLAIMS} times without an outcome."
        fail_unsent(poison, reason=Reason.POISON, detail=detail, now=now)
    dropped = {message.pk for message in (*expired, *poison)}
    claims = [Claim(m, m.lease_token) for m in messages if m.pk not in dropped]
    return Claimed(claims, len(ids))


def fail_unsent(messages: Sequence[Message], *, reason: Reason, detail: str, now: datetime) -> None:
    """sending -> failed, by the drain that claimed them and hands none of them over."""
    with transaction.atomic():
        for message in messages:
            _move(
                _held(message.pk, message.lease_token),
                Status.FAILED,
                reason=reason,
                reason_detail=detail or message.reason_detail,
                leased_until=None,
                finished_at=now,
            )
        details = {"reason": reason.value, "detail": detail}
        _record([message.pk for message in messages], Event.Kind.FAILED, now, details)


def renew_leases(claims: Sequence[Claim], *, now: datetime, lease: timedelta) -> list[Claim]:
    """Hold on to `claims` for another `lease`. Returns those that are still ours."""
    with transaction.atomic():
        return [
            claim
            for claim in claims
            if _held(claim.message.pk, claim.lease_token).update(leased_until=now + lease)
        ]


def _held(pk: UUID, lease_token: int) -> QuerySet[Message]:
    return Message.objects.filter(pk=pk, status=Status.SENDING, lease_token=lease_token)


def release(claims: Sequence[Claim], *, now: datetime) -> None:
    """sending -> pending, by the drain that held them and will not get to them: due at once."""
    # Claims of one batch share a few tokens, mostly the first: a statement for each token.
    by_token: dict[int, list[UUID]] = defaultdict(list)
    for claim in claims:
        by_token[claim.lease_token].append(claim.message.pk)
    with transaction.atomic():
        for token, ids in by_token.items():
            ours = Message.objects.filter(pk__in=ids, status=Status.SENDING, lease_token=token)
            _move(ours, Status.PENDING, leased_until=None, claims=0, due_at=now)


_SUCCEED = """
    UPDATE messaging_message
    SET status = 'success', reason = '', reason_detail = '', sender_id = %s, leased_until = NULL,
        claims = 0, finished_at = %s
    WHERE id IN ({ids}) AND (
        status IN ('sending', 'pending', 'unknown')
        OR (status = 'failed' AND reason = 'unknown_outcome')
    )
"""


def succeed(ids: Sequence[UUID], *, sender_id: int, now: datetime) -> int:
    """-> success, by a drain under whatever token: a positive answer is a fact and always wins.

    Also from `pending`, `unknown` and `failed` (`unknown_outcome`): the worker was given up, and
    then its answer came after all. Returns how many moved. Past the ORM, which took a third of the
    CPU of the `high` lane for this one statement.
    """
    pk: Any = Message._meta.pk
    finished_at = connection.ops.adapt_datetimefield_value(now)
    values = [pk.get_db_prep_value(id_, connection) for id_ in ids]
    sql = _SUCCEED.format(ids=", ".join(["%s"] * len(values)))
    with connection.cursor() as cursor:
        cursor.execute(sql, [sender_id, finished_at, *values])
        return int(cursor.rowcount)


def put_back(
    claim: Claim,
    *,
    reason: str,
    detail: str,
    due_at: datetime,
    tries: int,
    sender_id: int | None = None,
) -> bool:
    """sending -> pending, by the drain that holds it: to be tried again at `due_at`."""
    # Not later than it expires, so that it fails on time and says why.
    changes: dict[str, Any] = {
        "reason": reason,
        "reason_detail": detail[:500],
        "due_at": min(due_at, claim.message.expires_at),
        "leased_until": None,
        "claims": 0,
        "tries": tries,
    }
    if sender_id is not None:
        changes["sender_id"] = sender_id
    return bool(_move(_held(claim.message.pk, claim.lease_token), Status.PENDING, **changes))


def fail(
    claim: Claim, *, reason: str, detail: str, tries: int, sender_id: int | None, now: datetime
) -> bool:
    """sending -> failed, by the drain that holds it. The attempt tells the rest."""
    return bool(
        _move(
            _held(claim.message.pk, claim.lease_token),
            Status.FAILED,
            reason=reason,
            reason_detail=detail[:500],
            leased_until=None,
            claims=0,
            tries=tries,
            sender_id=sender_id,
            finished_at=now,
        )
    )


def doubt(claim: Claim, *, detail: str, tries: int, sender_id: int, now: datetime) -> bool:
    """sending -> unknown, by the drain that holds it and got no answer."""
    return bool(
        _move(
            _held(claim.message.pk, claim.lease_token),
            Status.UNKNOWN,
            reason="",
            reason_detail=detail[:500],
            due_at=now + UNKNOWN_REST,
            leased_until=None,
            claims=0,
            tries=tries,
            sender_id=sender_id,
        )
    )


# --- sweep ---------------------------------------------------------------------------------------


def recover_leases(*, now: datetime, limit: int = 1000) -> int:
    """sending -> pending or unknown, by the sweep: leases that ran out.

    Without an attempt of that lease nothing was sent, and the message goes back. With an open one
    the provider may have it. An attempt that was closed as not sent counts as none.
    """
    open_attempt = Attempt.objects.filter(
        message=OuterRef("pk"),
        lease_token=OuterRef("lease_token"),
        outcome__in=[Attempt.Outcome.OPEN, Attempt.Outcome.UNKNOWN],
    )
    overdue = list(
        Message.objects.filter(status=Status.SENDING, leased_until__lte=now)
        .annotate(may_be_sent=Exists(open_attempt))
        .order_by("leased_until")
        .only("pk", "lease_token", "leased_until")[:limit]
    )
    moved = 0
    for message in overdue:
        if message.may_be_sent:
            to, reason, kind = Status.UNKNOWN, "", Event.Kind.OUTCOME_UNKNOWN
            detail = "Its worker was lost while a provider may have had it."
        else:
            to, reason, kind = Status.PENDING, Reason.LEASE_LOST, Event.Kind.LEASE_LOST
            detail = "Its worker was lost before anything was sent."
        with transaction.atomic():
            ours = _held(message.pk, message.lease_token).filter(leased_until__lte=now)
            if not _lock_if_free(ours):
                continue
            _move(ours, to, reason=reason, reason_detail=detail, leased_until=None, due_at=now)
            if message.may_be_sent:
                Attempt.objects.filter(
                    message=message, lease_token=message.lease_token, outcome="", unknown_at=None
                ).update(unknown_at=now)
            _record([message.pk], kind, now, {"lease_token": message.lease_token})
            moved += 1
    return moved


def settle_unknown(*, now: datetime, limit: int = 1000) -> int:
    """unknown -> pending or failed, by the sweep, as the message's policy says: `at_least_once`
    allows one more hand-over, `at_most_once` none."""
    resting = list(
        Message.objects.filter(status=Status.UNKNOWN, due_at__lte=now)
        .order_by("due_at")
        .only("pk", "policy", "unknown_resends", "expires_at")[:limit]
    )
    moved = 0
    for message in resting:
        again = (
            message.policy == Policy.AT_LEAST_ONCE
            and message.unknown_resends == 0
            and message.expires_at > now
        )
        with transaction.atomic():
            still = Message.objects.filter(pk=message.pk, status=Status.UNKNOWN, due_at__lte=now)
            if not _lock_if_free(still):
                continue
            if again:
                _move(
                    still,
                    Status.PENDING,
                    reason=Reason.TEMPORARY,
                    reason_detail="No answer came; it is sent once more.",
                    unknown_resends=F("unknown_resends") + 1,
                    due_at=now,
                )
            else:
                _move(
                    still,
                    Status.FAILED,
                    reason=Reason.UNKNOWN_OUTCOME,
                    reason_detail="No answer came; it may have arrived.",
                    finished_at=now,
                )
            kind = Event.Kind.SENT_AGAIN if again else Event.Kind.FAILED
            details = {} if again else {"reason": Reason.UNKNOWN_OUTCOME.value}
            _record([message.pk], kind, now, details)
            moved += 1
    return moved


def _lock_if_free(one: QuerySet[Message]) -> bool:
    """False when another sweep is at it: two at once take turns and never wait for each other."""
    return bool(one.select_for_update(skip_locked=True).values_list("pk"))


# --- people --------------------------------------------------------------------------------------


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
        _move(
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


def note_waiting(claims: Sequence[Claim], *, details: dict[str, Any], now: datetime) -> None:
    """Write into the story that nobody could take `claims`: once, not at every look."""
    news = [claim.message.pk for claim in claims if claim.message.reason != Reason.NO_SENDER]
    _record(news, Event.Kind.WAITS_FOR_SENDER, now, details)


def note_late(ids: Sequence[UUID], *, now: datetime) -> None:
    """Write into the story of those that were given up: a positive answer came after all."""
    late = Message.objects.filter(pk__in=ids).exclude(status=Status.SENDING)
    for pk, status in late.values_list("pk", "status"):
        _record([pk], Event.Kind.LATE_SUCCESS, now, {"from": status})


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


def _record(ids: Iterable[UUID], kind: Event.Kind, now: datetime, details: dict[str, Any]) -> None:
    Event.objects.bulk_create(
        Event(message_id=pk, kind=kind, at=now, details=details) for pk in ids
    )

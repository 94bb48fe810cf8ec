"""The moves of a drain: it claims, holds, and writes down what came of it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Least

from core.database import as_moment, read_moments_fast
from messaging import outbox
from messaging.channels.partial import Partial
from messaging.models import Event, Message, Reason, Status, WebhookEvent
from messaging.states.machine import MAX_CLAIMS, UNKNOWN_REST, move, move_and_tell, record


class HeldMessage(NamedTuple):
    """What a drain needs of a message, named as on `Message`: making that of every row took a tenth
    of a drain's CPU."""

    pk: UUID
    lease_token: int
    due_at: datetime
    application_id: int
    channel: str
    lane: str
    policy: str
    content: dict[str, Any]
    reason: str
    reason_detail: str
    request_id: str
    created_at: datetime
    expires_at: datetime
    claims: int
    tries: int
    unknown_resends: int
    only_sender_id: int | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that this drain holds, and the token that proves it."""

    message: HeldMessage | Message
    lease_token: int
    # Set when some of its recipients are left out.
    partial: Partial | None = None

    @property
    def content(self) -> dict[str, Any]:
        """What goes to the provider."""
        content: dict[str, Any] = self.partial.content if self.partial else self.message.content
        return content


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one claim brought. `count` includes those that were failed on the way, so that
    `count == limit` means that there is probably more."""

    claims: list[Claim]
    count: int


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
    RETURNING id, lease_token, due_at, application_id, channel, lane, policy, content, reason,
        reason_detail, request_id, created_at, expires_at, claims, tries, unknown_resends,
        only_sender_id
"""
_CLAIM_POSTGRESQL = _CLAIM.format(chosen=f"id = ANY(ARRAY({_DUE} FOR UPDATE SKIP LOCKED))")
_CONTENT = HeldMessage._fields.index("content")
_MOMENTS = [HeldMessage._fields.index(name) for name in ("due_at", "created_at", "expires_at")]
# SQLite has one writer at a time, so there is nothing to skip.
_CLAIM_SQLITE = _CLAIM.format(chosen=f"id IN ({_DUE})")


def is_due(*, channel: str, lane: str, now: datetime) -> bool:
    """Whether a claim would bring anything."""
    return Message.objects.filter(
        status=Status.PENDING, channel=channel, lane=lane, due_at__lte=now
    ).exists()


def claim_due(*, channel: str, lane: str, limit: int, now: datetime, lease: timedelta) -> Claimed:
    """pending -> sending, by a drain: up to `limit` due messages, oldest first.

    Messages that expired or that were claimed too often are failed on the way and not returned.
    """
    sql = _CLAIM_POSTGRESQL if connection.vendor == "postgresql" else _CLAIM_SQLITE
    due_at = Message._meta.get_field("due_at")
    stamps = [due_at.get_db_prep_value(moment, connection) for moment in (now + lease, now)]
    with connection.cursor() as cursor:
        read_moments_fast(cursor)
        cursor.execute(sql, [stamps[0], channel, lane, stamps[1], limit])
        messages = sorted(map(_held_message, cursor.fetchall()), key=attrgetter("due_at"))
    expired = [message for message in messages if message.expires_at <= now]
    poison = [m for m in messages if m.claims > MAX_CLAIMS and m.expires_at > now]
    if expired:
        fail_unsent(expired, reason=Reason.EXPIRED, detail="", now=now)
    if poison:
        detail = f"Claimed {MAX_CLAIMS} times without an outcome."
        fail_unsent(poison, reason=Reason.POISON, detail=detail, now=now)
    dropped = {message.pk for message in (*expired, *poison)}
    claims = [Claim(m, m.lease_token) for m in messages if m.pk not in dropped]
    return Claimed(claims, len(messages))


def _held_message(row: Sequence[Any]) -> HeldMessage:
    values = list(row)
    values[_CONTENT] = json.loads(values[_CONTENT])
    if connection.vendor == "sqlite":
        # It has no types for ids and times and gives text.
        values[0] = UUID(values[0])
        for place in _MOMENTS:
            values[place] = as_moment(values[place])
    return HeldMessage._make(values)


def fail_unsent(
    messages: Sequence[HeldMessage | Message], *, reason: Reason, detail: str, now: datetime
) -> None:
    """sending -> failed, by the drain that claimed them and hands none of them over."""
    with transaction.atomic():
        for message in messages:
            move_and_tell(
                _held(message.pk, message.lease_token),
                Status.FAILED,
                now=now,
                reason=reason,
                reason_detail=detail or message.reason_detail,
                leased_until=None,
                finished_at=now,
            )
        details = {"reason": reason.value, "detail": detail}
        record([message.pk for message in messages], Event.Kind.FAILED, now, details)


def renew_leases(claims: Sequence[Claim], *, now: datetime, lease: timedelta) -> set[UUID]:
    """Hold on to `claims` for another `lease`. Returns the messages that are still ours."""
    with transaction.atomic():
        for token, ids in _by_token(claims):
            _held_of(ids, token).update(leased_until=now + lease)
        return still_held({c.message.pk: c.lease_token for c in claims}, now=now)


def _held(pk: UUID, lease_token: int) -> QuerySet[Message]:
    return _held_of([pk], lease_token)


def _held_of(ids: Sequence[UUID], lease_token: int) -> QuerySet[Message]:
    return Message.objects.filter(pk__in=ids, status=Status.SENDING, lease_token=lease_token)


def _by_token(claims: Sequence[Claim]) -> Iterable[tuple[int, list[UUID]]]:
    """Claims of one batch share a few tokens, mostly the first: a statement for each token."""
    by_token: dict[int, list[UUID]] = defaultdict(list)
    for claim in claims:
        by_token[claim.lease_token].append(claim.message.pk)
    return by_token.items()


def still_held(tokens: Mapping[UUID, int], *, now: datetime) -> set[UUID]:
    """Those of the messages whose lease has this token and has not run out."""
    rows = Message.objects.filter(
        pk__in=tokens, status=Status.SENDING, leased_until__gt=now
    ).values_list("pk", "lease_token")
    return {pk for pk, token in rows if tokens[pk] == token}


def release(claims: Sequence[Claim], *, now: datetime) -> None:
    """sending -> pending, by the drain that held them and will not get to them: due at once."""
    with transaction.atomic():
        for token, ids in _by_token(claims):
            ours = _held_of(ids, token)
            move(ours, Status.PENDING, leased_until=None, claims=0, due_at=now)


_MAY_SUCCEED = """
    (status IN ('sending', 'pending', 'unknown')
        OR (status = 'failed' AND reason = 'unknown_outcome'))
"""
_SUCCEED_SQLITE = f"""
    UPDATE messaging_message
    SET status = 'success', reason = '', reason_detail = '', sender_id = %s, leased_until = NULL,
        claims = 0, finished_at = %s
    WHERE id = %s AND {_MAY_SUCCEED}
"""  # noqa: S608
SUCCEED = f"""
    UPDATE messaging_message AS message
    SET status = 'success', reason = '', reason_detail = '', sender_id = done.sender_id,
        leased_until = NULL, claims = 0, finished_at = done.at
    FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[]) AS done (id, sender_id, at)
    WHERE message.id = done.id AND {_MAY_SUCCEED}
"""  # noqa: S608

Success = tuple[UUID, int, datetime]


def succeed(done: Sequence[Success]) -> None:
    """-> success, by a drain under whatever token: a positive answer is a fact and always wins.

    Also from `pending`, `unknown` and `failed` (`unknown_outcome`): the worker was given up, and
    then its answer came after all. `done` is `(message, sender, moment)` each. In the transaction
    that the caller has open. Past the ORM, which took a third of the CPU of the `high` lane for
    this one statement.
    """
    moved: list[UUID] = []
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(SUCCEED + " RETURNING message.id", success_values(done))
            moved = [row[0] for row in cursor.fetchall()]
        else:
            pk: Any = Message._meta.pk
            for message_id, sender_id, at in done:
                finished_at = connection.ops.adapt_datetimefield_value(at)
                id_ = pk.get_db_prep_value(message_id, connection)
                cursor.execute(_SUCCEED_SQLITE, [sender_id, finished_at, id_])
                if cursor.rowcount:
                    moved.append(message_id)
    outbox.announce(moved, WebhookEvent.SUCCESS, done[-1][2])


def success_values(done: Sequence[Success]) -> list[Any]:
    """The parameters of `SUCCEED`."""
    return [list(column) for column in zip(*done, strict=True)]


def put_back_together(
    claims: Sequence[Claim], *, reason: str, detail: str, due_at: datetime
) -> None:
    """sending -> pending, by the drain that holds them: all for one reason, charged nothing."""
    with transaction.atomic():
        for token, ids in _by_token(claims):
            move(
                _held_of(ids, token),
                Status.PENDING,
                reason=reason,
                reason_detail=detail[:500],
                # Not later than it expires, so that it fails on time and says why.
                due_at=Least(Value(due_at), F("expires_at")),
                leased_until=None,
                claims=0,
            )


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
    return bool(move(_held(claim.message.pk, claim.lease_token), Status.PENDING, **changes))


def fail(
    claim: Claim, *, reason: str, detail: str, tries: int, sender_id: int | None, now: datetime
) -> bool:
    """sending -> failed, by the drain that holds it, in its transaction. The attempt tells why, but
    not that a failure for the time being was the last."""
    moved = move_and_tell(
        _held(claim.message.pk, claim.lease_token),
        Status.FAILED,
        now=now,
        reason=reason,
        reason_detail=detail[:500],
        leased_until=None,
        claims=0,
        tries=tries,
        sender_id=sender_id,
        finished_at=now,
    )
    if moved and reason == Reason.EXHAUSTED:
        record([claim.message.pk], Event.Kind.FAILED, now, {"reason": reason, "detail": ""})
    return bool(moved)


def doubt(claim: Claim, *, detail: str, tries: int, sender_id: int, now: datetime) -> bool:
    """sending -> unknown, by the drain that holds it and got no answer."""
    return bool(
        move_and_tell(
            _held(claim.message.pk, claim.lease_token),
            Status.UNKNOWN,
            now=now,
            reason="",
            reason_detail=detail[:500],
            due_at=now + UNKNOWN_REST,
            leased_until=None,
            claims=0,
            tries=tries,
            sender_id=sender_id,
        )
    )


def note_waiting(claims: Sequence[Claim], *, details: dict[str, Any], now: datetime) -> None:
    """Write into the story that nobody could take `claims`: once, not at every look."""
    news = [claim.message.pk for claim in claims if claim.message.reason != Reason.NO_SENDER]
    record(news, Event.Kind.WAITS_FOR_SENDER, now, details)


def note_late(ids: Sequence[UUID], *, now: datetime) -> None:
    """Write into the story of those that were given up: a positive answer came after all."""
    late = Message.objects.filter(pk__in=ids).exclude(status__in=[Status.SENDING, Status.SUCCESS])
    for pk, status in late.values_list("pk", "status"):
        record([pk], Event.Kind.LATE_SUCCESS, now, {"from": status})

"""Holds what callers were told, what providers took and what the rows say against each other.

`judge` is a pure function of the evidence, so that every check can be shown to fail;
`verify` waits until nothing moves, gathers the evidence of a fleet and judges it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from messaging.models import Policy, Reason, Status
from messaging.states import FINAL, MOVES
from tests.faults.clients import Request
from tests.faults.ledger import Copy


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    status: str
    reason: str
    policy: str
    due_at: datetime
    lease_token: int = 0


@dataclass(frozen=True, slots=True)
class AttemptRow:
    id: str
    message_id: str
    sender: str
    started_at: datetime
    outcome: str
    is_doubtful: bool


@dataclass(frozen=True, slots=True)
class Move:
    """`was` is None for an insert."""

    message_id: str
    was: str | None
    became: str
    old_reason: str | None
    old_token: int | None
    new_token: int


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit of a sender. `used` is what its row of the present window says."""

    sender: str
    window: str
    limit: int
    used: int
    # Of the window that holds this moment.
    start_of: Callable[[datetime], datetime]


_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Evidence:
    requests: list[Request] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    attempts: list[AttemptRow] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    quotas: list[Quota] = field(default_factory=list)
    # By the database's clock.
    now: datetime = _NEVER


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a scenario may leave behind beside delivered messages."""

    failed: frozenset[str] = frozenset()
    # Waiting is right for these reasons as long as it is not for too long.
    pending: frozenset[str] = frozenset()
    unknown: bool = False
    # How long a message may be due, or held, before it counts as stuck.
    lag: timedelta = timedelta(seconds=120)


# What `at_most_once` means where a worker was lost.
SILENCE = frozenset({Reason.UNKNOWN_OUTCOME.value})
# An attempt at the beginning of a window may have been charged to the one before it.
BORDER = timedelta(seconds=15)


@dataclass
class Verdict:
    accepted: int = 0
    delivered: int = 0
    terminal: int = 0
    pending: int = 0
    duplicates: int = 0
    explained: int = 0
    lost: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"accepted {self.accepted} = delivered {self.delivered} + terminal {self.terminal} + "
            f"pending {self.pending}; duplicates {self.duplicates} (explained {self.explained}); "
            f"lost {self.lost}"
        )

    def check(self) -> "Verdict":
        """Raises `AssertionError` with every problem found."""
        assert not self.problems, "\n".join([str(self), *_shortened(self.problems)])
        return self


def judge(evidence: Evidence, allowed: Allowed | None = None) -> Verdict:
    allowed = allowed or Allowed()
    verdict = Verdict()
    copies = _by(evidence.copies, lambda copy: copy.message_id)
    attempts = _by(evidence.attempts, lambda attempt: attempt.message_id)
    _judge_acceptance(evidence, copies, allowed, verdict)
    _judge_copies(evidence, copies, attempts, verdict)
    verdict.problems += [
        *_outcomes_without_grounds(evidence, copies, allowed),
        *_stuck(evidence, attempts, allowed),
        *_illegal_moves(evidence),
        *_overdrawn(evidence),
    ]
    return verdict


def _judge_acceptance(
    evidence: Evidence, copies: Mapping[str, list[Copy]], allowed: Allowed, verdict: Verdict
) -> None:
    """Nothing lost: what was answered with 202 is a row, and arrived or says why not."""
    rows = {row.id: row for row in evidence.rows}
    told = [request.message_id for request in evidence.requests if request.is_accepted]
    verdict.accepted = len(told)
    for message_id, count in Counter(told).items():
        if count > 1:
            verdict.problems.append(f"{message_id}: answered with 202 to {count} requests")
    for message_id in told:
        row = rows.get(message_id)
        if row is None:
            verdict.lost += 1
            verdict.problems.append(f"{message_id}: lost: accepted, and there is no row")
        elif row.status == Status.SUCCESS:
            if copies.get(message_id):
                verdict.delivered += 1
            else:
                # The problem itself is found among all rows.
                verdict.lost += 1
        elif row.status in FINAL:
            verdict.terminal += 1
        else:
            verdict.pending += 1


def _outcomes_without_grounds(
    evidence: Evidence, copies: Mapping[str, list[Copy]], allowed: Allowed
) -> Iterable[str]:
    for row in evidence.rows:
        if row.status == Status.SUCCESS and not copies.get(row.id):
            yield f"{row.id}: lost: success, and no provider took it"
        elif row.status == Status.FAILED and row.reason not in allowed.failed:
            yield f"{row.id}: failed ({row.reason}), which this scenario does not allow"
        elif row.status == Status.PENDING and row.reason not in allowed.pending:
            yield f"{row.id}: still pending ({row.reason or 'no reason'})"
        elif row.status == Status.UNKNOWN and not allowed.unknown:
            yield f"{row.id}: still unknown"
        elif row.status == Status.CANCELLED:
            yield f"{row.id}: cancelled, and nobody asked for it"


def _judge_copies(
    evidence: Evidence,
    copies: Mapping[str, list[Copy]],
    attempts: Mapping[str, list[AttemptRow]],
    verdict: Verdict,
) -> None:
    """Nothing invented, and every extra copy explained by an attempt that was once unknown."""
    rows = {row.id: row for row in evidence.rows}
    for message_id, taken in copies.items():
        row = rows.get(message_id)
        if row is None:
            verdict.problems.append(f"{message_id or '(no id)'}: a copy without a row")
            continue
        of_attempt = {attempt.id: attempt for attempt in attempts.get(message_id, ())}
        for copy in taken:
            attempt = of_attempt.get(copy.attempt_id)
            if attempt is None:
                verdict.problems.append(
                    f"{message_id}: a copy of attempt {copy.attempt_id or '(none)'}, which is none "
                    "of its"
                )
            elif attempt.sender != copy.account:
                verdict.problems.append(
                    f"{message_id}: attempt of {attempt.sender}, taken by {copy.account}"
                )
        extra = len(taken) - 1
        doubts = sum(attempt.is_doubtful for attempt in of_attempt.values())
        verdict.duplicates += extra
        verdict.explained += min(extra, doubts, 0 if row.policy == Policy.AT_MOST_ONCE else 1)
        if extra > doubts:
            verdict.problems.append(f"{message_id}: {extra} extra copies and {doubts} doubts")
        if extra > 1:
            verdict.problems.append(f"{message_id}: {extra} extra copies; one resend is allowed")
        if extra and row.policy == Policy.AT_MOST_ONCE:
            verdict.problems.append(f"{message_id}: at_most_once, and {extra + 1} copies")


def _stuck(
    evidence: Evidence, attempts: Mapping[str, list[AttemptRow]], allowed: Allowed
) -> Iterable[str]:
    for row in evidence.rows:
        if row.status == Status.SENDING:
            yield f"{row.id}: stuck in sending"
        if row.status == Status.PENDING and evidence.now - row.due_at > allowed.lag:
            yield f"{row.id}: due for {evidence.now - row.due_at} and not claimed"
        if row.status in FINAL:
            for attempt in attempts.get(row.id, ()):
                if attempt.outcome == "" and not attempt.is_doubtful:
                    yield f"{row.id}: {row.status}, and attempt {attempt.id} is open"


def _illegal_moves(evidence: Evidence) -> Iterable[str]:
    last: dict[str, str] = {}
    for move in evidence.moves:
        path = (move.was, move.became)
        name = f"{move.message_id}: {move.was} -> {move.became}"
        if move.was is None:
            if move.became != Status.PENDING:
                yield f"{move.message_id}: inserted as {move.became}"
        elif last.get(move.message_id, move.was) != move.was:
            yield f"{name}: it was {last[move.message_id]} before"
        elif move.was != move.became and move.became not in MOVES[move.was]:
            yield f"{name}: no legal move"
        elif path == (Status.FAILED, Status.SUCCESS) and move.old_reason not in SILENCE:
            yield f"{name}: it had failed for {move.old_reason}"
        is_claim = path == (Status.PENDING, Status.SENDING)
        rise = move.new_token - (move.old_token or 0)
        if rise < 0 or (is_claim and rise != 1):
            yield f"{name}: the lease token went from {move.old_token} to {move.new_token}"
        last[move.message_id] = move.became
    for row in evidence.rows:
        if evidence.moves and last.get(row.id) != row.status:
            yield f"{row.id}: is {row.status}, and was last seen becoming {last.get(row.id)}"


def _overdrawn(evidence: Evidence) -> Iterable[str]:
    """No sender over its quota, by its rows and by what was really handed over."""
    charged = _by(
        (
            attempt
            for attempt in evidence.attempts
            if attempt.outcome in {"accepted", "unknown", ""}
        ),
        lambda attempt: attempt.sender,
    )
    for quota in evidence.quotas:
        name = f"{quota.sender}: limit of {quota.limit} per {quota.window}"
        if quota.used > quota.limit:
            yield f"{name}, and its row says {quota.used}"
        windows: dict[datetime, list[datetime]] = defaultdict(list)
        for attempt in charged.get(quota.sender, ()):
            windows[quota.start_of(attempt.started_at)].append(attempt.started_at)
        room_before = 0
        for start in sorted(windows):
            at_border = sum(moment - start < BORDER for moment in windows[start])
            count = len(windows[start]) - min(at_border, room_before)
            if count > quota.limit:
                yield f"{name}, and {count} were handed over in the one of {start:%H:%M}"
            room_before = max(0, quota.limit - count)


def _by(items: Iterable[Any], key: Callable[[Any], str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found


def _shortened(problems: list[str]) -> list[str]:
    more = [f"… and {len(problems) - 30} more"] if len(problems) > 30 else []
    return [*problems[:30], *more]

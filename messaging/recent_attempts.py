"""What senders did in the last hour, counted from the newest attempts.

Attempts have no index by sender: every hand-over would pay for it. Ids sort by time, so the newest
are read by the primary key, and no more than `NEWEST` of them. Where these do not reach back for an
hour, `since` says to when they do. The hour is that of the ids, which workers' clocks make: another
condition on `started_at` would double what it costs, because it misleads the planner.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from django.db import connection
from django.db.models import Case, Count, F, IntegerField, Max, QuerySet, Value, When

from core.database import as_moment
from core.ids import lowest_uuid7
from messaging.models import Attempt, Sender

HOUR = timedelta(hours=1)
NEWEST = 60_000
Outcome = Attempt.Outcome
FAILURES = (Outcome.SENDER, Outcome.TEMPORARY, Outcome.PERMANENT, Outcome.UNKNOWN)
SLOT = timedelta(minutes=5)
SLOTS = HOUR // SLOT
# How long calls took is told of so many of the newest, and words are looked for among so many.
DETAILED = 1_000
CLASSES = 20


@dataclass(slots=True)
class Tally:
    """Attempts by outcome."""

    counts: Counter[str] = field(default_factory=Counter)

    @property
    def attempts(self) -> int:
        """Those that were handed over, or are being."""
        return self.counts.total() - self.counts[Outcome.NOT_SENT]

    @property
    def accepted(self) -> int:
        return self.counts[Outcome.ACCEPTED]

    @property
    def failures(self) -> int:
        return sum(self.counts[outcome] for outcome in FAILURES)

    @property
    def success_percent(self) -> float | None:
        """Of those that ended. None if none did."""
        ended = self.accepted + self.failures
        return 100 * self.accepted / ended if ended else None


# Stops after so many rows, however many the hour has.
_BY_SENDER = """
    SELECT sender_id, outcome, COUNT(*), MIN(started_at) FROM (
        SELECT sender_id, outcome, started_at FROM messaging_attempt
        WHERE id >= %s ORDER BY id DESC LIMIT %s
    ) AS newest
    GROUP BY sender_id, outcome
"""


def count_by_sender(*, now: datetime) -> tuple[dict[int, Tally], datetime]:
    """By the sender's id, and since when. One query."""
    since = now - HOUR
    lowest = Attempt._meta.pk.get_db_prep_value(lowest_uuid7(since), connection)
    tallies: dict[int, Tally] = {}
    oldest = now
    with connection.cursor() as cursor:
        cursor.execute(_BY_SENDER, [lowest, NEWEST])
        for sender_id, outcome, count, first_at in cursor.fetchall():
            tallies.setdefault(sender_id, Tally()).counts[outcome] += count
            oldest = min(oldest, as_moment(first_at))
    is_cut = sum(tally.counts.total() for tally in tallies.values()) >= NEWEST
    return tallies, oldest if is_cut else since


@dataclass(frozen=True, slots=True)
class Slot:
    """Five minutes."""

    starts_at: datetime
    tally: Tally


class Which(NamedTuple):
    """A kind of failures: in our word, where in the call, and the provider's code."""

    outcome: str
    kind: str
    phase: str
    code: str

    @property
    def outcome_words(self) -> str:
        return str(Outcome(self.outcome).label)


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """How many of them there were, and what the provider said the last time."""

    which: Which
    count: int
    last_at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class Latency:
    """Of the newest `calls` that a provider answered, in milliseconds."""

    calls: int
    p50: int
    p95: int


@dataclass(frozen=True, slots=True)
class Hour:
    slots: list[Slot]
    errors: list[ErrorClass]
    latency: Latency | None


def look_at(sender: Sender, *, since: datetime, now: datetime) -> Hour:
    """The hour of one sender in detail; `since` as `count_by_sender` says it. Three queries."""
    rows = Attempt.objects.filter(pk__gte=lowest_uuid7(since), sender=sender)
    slots = [Slot(now - HOUR + SLOT * i, Tally()) for i in range(SLOTS)]
    found: dict[Which, tuple[int, datetime]] = {}
    counted = rows.annotate(slot=_slot_of(slots), code=_code()).values_list(
        "slot", "outcome", "kind", "phase", "code"
    )
    for slot, *what, count, last_at in counted.annotate(Count("pk"), Max("started_at")):
        which = Which(*what)
        slots[slot].tally.counts[which.outcome] += count
        if which.outcome in FAILURES:
            known, known_at = found.get(which, (0, last_at))
            found[which] = (known + count, max(known_at, last_at))
    return Hour(slots, _errors(rows, found), _latency(rows))


def _slot_of(slots: Sequence[Slot]) -> Case:
    """By the ids, as everything here."""
    later = [
        When(pk__gte=lowest_uuid7(slot.starts_at), then=Value(i)) for i, slot in enumerate(slots)
    ]
    return Case(*reversed(later), default=Value(0), output_field=IntegerField())


def _code() -> Case:
    """Of failures only: what a provider says to a yes may be different each time."""
    return Case(When(outcome__in=FAILURES, then=F("provider_code")), default=Value(""))


def _errors(rows: QuerySet[Attempt], found: dict[Which, tuple[int, datetime]]) -> list[ErrorClass]:
    """The commonest first."""
    if not found:
        return []
    said = ("outcome", "kind", "phase", "provider_code", "provider_words")
    newest = rows.filter(outcome__in=FAILURES).order_by("-pk").values_list(*said)[:DETAILED]
    words: dict[Which, str] = {}
    for *which, said_then in newest:
        words.setdefault(Which(*which), said_then)
    commonest = sorted(found.items(), key=lambda item: item[1], reverse=True)[:CLASSES]
    return [
        ErrorClass(which, count, last_at, words.get(which, ""))
        for which, (count, last_at) in commonest
    ]


def _latency(rows: QuerySet[Attempt]) -> Latency | None:
    answered = rows.exclude(outcome__in=[Outcome.OPEN, Outcome.NOT_SENT, Outcome.UNKNOWN])
    times = answered.order_by("-pk").values_list("started_at", "finished_at")[:DETAILED]
    took = sorted((ended - began) / timedelta(milliseconds=1) for began, ended in times if ended)
    if not took:
        return None
    return Latency(len(took), round(_percentile(took, 0.5)), round(_percentile(took, 0.95)))


def _percentile(ordered: Sequence[float], part: float) -> float:
    """The smallest that at least this part does not exceed."""
    return ordered[max(0, ceil(part * len(ordered)) - 1)]

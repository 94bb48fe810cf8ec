"""What senders did in the last hour, counted from the newest attempts.

Attempts have no index by sender: every hand-over would pay for it. Ids sort by time, so the newest
are read by the primary key, and no more than `NEWEST` of them. Where these do not reach back for an
hour, `since` says to when they do.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection

from core.database import as_moment
from core.ids import lowest_uuid7
from messaging.models import Attempt

HOUR = timedelta(hours=1)
NEWEST = 60_000
# Ids are made by the clocks of workers, `started_at` is the database's.
SKEW = timedelta(minutes=2)

Outcome = Attempt.Outcome
FAILURES = (Outcome.SENDER, Outcome.TEMPORARY, Outcome.PERMANENT, Outcome.UNKNOWN)
# Of the sender's failures and calls, so many of the newest are told in detail.
DETAILED = 1_000


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
    WHERE started_at >= %s GROUP BY sender_id, outcome
"""


def count_by_sender(*, now: datetime) -> tuple[dict[int, Tally], datetime]:
    """By the sender's id, and since when. One query."""
    since = now - HOUR
    lowest = Attempt._meta.pk.get_db_prep_value(lowest_uuid7(since - SKEW), connection)
    at = connection.ops.adapt_datetimefield_value(since)
    tallies: dict[int, Tally] = {}
    oldest = now
    with connection.cursor() as cursor:
        cursor.execute(_BY_SENDER, [lowest, NEWEST, at])
        for sender_id, outcome, count, first_at in cursor.fetchall():
            tallies.setdefault(sender_id, Tally()).counts[outcome] += count
            oldest = min(oldest, as_moment(first_at))
    is_cut = sum(tally.counts.total() for tally in tallies.values()) >= NEWEST
    return tallies, oldest if is_cut else since

"""What happens just now. It is read from the queue's own rows through their indexes, and bounded:
rollups are some seconds old."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count

from core.ids import lowest_uuid7, moment_of
from messaging import metrics
from messaging.models import Attempt, Message

# No lane is counted further.
COUNT_LIMIT = 10_000
# What was handed over lately tells how fast a lane drains: so many of the newest attempts, and none
# that began longer ago.
RATE_SAMPLE = 2_000
RATE_SPAN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane of one channel in which something waits or moved within the last minute."""

    channel: str
    lane: str
    # Up to `COUNT_LIMIT`.
    due: int
    oldest_due: timedelta
    waiting_for_sender: int
    oldest_waiting: timedelta
    per_minute: int

    @property
    def waiting(self) -> int:
        # What waits for a sender is due now and then.
        return max(self.due, self.waiting_for_sender)

    @property
    def is_counted_through(self) -> bool:
        return max(self.due, self.waiting_for_sender) < COUNT_LIMIT

    @property
    def oldest(self) -> timedelta:
        return max(self.oldest_due, self.oldest_waiting)

    @property
    def empty_in(self) -> timedelta | None:
        """At the present rate; None where nothing is due, or nothing moves."""
        if not self.due or not self.per_minute:
            return None
        return timedelta(minutes=self.due / self.per_minute)


def lanes(*, now: datetime) -> list[Lane]:
    """The busiest first."""
    due = {row[:2]: row[2:] for row in metrics.backlog(limit=COUNT_LIMIT)}
    waiting = {row[:2]: row[2:] for row in metrics.waiting_for_sender(limit=COUNT_LIMIT)}
    rates = _rates(now)
    nothing = (0, 0.0)
    found = [
        Lane(
            *key,
            due=due.get(key, nothing)[0],
            oldest_due=timedelta(seconds=due.get(key, nothing)[1]),
            waiting_for_sender=waiting.get(key, nothing)[0],
            oldest_waiting=timedelta(seconds=waiting.get(key, nothing)[1]),
            per_minute=rates[key],
        )
        for key in {*due, *waiting, *rates}
    ]
    return sorted(found, key=lambda lane: (-lane.waiting, -lane.per_minute, lane.channel))


def _rates(now: datetime) -> Counter[tuple[str, str]]:
    """Messages a minute that providers took, by channel and lane."""
    newest = list(
        Attempt.objects.filter(
            pk__gte=lowest_uuid7(now - RATE_SPAN), outcome=Attempt.Outcome.ACCEPTED
        )
        .order_by("-pk")
        .values_list("pk", "message_id")[:RATE_SAMPLE]
    )
    if not newest:
        return Counter()
    span = RATE_SPAN
    if len(newest) == RATE_SAMPLE:
        span = max(now - moment_of(newest[-1][0]), timedelta(seconds=1))
    messages = Message.objects.filter(pk__in=[message for _, message in newest])
    counted = messages.order_by().values_list("channel", "lane").annotate(Count("pk"))
    return Counter(
        {
            (channel, lane): max(1, round(count / (span / timedelta(minutes=1))))
            for channel, lane, count in counted
        }
    )

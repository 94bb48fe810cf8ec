from django.conf import settings

from core.health import NotReady
from messaging import metrics


def check_progress() -> dict[str, object]:
    """The age of the oldest due message in seconds, 0 if none is due.

    Raises `NotReady` when one has waited too long: workers are away, or up and idle; and when
    nobody takes up what dead workers left. Messages that wait for a sender are looked at again and
    again: they are no sign of a dead fleet, and have a gauge of their own.
    """
    oldest, limit = 0.0, settings.PROGRESS_ALERT_SECONDS
    for channel, lane, count, age in metrics.backlog():
        if age > limit:
            raise NotReady(
                f"{count} messages of {channel}/{lane} are due, the oldest for {age:.0f} s: "
                "workers are away or do not work"
            )
        oldest = max(oldest, age)
    for status, count, age in metrics.unswept():
        if age > limit:
            raise NotReady(
                f"{count} messages are {status} and left alone, the oldest for {age:.0f} s: "
                "no worker sweeps"
            )
    return {"oldest_due_seconds": round(oldest, 1)}

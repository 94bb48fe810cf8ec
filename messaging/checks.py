from django.conf import settings

from core.health import NotReady
from messaging import metrics


def check_progress() -> dict[str, object]:
    """The age of the oldest due message in seconds, 0 if none is due.

    Raises `NotReady` when one has waited too long: workers are away, or up and idle.
    """
    oldest = 0.0
    for channel, lane, count, age in metrics.backlog():
        if age > settings.PROGRESS_ALERT_SECONDS:
            raise NotReady(
                f"{count} messages of {channel}/{lane} are due, the oldest for {age:.0f} s: "
                "workers are away or do not work"
            )
        oldest = max(oldest, age)
    return {"oldest_due_seconds": round(oldest, 1)}

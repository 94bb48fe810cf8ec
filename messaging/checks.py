from django.conf import settings

from core.health import NotReady
from messaging import metrics


def check_progress() -> None:
    """Raises `NotReady` when a due message has waited too long: workers are away or idle."""
    for channel, lane, count, age in metrics.backlog():
        if age > settings.PROGRESS_ALERT_SECONDS:
            raise NotReady(
                f"{count} messages of {channel}/{lane} are due, the oldest for {age:.0f} s: "
                "workers are away or do not work"
            )

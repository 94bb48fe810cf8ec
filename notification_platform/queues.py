"""The queues that a worker of some lanes takes from: `python -m notification_platform.queues high`.

`docker/entrypoint.sh` asks before it starts a worker, so that names are made in one place only.
"""

import os
import sys

from django.conf import settings

HOUSEKEEPING, WEBHOOKS = "housekeeping", "webhooks"


def queues_of(lanes: list[str]) -> list[str]:
    """Names of all queues of these lanes; no lanes at all means every lane there is."""
    known = [*settings.LANES, HOUSEKEEPING, WEBHOOKS]
    for lane in lanes:
        if lane not in known:
            raise ValueError(f"There is no lane {lane!r}. There is: {', '.join(known)}.")
    wanted = set(lanes or known)
    # A queue is named `prefix.channel.lane` or `prefix.job`: its last word is its lane.
    return [name for name in settings.QUEUE_NAMES if name.rpartition(".")[2] in wanted]


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notification_platform.settings")
    asked = ",".join(sys.argv[1:]).split(",")
    try:
        names = queues_of([lane.strip() for lane in asked if lane.strip()])
    except ValueError as error:
        sys.exit(f"WORKER_LANES: {error}")
    sys.stdout.write(",".join(names) + "\n")

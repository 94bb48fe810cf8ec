"""The database's clock, for whatever is compared with leases and due times."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db import connection

Clock = Callable[[], datetime]


def database_clock() -> Clock:
    """A clock that was set by the database's once and runs on this process's monotonic timer.

    Doors make one per job, so that a worker whose own clock is wrong still agrees with the rows.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            set_to: datetime = cursor.fetchone()[0]
    else:
        # SQLite lives in this process: its clock is ours.
        set_to = datetime.now(UTC)
    started = time.monotonic()
    return lambda: set_to + timedelta(seconds=time.monotonic() - started)

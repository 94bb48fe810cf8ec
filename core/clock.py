"""The database's clock, for whatever is compared with leases and due times."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db import connection

from core.database import first_row

Clock = Callable[[], datetime]


def database_clock() -> Clock:
    """A clock that was set by the database's once and runs on this process's monotonic timer.

    Doors make one per job, so that a worker whose own clock is wrong still agrees with the rows. It
    is also how a worker gets rid of a kept connection that the database has closed meanwhile.
    """
    if connection.vendor == "postgresql":
        row = first_row("SELECT clock_timestamp()", [])
        assert row is not None
        set_to: datetime = row[0]
    else:
        # SQLite lives in this process: its clock is ours.
        set_to = datetime.now(UTC)
    started = time.monotonic()
    return lambda: set_to + timedelta(seconds=time.monotonic() - started)

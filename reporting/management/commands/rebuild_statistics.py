import argparse
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.dateparse import parse_date, parse_datetime

from core.clock import database_clock
from core.commands import PlainCommand
from core.durations import parse_duration
from reporting import upkeep
from reporting.rollups import floor_hour, hours_between

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class Command(PlainCommand):
    help = (
        "Count the messages of a time again, newest hours first. Safe while everything runs, and "
        "as often as you like: every hour is counted from its messages."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since",
            type=_moment,
            required=True,
            help="From 2026-11-01, 2026-11-01T08:00:00+08:00, or 30d back.",
        )
        parser.add_argument("--until", type=_moment, help="Likewise; by default now.")

    def handle(self, **options: Any) -> None:
        clock = database_clock()
        now = clock()
        since, until = _at(options["since"], now), _at(options["until"] or timedelta(0), now)
        until = min(until, now + timedelta(seconds=1))
        if not EARLIEST <= since < until:
            raise CommandError(
                f"--since must be before {until:%Y-%m-%d %H:%M} UTC, and after 2000."
            )
        total = sum(1 for _ in hours_between(since, until))
        started, done, hour = time.monotonic(), 0, floor_hour(until)
        try:
            for hour in upkeep.rebuild(since, until, clock=clock):
                done += 1
                if hour.hour == 0 or done == total:
                    seconds = time.monotonic() - started
                    self.stdout.write(
                        f"{done:>7,} of {total:,} hours, back to {hour:%Y-%m-%d %H:%M} UTC, "
                        f"after {seconds:.0f} s."
                    )
        except KeyboardInterrupt:
            raise CommandError(
                f"Stopped. {done:,} of {total:,} hours are counted, back to "
                f"{hour:%Y-%m-%d %H:%M} UTC; go on with --until {hour:%Y-%m-%dT%H:%M}Z.",
                returncode=130,
            ) from None


def _moment(text: str) -> datetime | timedelta:
    try:
        if (day := parse_date(text)) is not None:
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        if (moment := parse_datetime(text)) is not None and moment.tzinfo is not None:
            return moment
        return parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} does not do. Write 2026-11-01 (UTC), a time with its offset such as "
            "2026-11-01T08:00:00+08:00, or how far back: 12h, 30d."
        ) from None


def _at(given: datetime | timedelta, now: datetime) -> datetime:
    if isinstance(given, datetime):
        return given
    return max(EARLIEST, now - min(given, now - EARLIEST))

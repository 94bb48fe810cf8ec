"""The points of a time series: hours, or days as a time zone has them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Any, Self

from django.db.models import F, QuerySet
from django.db.models.functions import TruncDate

from reporting.rollups import HOUR, floor_hour


class Interval(StrEnum):
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Period:
    """Full hours, `until` not included."""

    since: datetime
    until: datetime

    @classmethod
    def around(cls, since: datetime, until: datetime) -> Self:
        """The hours that have something of this time."""
        return cls(floor_hour(since), floor_hour(until - timedelta.resolution) + HOUR)


@dataclass(frozen=True, slots=True)
class Steps:
    """`starts` are in the time zone; `places` finds an hour's or a day's place among them."""

    starts: list[datetime]
    places: dict[Any, int]
    _annotate: Callable[[QuerySet[Any]], QuerySet[Any]]

    @classmethod
    def of(cls, period: Period, interval: Interval, time_zone: tzinfo) -> Self:
        if interval is Interval.HOUR:
            count = int((period.until - period.since) / HOUR)
            hours = [period.since + place * HOUR for place in range(count)]
            return cls(
                [hour.astimezone(time_zone) for hour in hours],
                {hour: place for place, hour in enumerate(hours)},
                lambda rows: rows.annotate(step=F("hour")),
            )
        first = period.since.astimezone(time_zone).date()
        last = (period.until - HOUR).astimezone(time_zone).date()
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        return cls(
            [_midnight(day, time_zone) for day in days],
            {day: place for place, day in enumerate(days)},
            lambda rows: rows.annotate(step=TruncDate("hour", tzinfo=time_zone)),
        )

    def of_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """`rows` with `step`, the key of `places`."""
        return self._annotate(rows)


def _midnight(day: Any, time_zone: tzinfo) -> datetime:
    """By way of UTC: where the clocks are put forward at midnight, the day begins at one."""
    return datetime.combine(day, time(), time_zone).astimezone(UTC).astimezone(time_zone)

"""What the dashboard is about: a stretch of time, and perhaps one application."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.http import QueryDict
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Application
from reporting.rollups import floor_hour
from reporting.steps import Interval

# Name in the address, and what the button says.
RANGES: dict[str, Promise | str] = {
    "24h": _("24 hours"),
    "7d": _("7 days"),
    "30d": _("30 days"),
}
USUAL = "24h"
# The longest that days of one's own choice may be.
LONGEST = timedelta(days=400)
# Up to so long hours are shown, beyond it days.
HOURLY = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Period:
    """`name` is empty for days of one's own choice. `problem` says why others were taken instead of
    those that were asked for."""

    name: str
    since: datetime
    until: datetime
    label: str
    application: Application | None = None
    problem: str = ""

    @property
    def interval(self) -> Interval:
        return Interval.HOUR if self.until - self.since <= HOURLY else Interval.DAY

    @property
    def first_day(self) -> date:
        return timezone.localtime(self.since).date()

    @property
    def last_day(self) -> date:
        return timezone.localtime(self.until - timedelta(seconds=1)).date()

    @property
    def query(self) -> dict[str, str]:
        """What in the address leads here."""
        chosen = {"range": self.name}
        if not self.name:
            chosen = {"since": str(self.first_day), "until": str(self.last_day)}
        if self.application is not None:
            chosen["application"] = str(self.application.pk)
        return chosen


def read_period(query: QueryDict, *, now: datetime) -> Period:
    """`range`, or `since` and `until` as days in the reader's zone; `application` by its id. What
    cannot be read is told in the period's `problem`."""
    application = _application(query.get("application", ""))
    problem = ""
    if query.get("since") or query.get("until"):
        try:
            since, until = _days(query.get("since", ""), query.get("until", ""), now=now)
        except ValueError as error:
            problem = str(error)
        else:
            words = {
                "since": date_format(since, "SHORT_DATE_FORMAT"),
                "until": date_format(until - timedelta(seconds=1), "SHORT_DATE_FORMAT"),
            }
            label = gettext("%(since)s to %(until)s") % words
            return Period("", since, until, label, application)
    name = query.get("range", USUAL)
    if name not in RANGES:
        name = USUAL
    return Period(name, _start(name, now), now, str(RANGES[name]), application, problem)


def _start(name: str, now: datetime) -> datetime:
    """The present hour and the 23 before it; today in the reader's zone and the days before it."""
    if name == "24h":
        return floor_hour(now) - timedelta(hours=23)
    today = timezone.localtime(now).date()
    begin = today - timedelta(days=int(name.removesuffix("d")) - 1)
    return datetime.combine(begin, time.min, timezone.get_current_timezone())


def _application(pk: str) -> Application | None:
    if not (pk.isascii() and pk.isdigit() and len(pk) < 19):
        return None
    return Application.objects.filter(pk=int(pk)).first()


def _days(first: str, last: str, *, now: datetime) -> tuple[datetime, datetime]:
    """Raises `ValueError` with a sentence."""
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        raise ValueError(gettext("Give both days, as 2026-11-30.")) from None
    if end < begin:
        raise ValueError(gettext("The first day is after the last one."))
    if end - begin >= LONGEST:
        raise ValueError(gettext("At most %(days)d days are shown.") % {"days": LONGEST.days})
    today = timezone.localtime(now).date()
    if begin > today:
        raise ValueError(gettext("The first day is still to come."))
    zone = timezone.get_current_timezone()
    since = datetime.combine(begin, time.min, zone)
    if end >= today:
        return since, now
    return since, datetime.combine(end + timedelta(days=1), time.min, zone)

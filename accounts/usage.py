"""What applications used, and what they may: for their pages.

How many messages there were in longer spans only others know, who connect themselves.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from accounts import quotas
from accounts.limits import COLUMNS, limits_of
from accounts.models import Application

DAY, MONTH = timedelta(days=1), timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Span:
    """Messages that were accepted since a moment, and those of them that failed. With `is_more`
    there are more: nobody counted further."""

    accepted: int
    failed: int
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """Of a day's messages; a limit of 0 is none."""

    used: int
    limit: int
    ends_at: datetime

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def fullness(self) -> str:
        """For its colour."""
        if not self.limit or self.used * 10 < self.limit * 8:
            return "fine"
        return "soon" if self.left else "spent"


Counter = Callable[[int, datetime], Span]
_counter: Counter | None = None


def connect(counter: Counter) -> None:
    """Called when Django starts, with what counts the messages of an application since a moment.
    Who connects later knows better."""
    global _counter
    _counter = counter


def span_of(application: Application, length: timedelta, *, now: datetime) -> Span:
    assert _counter is not None, "the app of the messages has not connected itself"
    return _counter(application.pk, now - length)


def use_of(applications: Sequence[Application], *, now: datetime) -> dict[int, Use]:
    """By id. One round trip for all of them."""
    used = quotas.used_today_by(applications, now=now)
    return {
        application.pk: Use(
            used[application.pk],
            day_limit(application),
            quotas.today_ends(application, now=now),
        )
        for application in applications
    }


def day_limit(application: Application) -> int:
    """Messages a day, 0 without a limit."""
    own = application.messages_per_day
    return int(settings.DEFAULT_MESSAGES_PER_DAY) if own is None else own


def limits_in_words(application: Application) -> list[str]:
    """Its own and the platform's, as they hold now."""
    words = list(_limits(application))
    if application.allowed_recipients:
        allowed = ", ".join(application.allowed_recipients)
        words.append(gettext("It writes to these only: %(allowed)s.") % {"allowed": allowed})
    return words or [gettext("No limits.")]


def _limits(application: Application) -> Iterator[str]:
    columns = (getattr(application, column) for column in COLUMNS)
    limits = limits_of(application.pk, *columns)
    if limits is None:
        return
    if limits.per_second:
        yield gettext("%(count)s requests a second, %(burst)s at once.") % {
            "count": number_format(limits.per_second),
            "burst": number_format(limits.burst),
        }
    if limits.per_day:
        yield gettext("%(count)s messages a day.") % {"count": number_format(limits.per_day)}
    lanes = gettext("of high priority") if limits.is_for_high_only else gettext("of any priority")
    for count, window in (
        (limits.recipient_per_hour, gettext("hour")),
        (limits.recipient_per_day, gettext("day")),
    ):
        if count:
            words = ngettext(
                "To one recipient at most %(count)s message %(lanes)s in any %(window)s.",
                "To one recipient at most %(count)s messages %(lanes)s in any %(window)s.",
                count,
            )
            yield words % {"count": number_format(count), "lanes": lanes, "window": window}

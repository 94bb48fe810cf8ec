"""Figures and names as people read them, in their language."""

from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext, ngettext

from core.vocabulary import Channel, Lane

_UNITS = (
    (timedelta(days=1), lambda n: ngettext("%(n)d day", "%(n)d days", n)),
    (timedelta(hours=1), lambda n: ngettext("%(n)d hour", "%(n)d hours", n)),
    (timedelta(minutes=1), lambda n: ngettext("%(n)d minute", "%(n)d minutes", n)),
    (timedelta(seconds=1), lambda n: ngettext("%(n)d second", "%(n)d seconds", n)),
)


def span_words(span: timedelta) -> str:
    """In its largest unit: "3 minutes"; from two of a unit on, so that 90 seconds stay such."""
    for unit, words in _UNITS:
        if span >= 2 * unit or (unit.total_seconds() == 1):
            count = round(span / unit)
            return words(count) % {"n": count}
    raise AssertionError("Every span has seconds.")


def moment_words(moment: datetime, *, now: datetime) -> str:
    """The time, with the day where it is not today's."""
    local, today = timezone.localtime(moment), timezone.localtime(now)
    return date_format(local, "H:i" if local.date() == today.date() else "Y-m-d H:i")


def number(count: int) -> str:
    return number_format(count, use_l10n=True, force_grouping=True)


def share(part: int, whole: int) -> str:
    """In percent; empty of nothing. Few of many do not become none."""
    if not whole:
        return ""
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return gettext("< 0.1 %")
    if 99.9 < percent < 100:
        return gettext("> 99.9 %")
    digits = 0 if percent in (0, 100) else 1
    return gettext("%(percent)s %%") % {"percent": number_format(percent, digits)}


def channel_words(channel: str) -> str:
    return str(Channel(channel).label) if channel in Channel.values else channel


def lane_words(channel: str, lane: str) -> str:
    label = Lane(lane).label if lane in Lane.values else lane
    return f"{channel_words(channel)} · {label}"

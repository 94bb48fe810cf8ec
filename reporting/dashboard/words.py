"""Figures and names as people read them, in their language."""

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext

from core.vocabulary import Channel, Lane


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

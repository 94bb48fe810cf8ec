"""From a figure to the list behind it."""

from datetime import datetime, timedelta

from django.http import QueryDict
from django.urls import reverse

from reporting.dashboard.period import Period


def messages_url(period: Period | None = None, **filters: object) -> str:
    """The list of messages under `filters` (`status`, `reason`, `channel`, `template`, …), those of
    the period and of its application, without the test messages that are counted nowhere. Without a
    period: all of them, whenever they were accepted."""
    query = QueryDict(mutable=True)
    for name, value in filters.items():
        if value not in (None, ""):
            query[name] = str(value)
    if period is not None:
        if period.application is not None:
            query.setdefault("application", str(period.application.pk))
        query["created_from"], query["test"] = _text(period.since), "no"
        if not period.name:
            query["created_to"] = _text(_up(period.until))
    return _with(reverse("admin:messaging_message_changelist"), query)


def messages_between_url(since: datetime, until: datetime, **filters: object) -> str:
    query = QueryDict(mutable=True)
    query.update({name: str(value) for name, value in filters.items() if value not in (None, "")})
    # The end is excluded here and in the list.
    query["created_from"], query["created_to"] = _text(since), _text(_up(until))
    query["test"] = "no"
    return _with(reverse("admin:messaging_message_changelist"), query)


def page_url(name: str, *arguments: object, **query: object) -> str:
    chosen = QueryDict(mutable=True)
    chosen.update({key: str(value) for key, value in query.items()})
    return _with(reverse(f"admin:{name}", args=arguments), chosen)


def _up(moment: datetime) -> datetime:
    """What ends now has this second too."""
    return moment + timedelta(seconds=1) if moment.microsecond else moment


def _text(moment: datetime) -> str:
    return (moment - timedelta(microseconds=moment.microsecond)).isoformat()


def _with(path: str, query: QueryDict) -> str:
    return f"{path}?{query.urlencode()}" if query else path

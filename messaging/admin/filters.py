"""Filters that stay on indexes. Where there is no index, only the newest rows are looked through,
and the filter's name says so."""

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Application
from messaging.admin.reading import ChoiceFilter
from messaging.models import WAITING_REASONS, ChannelChoices, Lane, Reason, Sender, Status
from messaging.search import among_newest, created_since, of_any_application
from messaging.story import shown_as

PERIODS = {
    "1h": (timedelta(hours=1), _("last hour")),
    "1d": (timedelta(days=1), _("last 24 hours")),
    "7d": (timedelta(days=7), _("last 7 days")),
    "30d": (timedelta(days=30), _("last 30 days")),
}


class StatusFilter(ChoiceFilter):
    title = _("status")
    parameter_name = "status"
    choices_shown = [*Status.choices, ("scheduled", _("scheduled")), ("retrying", _("retrying"))]

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(of_any_application(), shown_as(value, now=timezone.now()))


class ReasonFilter(ChoiceFilter):
    title = _("reason")
    parameter_name = "reason"
    choices_shown = Reason.choices

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        # There is no index by reason, but each reason goes with a status.
        status = Status.PENDING if value in WAITING_REASONS else Status.FAILED
        # A message that is being sent keeps the reason for which it waited.
        statuses = {status, Status.SENDING} if status == Status.PENDING else {status}
        return rows.filter(of_any_application(), Q(status__in=statuses), reason=value)


class LaneFilter(ChoiceFilter):
    title = _("priority (of the newest 100,000)")
    parameter_name = "lane"
    choices_shown = Lane.choices

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return among_newest(rows).filter(lane=value)


class ChannelFilter(ChoiceFilter):
    title = _("channel (of the newest 100,000)")
    parameter_name = "channel"
    choices_shown = ChannelChoices.choices

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return among_newest(rows).filter(channel=value)


class SenderFilter(ChoiceFilter):
    title = _("sender (of the newest 100,000)")
    parameter_name = "sender"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(pk), name) for pk, name in Sender.objects.values_list("pk", "name")]

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return among_newest(rows).filter(sender=value)


class ApplicationFilter(ChoiceFilter):
    title = _("application")
    parameter_name = "application"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(pk), name) for pk, name in Application.objects.values_list("pk", "name")]

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(application=value)


class CreatedFilter(ChoiceFilter):
    title = _("accepted at")
    parameter_name = "created"
    choices_shown = [(name, label) for name, (_length, label) in PERIODS.items()]

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(created_since(timezone.now() - PERIODS[value][0]))

"""Attempts, events and further recipients: all to be read, mostly from their message's page."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.labels import label
from messaging.admin.filters import SenderFilter
from messaging.admin.reading import ChoiceFilter, ReadOnlyAdmin
from messaging.models import Attempt, Event, OtherRecipient
from messaging.search import among_newest, as_uuid

OUTCOME_COLORS = {
    "accepted": "success",
    "temporary": "warning",
    "sender": "warning",
    "permanent": "danger",
    "unknown": "danger",
    "open": "info",
}


def message_link(pk: Any) -> str:
    url = reverse("admin:messaging_message_change", args=[pk])
    return format_html('<a href="{}" class="text-link">{}</a>', url, pk)


class OutcomeFilter(ChoiceFilter):
    title = _("outcome (of the newest 100,000)")
    parameter_name = "outcome"
    choices_shown = [
        ("open" if value == Attempt.Outcome.OPEN else value, label)
        for value, label in Attempt.Outcome.choices
    ]

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return among_newest(rows).filter(outcome="" if value == "open" else value)


class KindFilter(ChoiceFilter):
    title = _("kind (of the newest 100,000)")
    parameter_name = "kind"
    choices_shown = Event.Kind.choices

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return among_newest(rows).filter(kind=value)


class OfMessageAdmin(ReadOnlyAdmin):
    """Rows that belong to a message and are found by its id."""

    search_help_text = _("Id of the message")

    @display(description=_("message"))
    def of_message(self, row: Any) -> str:
        return message_link(row.message_id)

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        pk = as_uuid(text)
        return queryset.filter(message=pk) if pk else queryset.none()


@admin.register(Attempt)
class AttemptAdmin(OfMessageAdmin):
    list_display = ["started_at", "outcome_label", "kind", "phase", "sender", "of_message"]
    list_select_related = ["sender"]
    list_filter = [OutcomeFilter, SenderFilter]
    search_help_text = _("Id of the message, or the provider's id")
    fields = [
        *("id", "of_message", "sender", "outcome_label", "kind", "phase"),
        *("provider_code", "provider_words", "provider_message_id", "refused"),
        *("started_at", "finished_at", "unknown_at", "lease_token", "worker", "decision"),
    ]

    @display(description=_("outcome"))
    def outcome_label(self, attempt: Attempt) -> str:
        return label(
            attempt.get_outcome_display(), OUTCOME_COLORS.get(attempt.outcome or "open", "")
        )

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        if (pk := as_uuid(text)) is not None:
            found = queryset.filter(message=pk)
            if found.exists():
                return found
        return queryset.filter(provider_message_id=text)


@admin.register(Event)
class EventAdmin(OfMessageAdmin):
    list_display = ["at", "kind", "of_message", "actor"]
    list_select_related = ["actor"]
    list_filter = [KindFilter]
    fields = ["of_message", "kind", "at", "actor", "details"]


@admin.register(OtherRecipient)
class OtherRecipientAdmin(OfMessageAdmin):
    list_display = ["address", "role", "of_message"]
    search_help_text = _("An address, or the id of the message")
    fields = ["of_message", "role", "address"]

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        if "@" in text:
            return queryset.filter(address=text.lower())
        return super().search(queryset, text)

"""What providers reported, as it came; and what was made of it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.labels import label
from core.masking import mask_addresses
from messaging.admin.history import OfMessageAdmin
from messaging.admin.reading import ChoiceFilter, ReadOnlyAdmin
from messaging.models import FeedbackEvent, ProviderReport, SenderHook
from messaging.search import among_newest

SHOWN_BYTES = 20_000


class ReportStateFilter(ChoiceFilter):
    title = _("state (of the newest 100,000)")
    parameter_name = "state"
    choices_shown = [
        ("waiting", _("waits")),
        ("processed", _("processed")),
        ("wrong", _("something is wrong")),
    ]

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        rows = among_newest(rows)
        if value == "wrong":
            return rows.exclude(error="")
        return rows.filter(processed_at__isnull=value == "waiting")


@admin.register(ProviderReport)
class ProviderReportAdmin(ReadOnlyAdmin):
    list_display = ["received_at", "state", "sender", "error"]
    # What a provider posts is about addresses.
    masked = {"said": "", "error": "masked_error"}
    list_select_related = ["sender"]
    list_filter = [ReportStateFilter]
    search_fields = ()
    fields = ["sender", "received_at", "state", "error", "tries", "due_at", "said"]

    def get_queryset(self, request: Any) -> QuerySet[ProviderReport]:
        return super().get_queryset(request).defer("body")

    @display(description=_("state"))
    def state(self, report: ProviderReport) -> str:
        if report.processed_at is None:
            return label(gettext("waits"), "info")
        is_wrong = bool(report.error)
        return label(
            gettext("not understood") if is_wrong else gettext("processed"),
            "danger" if is_wrong else "success",
        )

    @display(description=_("what is wrong"))
    def masked_error(self, report: ProviderReport) -> str:
        return mask_addresses(report.error)

    @display(description=_("body"))
    def said(self, report: ProviderReport) -> str:
        return bytes(report.body)[:SHOWN_BYTES].decode(errors="replace")


@admin.register(FeedbackEvent)
class FeedbackEventAdmin(OfMessageAdmin):
    list_display = ["at", "kind", "sender", "of_message"]
    list_select_related = ["sender"]
    fields = ["of_message", "kind", "recipient", "sender", "at", "created_at", "words"]


@admin.register(SenderHook)
class SenderHookAdmin(ReadOnlyAdmin):
    """The address itself stands on its sender's page, for who may change that."""

    list_display = ["sender", "created_at"]
    list_select_related = ["sender"]
    search_fields = ()
    fields = ["sender", "created_at"]

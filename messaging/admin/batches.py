"""Batches: what came in one request, what became of its messages, and the way to them."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.labels import label
from messaging import scheduling
from messaging.admin.cancelling import CancelMixin
from messaging.admin.messages import STATUS_COLORS, STATUS_WORDS
from messaging.admin.reading import ReadOnlyAdmin
from messaging.batches import counts_of
from messaging.models import Batch, Message
from messaging.search import as_uuid


@admin.register(Batch)
class BatchAdmin(CancelMixin, ReadOnlyAdmin):
    list_display = [
        *("came", "id", "application", "channel"),
        *("accepted", "deduplicated", "rejected", "cancelled_at"),
    ]
    list_display_links = ["came", "id"]
    list_select_related = ["application"]
    search_help_text = _("Id of the batch")
    actions_detail = ["cancel"]
    fields = [
        "of_messages",
        ("accepted", "deduplicated"),
        ("rejected", "channel"),
        ("application", "api_key"),
        ("created_at", "cancelled_at"),
        ("id", "request_id"),
    ]

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        pk = as_uuid(text)
        return queryset.filter(pk=pk) if pk else queryset.none()

    @display(description=_("accepted at"))
    def came(self, batch: Batch) -> str:
        return date_format(timezone.localtime(batch.created_at), "Y-m-d H:i:s")

    @display(description=_("messages"))
    def of_messages(self, batch: Batch) -> str:
        """How many have each status now, and the way to their list."""
        counts = counts_of(batch, now=timezone.now())
        if not counts:
            return gettext("none")
        labels = format_html_join(
            " ",
            "{}",
            (
                (label(f"{count} {STATUS_WORDS[status]}", STATUS_COLORS.get(status, "")),)
                for status, count in sorted(counts.items())
            ),
        )
        url = reverse("admin:messaging_message_changelist")
        words = gettext("Show them")
        link = '{} <a class="text-link" href="{}?q={}">{}</a>'
        return format_html(link, labels, url, batch.pk, words)

    # --- cancel ----------------------------------------------------------------------------------

    def messages_of(self, pk: UUID) -> QuerySet[Message]:
        return Message.objects.filter(batch=pk)

    def cancel_messages_of(self, pk: UUID, request: HttpRequest) -> int:
        return scheduling.cancel_batch(batch_id=pk, now=timezone.now(), actor_id=request.user.pk)

"""Batches: what came in one request, what became of its messages, the way to them, and what can be
done to all of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.labels import label
from messaging.admin.bulk import PageMixin
from messaging.admin.bulk_words import STATUS_WORDS
from messaging.admin.reading import ReadOnlyAdmin
from messaging.admin.telling import STATUS_COLORS
from messaging.batches import counts_of
from messaging.models import Batch
from messaging.search import as_uuid
from messaging.selection import Selection, select


@admin.register(Batch)
class BatchAdmin(PageMixin, ReadOnlyAdmin):
    list_display = [
        *("came", "id", "application", "channel"),
        *("accepted", "deduplicated", "rejected", "cancelled_at"),
    ]
    list_display_links = ["came", "id"]
    list_select_related = ["application"]
    search_help_text = _("Id of the batch")
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
        link = '{} <a class="text-link" href="{}?batch={}">{}</a>'
        return format_html(link, labels, url, batch.pk, words)

    def selection_of(self, pk: UUID, *, at: datetime) -> Selection:
        return select({"batch": str(pk)}, at=at)

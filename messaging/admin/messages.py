from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Substr
from django.http import Http404, HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.labels import label
from core.masking import mask_addresses, mask_recipient
from core.vocabulary import Lane
from messaging import search
from messaging.admin import attachments, filters, preview
from messaging.admin.bulk import ListMixin, PageMixin
from messaging.admin.bulk_words import STATUS_WORDS
from messaging.admin.reading import ReadOnlyAdmin, with_pk
from messaging.admin.telling import FEEDBACK_COLORS, STATUS_COLORS, tell_rows, what_is_next
from messaging.models import Message
from messaging.selection import Selection
from messaging.simulation import is_test
from messaging.states import FINAL
from messaging.story import shown_status


@admin.register(Message)
class MessageAdmin(
    attachments.AttachmentsMixin, preview.PreviewMixin, PageMixin, ListMixin, ReadOnlyAdmin
):
    list_display = [
        *("accepted", "outcome", "to", "subject", "of_application", "by_sender", "way"),
    ]
    list_display_links = ["accepted", "subject"]
    list_select_related = ["application", "sender"]
    masked = {
        "to": "masked_to",
        "all_to": "masked_all_to",
        "reason_detail": "masked_detail",
        "subject": "",
        "mail_headers": "",
        "metadata": "",
    }
    list_filter = filters.ALL
    list_filter_submit = True
    list_filter_sheet = True
    list_fullwidth = True
    search_help_text = _("Id, recipient, reference, provider's id or batch")
    change_form_outer_after_template = "messaging/admin/message.html"

    class Media:
        js = ["messaging/live.js"]

    fieldsets = [
        (
            None,
            {
                "fields": [
                    "state",
                    ("why", "reason_detail"),
                    ("all_to", "subject"),
                    ("application", "sender"),
                    ("channel", "lane"),
                    ("of_template", "of_batch"),
                    ("created_at", "finished_at"),
                    ("due_at", "expires_at"),
                ]
            },
        ),
        (
            _("More"),
            {
                "classes": ["collapse"],
                "fields": [
                    ("id", "request_id"),
                    ("reference", "policy"),
                    ("tags", "api_key"),
                    ("variable_names", "only_sender"),
                    ("tries", "claims"),
                    ("unknown_resends", "lease_token"),
                    "leased_until",
                    "mail_headers",
                    "metadata",
                ],
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        # Contents may be large; lists need their subject only, or how they begin.
        text = TextField()
        beginning = Substr(KeyTextTransform("text", "content"), 1, 80, output_field=text)
        subject = KeyTextTransform("subject", "content", output_field=text)
        shown = Coalesce(subject, beginning, output_field=text)
        rows = super().get_queryset(request).annotate(subject_=shown)
        return rows.defer("content", "metadata", "tags")

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return with_pk(queryset, search.find_messages(text))

    # --- columns ---------------------------------------------------------------------------------

    @display(description=_("accepted at"))
    def accepted(self, message: Message) -> str:
        return date_format(timezone.localtime(message.created_at), "Y-m-d H:i:s")

    @display(description=_("status"))
    def shown_status(self, message: Message) -> str:
        shown = shown_status(message, now=timezone.now())
        return label(STATUS_WORDS[shown], STATUS_COLORS.get(shown, ""))

    @display(description=_("status"))
    def outcome(self, message: Message) -> str:
        """With why, or with what was reported."""
        return format_html("{} {}", self.shown_status(message), self.why_or_feedback(message))

    @display(description=_("status"))
    def state(self, message: Message) -> str:
        """With what its provider reported later, and whether it was only simulated. The page renews
        it."""
        return format_html('<span data-live-part="state">{}</span>', self.labels(message))

    def labels(self, message: Message) -> str:
        labels = [self.shown_status(message), self._feedback(message)]
        if is_test(message):
            labels.append(label(gettext("test")))
        return format_html_join(" ", "{}", ((each,) for each in labels if each))

    @display(description=_("reason or feedback"))
    def why_or_feedback(self, message: Message) -> str:
        return self._feedback(message) or self.why(message)

    def _feedback(self, message: Message) -> str:
        if not message.feedback:
            return ""
        return label(message.get_feedback_display(), FEEDBACK_COLORS.get(message.feedback, ""))

    @display(description=_("reason"))
    def why(self, message: Message) -> str:
        return message.get_reason_display()

    @display(description=_("recipient"))
    def to(self, message: Message) -> str:
        return message.recipient

    @display(description=_("recipient"))
    def masked_to(self, message: Message) -> str:
        return mask_recipient(message.recipient)

    @display(description=_("what happened"))
    def masked_detail(self, message: Message) -> str:
        return mask_addresses(message.reason_detail)

    @display(description=_("subject"))
    def subject(self, message: Message) -> str:
        return str(getattr(message, "subject_", None) or "") or gettext("(no subject)")

    @display(description=_("application"))
    def of_application(self, message: Message) -> str:
        return str(message.application)

    @display(description=_("sender"))
    def by_sender(self, message: Message) -> str:
        return str(message.sender or "")

    @display(description=_("channel"))
    def way(self, message: Message) -> str:
        """With the lane where it is not the usual one."""
        if message.lane == Lane.NORMAL:
            return message.get_channel_display()
        return f"{message.get_channel_display()}, {message.get_lane_display()}"

    @display(description=_("further headers"), empty_value="-")
    def mail_headers(self, message: Message) -> str | None:
        headers = message.content.get("headers", {})
        return "\n".join(f"{name}: {value}" for name, value in headers.items()) or None

    @display(description=_("template"), empty_value="-")
    def of_template(self, message: Message) -> SafeString | None:
        """The version that it was rendered from, with the way there."""
        version = message.template_version
        if version is None:
            return None
        words = f"{version.template.code}, {gettext('version')} {version.number}"
        if version.template.locale:
            words += f" ({version.template.locale})"
        try:
            url = reverse("admin:templates_app_templateversion_change", args=[version.pk])
        except NoReverseMatch:
            return format_html("{}", words)
        return format_html('<a class="text-link" href="{}">{}</a>', url, words)

    @display(description=_("batch"), empty_value="-")
    def of_batch(self, message: Message) -> SafeString | None:
        if message.batch_id is None:
            return None
        url = reverse("admin:messaging_batch_change", args=[message.batch_id])
        return format_html('<a class="text-link" href="{}">{}</a>', url, message.batch_id)

    @display(description=_("recipients"))
    def all_to(self, message: Message) -> str:
        lines = []
        for role, name, address in _addressed(message):
            shown = f"{name} <{address}>" if name else address
            lines.append(shown if role == "to" else f"{role.replace('_', '-')}: {shown}")
        return "\n".join(lines) or message.recipient

    @display(description=_("recipients"))
    def masked_all_to(self, message: Message) -> str:
        lines = []
        for role, _name, address in _addressed(message):
            shown = mask_recipient(address)
            lines.append(shown if role == "to" else f"{role.replace('_', '-')}: {shown}")
        return "\n".join(lines) or mask_recipient(message.recipient)

    # --- one message -----------------------------------------------------------------------------

    def selection_of(self, pk: UUID, *, at: datetime) -> Selection:
        return Selection(asked_at=at, ids=[pk], is_picked=True)

    def change_view(self, request, object_id, form_url="", extra_context=None):
        message = self.get_object(request, object_id)
        if message is not None and self.has_view_permission(request, message):
            extra_context = (
                (extra_context or {})
                | self._story(message)
                | preview.contents_of(request, message)
                | {"attachments": attachments.shown(request, message)}
            )
            extra_context["may_download"] = attachments.may_download(request)
        return super().change_view(request, object_id, form_url, extra_context)

    def _story(self, message: Message) -> dict[str, Any]:
        return {
            "rows": tell_rows(message),
            "next": what_is_next(message, now=timezone.now()),
            "is_over": message.status in FINAL,
        }

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.live)
        return [path("<uuid:pk>/live/", view, name="messaging_message_live"), *super().get_urls()]

    def live(self, request: HttpRequest, pk: UUID) -> JsonResponse:
        """What its page shows of it now, for the page to renew itself until it is over."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        message = Message.objects.select_related("application").filter(pk=pk).first()
        if message is None:
            raise Http404
        story = self._story(message)
        parts = {
            "state": self.labels(message),
            "story": render_to_string("messaging/admin/story.html", story, request),
        }
        return JsonResponse(
            {"parts": parts, "is_over": story["is_over"]}, headers={"Cache-Control": "no-store"}
        )


def _addressed(message: Message) -> list[tuple[str, str, str]]:
    """Role, name and address of each."""
    roles = ("to", "cc", "bcc", "reply_to")
    return [(role, *pair) for role in roles for pair in message.content.get(role, ())]

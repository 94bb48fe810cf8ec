import json
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Substr
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.errors import DomainError
from core.labels import label
from core.previews import untrusted_html
from messaging import scheduling, search
from messaging.admin import attachments, decisions, filters
from messaging.admin.cancelling import CancelMixin
from messaging.admin.history import OUTCOME_COLORS
from messaging.admin.reading import ReadOnlyAdmin, with_pk
from messaging.admin.resending import ResendMixin
from messaging.models import Attempt, Feedback, Message, Status
from messaging.simulation import is_test
from messaging.story import shown_status, tell

STATUS_COLORS = {
    "success": "success",
    "failed": "danger",
    "unknown": "danger",
    "retrying": "warning",
    "sending": "info",
    "scheduled": "info",
}
FEEDBACK_COLORS = {
    "deferred": "warning",
    "delivered": "success",
    "opened": "success",
    "clicked": "success",
    "bounced": "danger",
    "unsubscribed": "warning",
    "complained": "danger",
}
STATUS_WORDS = dict(Status.choices) | {"scheduled": _("scheduled"), "retrying": _("retrying")}
STEP_WORDS = STATUS_WORDS | dict(Feedback.choices)


@admin.register(Message)
class MessageAdmin(attachments.AttachmentsMixin, CancelMixin, ResendMixin, ReadOnlyAdmin):
    list_display = [
        *("accepted", "shown_status", "why_or_feedback", "to", "subject"),
        *("of_application", "by_sender", "over", "priority"),
    ]
    list_display_links = ["accepted", "subject"]
    list_select_related = ["application", "sender"]
    list_filter = [
        filters.StatusFilter,
        filters.ReasonFilter,
        filters.CreatedFilter,
        filters.ApplicationFilter,
        filters.SenderFilter,
        filters.LaneFilter,
        filters.ChannelFilter,
    ]
    list_fullwidth = True
    search_help_text = _("Id, recipient, reference, provider's id or batch")
    actions_detail = ["resend", "cancel"]
    change_form_outer_after_template = "messaging/admin/message.html"
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
    def state(self, message: Message) -> str:
        """With what its provider reported later, and whether it was only simulated."""
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
    def over(self, message: Message) -> str:
        return message.get_channel_display()

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

    @display(description=_("priority"))
    def priority(self, message: Message) -> str:
        return message.get_lane_display()

    @display(description=_("recipients"))
    def all_to(self, message: Message) -> str:
        lines = []
        for role in ("to", "cc", "bcc", "reply_to"):
            for name, address in message.content.get(role, ()):
                shown = f"{name} <{address}>" if name else address
                lines.append(shown if role == "to" else f"{role.replace('_', '-')}: {shown}")
        return "\n".join(lines) or message.recipient

    # --- cancel ----------------------------------------------------------------------------------

    def messages_of(self, pk: UUID) -> QuerySet[Message]:
        return Message.objects.filter(pk=pk)

    def cancel_messages_of(self, pk: UUID, request: HttpRequest) -> int:
        message, now = Message.objects.get(pk=pk), timezone.now()
        try:
            scheduling.cancel(message=message, now=now, actor_id=request.user.pk)
        except DomainError:
            # A worker has it, or it was cancelled.
            return 0
        return 1

    # --- one message -----------------------------------------------------------------------------

    def change_view(self, request, object_id, form_url="", extra_context=None):
        message = self.get_object(request, object_id)
        if message is not None and self.has_view_permission(request, message):
            extra_context = (extra_context or {}) | self._told(message)
            extra_context["may_download"] = attachments.may_download(request)
        return super().change_view(request, object_id, form_url, extra_context)

    def _told(self, message: Message) -> dict[str, Any]:
        colors = STATUS_COLORS | FEEDBACK_COLORS
        files = attachments.shown(message)
        return {
            "steps": [
                (step, STEP_WORDS[step.status], colors.get(step.status, ""))
                for step in tell(message)
            ],
            "attempts": [
                (attempt, OUTCOME_COLORS.get(attempt.outcome or "open", ""), _excluded(attempt))
                for attempt in message.attempts.select_related("sender").order_by("started_at")
            ],
            "attachments": files,
            "has_images": any(file.content_id for file in files),
            "events": message.events.select_related("actor").order_by("at"),
            "has_html": bool(message.content.get("html")),
            "text": message.content.get("text", ""),
            "provider_facts": _provider_facts(message.content),
        }

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview)
        preview = path("<uuid:pk>/preview/", view, name="messaging_message_preview")
        return [preview, *super().get_urls()]

    def preview(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The HTML of a message as its recipient gets it, for an `<iframe sandbox>`."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        message = Message.objects.filter(pk=pk).only("content").first()
        if message is None:
            raise Http404
        return untrusted_html(message.content.get("html", ""))


def _excluded(attempt: Attempt) -> list[tuple[str, str]]:
    """The senders that were left out, and why."""
    excluded = (attempt.decision or {}).get("excluded", {})
    return [(name, decisions.in_words(why)) for name, why in excluded.items()]


def _provider_facts(content: dict[str, Any]) -> list[tuple[str, str]]:
    """What went into a provider's own template, and what else its message has."""
    facts = [
        (gettext("Provider's template"), content.get("template_id", "")),
        (gettext("Kind"), content.get("kind", "") or content.get("format", "")),
        (gettext("Signature"), content.get("signature", "")),
        (gettext("Segments"), str(content.get("segments", ""))),
        *content.get("parameters", {}).items(),
        *(
            (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
            for name, value in content.get("details", {}).items()
        ),
    ]
    return [(name, value) for name, value in facts if value]

"""What a message says, on its page, for those who may see contents."""

import json
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext
from unfold.admin import ModelAdmin

from core.previews import untrusted_html
from messaging.admin.reading import may_see_contents
from messaging.models import Message

ROLES = {"to": "To", "cc": "Cc", "bcc": "Bcc", "reply_to": "Reply-To"}


class PreviewMixin(ModelAdmin):
    """Of the admin of messages."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.preview)
        preview = path("<uuid:pk>/preview/", view, name="messaging_message_preview")
        return [preview, *super().get_urls()]

    def preview(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The HTML of a message as its recipient gets it, for an `<iframe sandbox>`."""
        if not (self.has_view_permission(request) and may_see_contents(request)):
            raise PermissionDenied
        message = Message.objects.filter(pk=pk).only("content").first()
        if message is None:
            raise Http404
        return untrusted_html(message.content.get("html", ""))


def contents_of(request: HttpRequest, message: Message) -> dict[str, Any]:
    """The tabs of the content, and what they hold."""
    if not may_see_contents(request):
        return {"may_see_contents": False}
    content = message.content
    headers = _headers(content)
    tabs = [
        ("html", gettext("Preview")) if content.get("html") else None,
        ("text", gettext("Plain text")),
        ("source", gettext("HTML source")) if content.get("html") else None,
        ("headers", gettext("Headers")) if headers else None,
        ("variables", gettext("Variables")) if message.variable_names else None,
    ]
    return {
        "may_see_contents": True,
        "tabs": [tab for tab in tabs if tab],
        "html": content.get("html", ""),
        "text": content.get("text", ""),
        "headers": headers,
        "variable_names": message.variable_names or [],
        "provider_facts": _provider_facts(content),
        "has_images": message.message_attachments.exclude(content_id="").exists(),
    }


def _headers(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Those that we were given; a sender adds its own, as From and Date."""
    addressed = [
        (name, ", ".join(f"{who} <{at}>" if who else at for who, at in content.get(role, ())))
        for role, name in ROLES.items()
    ]
    subject = [("Subject", content.get("subject", ""))]
    found = [*addressed, *subject, *content.get("headers", {}).items()]
    return [(name, value) for name, value in found if value]


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

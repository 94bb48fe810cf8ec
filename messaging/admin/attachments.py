"""The files of a message on its page, for those who may have them."""

from typing import Any
from uuid import UUID

import structlog
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts import audit
from accounts.models import Action
from messaging import attachment_files
from messaging.admin.history import OfMessageAdmin
from messaging.admin.reading import ReadOnlyAdmin, may_see_contents
from messaging.models import Attachment, Message, MessageAttachment
from messaging.search import as_uuid

log = structlog.get_logger(__name__)

PERMISSION = "messaging.download_attachment"


def may_download(request: HttpRequest) -> bool:
    return may_see_contents(request) and bool(request.user.has_perm(PERMISSION))


def shown(request: HttpRequest, message: Message) -> list[tuple[MessageAttachment, str, str]]:
    """In their order, each with its name and its content id; the file of each may be gone."""
    rows = MessageAttachment.objects.filter(message=message).select_related("attachment")
    is_open = may_see_contents(request)
    return [
        (row, row.attachment.filename, row.content_id)
        if is_open
        else (row, mask_filename(row.attachment.filename), "")
        for row in rows.order_by("position")
    ]


def mask_filename(name: str) -> str:
    """A name may say whose it is; what kind of file it is may be known."""
    _, dot, ending = name.rpartition(".")
    return f"***{dot}{ending}" if dot and ending.isascii() and ending.isalnum() else "***"


class AttachmentsMixin:
    """Of the admin of messages."""

    admin_site: Any

    def get_urls(self) -> list[URLPattern]:
        urls: list[URLPattern] = super().get_urls()  # type: ignore[misc]
        view = self.admin_site.admin_view(self.download)
        route = "<uuid:pk>/attachments/<int:position>/"
        return [path(route, view, name="messaging_message_attachment"), *urls]

    def download(self, request: HttpRequest, pk: UUID, position: int) -> HttpResponseBase:
        """A file as it was uploaded, to be kept and never to be shown: it is somebody's."""
        if not (self.has_view_permission(request) and may_download(request)):  # type: ignore[attr-defined]
            raise PermissionDenied
        rows = MessageAttachment.objects.select_related("attachment")
        found = rows.filter(message=pk, position=position).first()
        if found is None or found.attachment.removed_at is not None:
            raise Http404
        attachment = found.attachment
        try:
            file = attachment_files.storage().open(attachment.stored_as)
        except FileNotFoundError as error:
            raise Http404 from error
        log.info("attachment_downloaded", attachment_id=str(attachment.pk), user_id=request.user.pk)
        audit.record(by=audit.of_request(request), action=Action.DOWNLOADED, obj=attachment)
        return FileResponse(
            file,
            as_attachment=True,
            filename=attachment.filename,
            content_type=attachment.content_type,
            headers={
                "Content-Security-Policy": "sandbox; default-src 'none'",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-store",
                "Referrer-Policy": "no-referrer",
            },
        )


@admin.register(Attachment)
class AttachmentAdmin(ReadOnlyAdmin):
    """Where its file lies is nobody's business."""

    list_display = [
        *("created_at", "filename", "content_type", "size"),
        *("application", "expires_at", "removed_at"),
    ]
    list_select_related = ["application"]
    masked = {"filename": "masked_filename", "sha256": ""}
    search_help_text = _("Id of the attachment")
    fields = [
        *("id", "filename", "content_type", "size", "sha256", "application", "api_key"),
        *("created_at", "expires_at", "look_at", "removed_at"),
    ]

    @display(description=_("filename"))
    def masked_filename(self, attachment: Attachment) -> str:
        return mask_filename(attachment.filename)

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        pk = as_uuid(text)
        return queryset.filter(pk=pk) if pk else queryset.none()


@admin.register(MessageAttachment)
class MessageAttachmentAdmin(OfMessageAdmin):
    masked = {"content_id": ""}
    list_display = ["of_attachment", "position", "content_id", "of_message"]
    list_display_links = ["position"]
    search_help_text = _("Id of the message, or of the attachment")
    fields = ["of_message", "of_attachment", "position", "content_id"]

    @display(description=_("attachment"))
    def of_attachment(self, row: MessageAttachment) -> str:
        url = reverse("admin:messaging_attachment_change", args=[row.attachment_id])
        return format_html('<a href="{}" class="text-link">{}</a>', url, row.attachment_id)

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        pk = as_uuid(text)
        if pk is None:
            return queryset.none()
        found = queryset.filter(message=pk)
        return found if found.exists() else queryset.filter(attachment=pk)

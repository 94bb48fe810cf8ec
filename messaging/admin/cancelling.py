"""Cancelling what still waits, of a message or of a batch: a confirmation, then one call."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action

from accounts import audit
from accounts.models import Action
from messaging.admin.reading import without_button
from messaging.models import Message, Status
from messaging.search import as_uuid


class CancelMixin(ModelAdmin):
    """The button of a page, which stands only where it would do something."""

    def messages_of(self, pk: UUID) -> QuerySet[Message]:
        raise NotImplementedError

    def cancel_messages_of(self, pk: UUID, request: HttpRequest) -> int:
        """One call. Returns how many were cancelled."""
        raise NotImplementedError

    def has_cancel_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("messaging.change_message")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        buttons = super().get_actions_detail(request, object_id)
        pk = as_uuid(str(object_id))
        if pk is not None and self.messages_of(pk).filter(status=Status.PENDING).exists():
            return buttons
        return without_button(buttons, "cancel")

    @action(description=_("Cancel"), icon="cancel", url_path="cancel", permissions=["cancel"])
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        pk = as_uuid(object_id)
        if pk is None or not self.model.objects.filter(pk=pk).exists():
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        page = reverse(f"admin:messaging_{self.opts.model_name}_change", args=[pk])
        if request.method != "POST":
            return self._confirm_cancel(request, pk, back_url=page)
        with transaction.atomic():
            count = self.cancel_messages_of(pk, request)
            if count:
                row = self.model.objects.get(pk=pk)
                by = audit.of_request(request)
                audit.record(by=by, action=Action.CANCELLED, obj=row, count=count)
        words = ngettext(
            "%(count)d message was cancelled.", "%(count)d messages were cancelled.", count
        )
        self.message_user(
            request, words % {"count": count}, messages.SUCCESS if count else messages.WARNING
        )
        return HttpResponseRedirect(page)

    def _confirm_cancel(self, request: HttpRequest, pk: UUID, *, back_url: str) -> HttpResponse:
        count = self.messages_of(pk).filter(status=Status.PENDING).count()
        question = ngettext(
            "Cancel %(count)d message that still waits?",
            "Cancel %(count)d messages that still wait?",
            count,
        )
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Cancel"),
            "question": question % {"count": count},
            "lines": [gettext("What a worker has already is sent. This cannot be undone.")],
            "button": gettext("Cancel what waits") if count else "",
            "danger": True,
            "back_url": back_url,
        }
        return TemplateResponse(request, "core/confirm.html", context)

"""Sending messages again: a confirmation that says what may happen, then one call."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action

from messaging import intake, search
from messaging.models import Message, Reason, Status

# Messages that one confirmation sends again; `manage.py resend_messages` takes more.
RESEND_LIMIT = 1000
SHOWN_REFUSALS = 5


class ResendMixin(ModelAdmin):
    """The action of the list and the button of the page."""

    actions = ["resend_selected"]
    actions_detail = ["resend"]

    def has_resend_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("messaging.change_message")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """The button stands only where it would do something."""
        movable = Message.objects.filter(status__in=[Status.FAILED, Status.UNKNOWN])
        pk = search.as_uuid(str(object_id))
        if pk is None or not movable.filter(pk=pk).exists():
            return []
        return super().get_actions_detail(request, object_id)

    @admin.action(description=_("Send again"), permissions=["resend"])
    def resend_selected(self, request: HttpRequest, queryset: QuerySet[Message]) -> Any:
        pks = list(queryset.values_list("pk", flat=True)[:RESEND_LIMIT])
        if request.POST.get("confirmed"):
            return self._resend(request, pks, back_url=request.get_full_path())
        fields = [("action", "resend_selected"), ("confirmed", "yes")]
        fields += [(ACTION_CHECKBOX_NAME, str(pk)) for pk in pks]
        return self._confirm(request, pks, fields=fields, back_url=request.get_full_path())

    @action(description=_("Send again"), icon="replay", url_path="resend", permissions=["resend"])
    def resend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        pk = search.as_uuid(object_id)
        if pk is None or not Message.objects.filter(pk=pk).exists():
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        back_url = reverse("admin:messaging_message_change", args=[pk])
        if request.method == "POST":
            return self._resend(request, [pk], back_url=back_url)
        return self._confirm(request, [pk], fields=[], back_url=back_url)

    def _confirm(
        self, request: HttpRequest, pks: list[UUID], *, fields: list[Any], back_url: str
    ) -> HttpResponse:
        chosen = Message.objects.filter(pk__in=pks)
        count = chosen.filter(status__in=[Status.FAILED, Status.UNKNOWN]).count()
        unknown = chosen.filter(status=Status.UNKNOWN).count()
        # What failed for want of an answer may have arrived as well.
        unknown += chosen.filter(status=Status.FAILED, reason=Reason.UNKNOWN_OUTCOME).count()
        lines = [gettext("Each gets its whole lifetime anew and goes to whichever sender is free.")]
        if left := len(pks) - count:
            lines.append(
                ngettext(
                    "%(count)d of the selected is neither failed nor unknown: it stays as it is.",
                    "%(count)d of the selected are neither failed nor unknown: they stay so.",
                    left,
                )
                % {"count": left}
            )
        warning = ngettext(
            "Of %(count)d message it is not known whether the provider took it: sending it again "
            "may duplicate it.",
            "Of %(count)d messages it is not known whether the provider took them: sending them "
            "again may duplicate them.",
            unknown,
        ) % {"count": unknown}
        question = ngettext(
            "Send %(count)d message again?", "Send %(count)d messages again?", count
        ) % {"count": count}
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Send again"),
            "question": question,
            "lines": lines,
            "warning": warning if unknown else "",
            "fields": fields,
            "button": gettext("Send again") if count else "",
            "back_url": back_url,
        }
        return TemplateResponse(request, "core/confirm.html", context)

    def _resend(self, request: HttpRequest, pks: list[UUID], *, back_url: str) -> HttpResponse:
        resent = intake.resend_all(ids=pks, now=timezone.now(), actor_id=request.user.pk)
        words = ngettext(
            "%(count)d message is on its way again.",
            "%(count)d messages are on their way again.",
            resent.count,
        ) % {"count": resent.count}
        self.message_user(request, words, messages.SUCCESS if resent.count else messages.WARNING)
        for refusal in resent.refusals[:SHOWN_REFUSALS]:
            self.message_user(request, refusal, messages.WARNING)
        if (more := len(resent.refusals) - SHOWN_REFUSALS) > 0:
            words = gettext("%(count)d more could not be sent again.") % {"count": more}
            self.message_user(request, words, messages.WARNING)
        return HttpResponseRedirect(back_url)

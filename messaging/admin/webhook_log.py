"""What applications were told."""

from collections import Counter
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from core.errors import DomainError
from core.labels import label
from messaging.admin.history import message_link
from messaging.admin.reading import ChoiceFilter, ReadOnlyAdmin
from messaging.callbacks import endpoints
from messaging.models import WebhookDelivery, WebhookEndpoint
from messaging.search import among_newest, as_uuid

STATE_COLORS = {"delivered": "success", "delivering": "info", "failed": "danger"}
# How many that were chosen in the list are called again with one click: a page of it.
REPLAYED_AT_ONCE = 200


class StateFilter(ChoiceFilter):
    title = _("state (of the newest 100,000)")
    parameter_name = "state"
    choices_shown = WebhookDelivery.State.choices

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return among_newest(rows).filter(state=value)


class EndpointFilter(ChoiceFilter):
    title = _("endpoint")
    parameter_name = "endpoint"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        rows = WebhookEndpoint.objects.filter(deleted_at=None)
        return [(str(pk), url) for pk, url in rows.values_list("pk", "url")]

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(endpoint=value)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = [
        *("made", "state_label", "event", "endpoint", "of_message", "tries", "last_words"),
    ]
    list_display_links = ["made"]
    list_select_related = ["endpoint"]
    list_filter = [StateFilter, EndpointFilter]
    list_fullwidth = True
    search_help_text = _("Id of the message, the event or the delivery")
    actions = ["replay_selected"]
    actions_detail = ["replay"]
    fields = [
        *("id", "endpoint", "event", "event_id", "of_message", "state_label"),
        *("created_at", "due_at", "finished_at", "tries", "last_code", "last_words"),
        *("history", "payload"),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        return super().get_queryset(request).defer("payload", "history")

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        pk = as_uuid(text)
        if pk is None:
            return queryset.none()
        of_message = queryset.filter(message_id=pk)
        return of_message if of_message.exists() else queryset.filter(pk=pk)

    def has_replay_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("messaging.change_webhookendpoint"))

    @admin.action(description=_("Call again"), permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        if not self.has_replay_permission(request):
            raise PermissionDenied
        called: Counter[WebhookEndpoint] = Counter()
        refused = ""
        for delivery in queryset.select_related("endpoint")[:REPLAYED_AT_ONCE]:
            try:
                endpoints.replay(delivery, now=timezone.now())
            except DomainError as error:
                refused = error.detail
            else:
                called[delivery.endpoint] += 1
        for endpoint, count in called.items():
            self.log_change(request, endpoint, f"Called again with {count} that were chosen.")
        if called:
            count = called.total()
            words = ngettext("%(count)d is called again.", "%(count)d are called again.", count)
            words = words % {"count": count}
            self.message_user(request, words, messages.SUCCESS)
        if refused:
            words = gettext("Others are not: %(why)s") % {"why": refused}
            self.message_user(request, words, messages.WARNING)

    @action(description=_("Call again"), icon="replay", url_path="replay", permissions=["replay"])
    def replay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        delivery = self.get_object(request, object_id)
        if delivery is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        page = reverse("admin:messaging_webhookdelivery_change", args=[delivery.pk])
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": gettext("Call again"),
                "subtitle": f"{delivery.event} · {delivery.endpoint}",
                "question": gettext("Call the endpoint again with this?"),
                "lines": [gettext("It has the same id and body as before, and new tries.")],
                "button": gettext("Call again"),
                "back_url": page,
            }
            return TemplateResponse(request, "core/confirm.html", context)
        try:
            endpoints.replay(delivery, now=timezone.now())
        except DomainError as error:
            self.message_user(request, error.detail, messages.ERROR)
        else:
            self.log_change(request, delivery, "Called again.")
            self.message_user(request, gettext("It is being called."), messages.SUCCESS)
        return HttpResponseRedirect(page)

    @display(description=_("made"))
    def made(self, delivery: WebhookDelivery) -> str:
        return date_format(timezone.localtime(delivery.created_at), "Y-m-d H:i:s")

    @display(description=_("state"))
    def state_label(self, delivery: WebhookDelivery) -> str:
        return label(delivery.get_state_display(), STATE_COLORS.get(delivery.state, ""))

    @display(description=_("message"), empty_value="-")
    def of_message(self, delivery: WebhookDelivery) -> str | None:
        return message_link(delivery.message_id) if delivery.message_id else None

"""Where applications are told."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from core.errors import DomainError
from core.labels import label
from messaging.admin.filters import PERIODS
from messaging.callbacks import endpoints
from messaging.callbacks.endpoints import IssuedSecret
from messaging.models import WebhookEndpoint, WebhookEvent

OPERATOR = WebhookEndpoint.DisabledReason.OPERATOR


class EndpointForm(forms.ModelForm):
    events = forms.MultipleChoiceField(
        label=_("Events"),
        choices=WebhookEvent.choices,
        initial=list(WebhookEvent.values),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("What it is told of."),
    )

    class Meta:
        model = WebhookEndpoint
        fields = ["application", "url", "description", "events"]
        help_texts = {"url": _("https, at a public address; docs/webhooks.md says what else.")}

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            endpoints.check_url(url)
        except DomainError as error:
            raise ValidationError(error.detail) from error
        return url


class ReplayForm(forms.Form):
    period = forms.ChoiceField(
        label=_("made in the"),
        choices=[(name, words) for name, (_length, words) in PERIODS.items()],
        initial="1d",
        widget=UnfoldAdminSelectWidget,
    )


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ModelAdmin):
    form = EndpointForm
    list_display = ["url", "application", "state", "description", "last_success_at"]
    list_filter = ["is_active", "application"]
    list_select_related = ["application"]
    list_fullwidth = True
    search_fields = ["url", "description", "application__name"]
    autocomplete_fields = ["application"]
    actions_detail = ["test", "replay_failed", "switch", "rotate"]
    add_fieldsets = [(None, {"fields": ["application", "url", "description", "events"]})]
    fieldsets = [
        (None, {"fields": ["application", "url", "description", "state", "events"]}),
        (
            _("History"),
            {
                "fields": [
                    *("created_at", "last_success_at", "failing_since", "failures"),
                    *("old_secret_until", "log"),
                ]
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        return super().get_queryset(request).filter(deleted_at=None)

    def get_readonly_fields(
        self, request: HttpRequest, obj: WebhookEndpoint | None = None
    ) -> list[str]:
        if obj is None:
            return []
        return ["application", "state", *self.fieldsets[1][1]["fields"]]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Its log names it: it is switched off instead, and its application may delete it."""
        return False

    def has_rotate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request) and self.has_add_permission(request)

    @display(description=_("state"))
    def state(self, endpoint: WebhookEndpoint) -> str:
        if not endpoint.is_active:
            return label(endpoint.get_disabled_reason_display(), "danger")
        if endpoint.failing_since is not None:
            since = date_format(timezone.localtime(endpoint.failing_since), "Y-m-d H:i")
            return label(gettext("failing since %(since)s") % {"since": since}, "warning")
        return label(gettext("active"), "success")

    @display(description=_("log"))
    def log(self, endpoint: WebhookEndpoint) -> str:
        url = reverse("admin:messaging_webhookdelivery_changelist")
        words = gettext("What it was told")
        return format_html(
            '<a href="{}?endpoint={}" class="text-link">{}</a>', url, endpoint.pk, words
        )

    def render_change_form(self, request, context, *args, **kwargs):
        if kwargs.get("add"):
            # The page after saving is the secret's; there is no going on from it.
            context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    # --- the secret, once ------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            changes = {name: form.cleaned_data[name] for name in ("url", "description", "events")}
            endpoints.change_endpoint(obj, changes=changes, now=timezone.now())
            return
        issued = endpoints.create_endpoint(
            application_id=obj.application_id,
            url=obj.url,
            description=obj.description,
            events=form.cleaned_data["events"],
        )
        # On the object only, for `response_add` of this very request.
        obj.pk, obj.issued_secret = issued.endpoint.pk, issued.secret

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._show_once(request, IssuedSecret(obj, obj.issued_secret))

    def _show_once(
        self, request: HttpRequest, issued: IssuedSecret, *, replaced: str = ""
    ) -> HttpResponse:
        """The secret goes into this response and nowhere else."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Secret of a webhook endpoint"),
            "endpoint": issued.endpoint,
            "secret": issued.secret,
            "replaced": replaced,
            "back_url": _page_of(issued.endpoint),
        }
        return TemplateResponse(
            request,
            "messaging/admin/webhook_secret.html",
            context,
            headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
        )

    # --- buttons ---------------------------------------------------------------------------------

    @action(description=_("Test"), icon="network_check", url_path="test", permissions=["change"])
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.get_object(request, object_id)
        if endpoint is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if request.method != "POST":
            return self._confirm(
                request,
                endpoint,
                title=gettext("Test endpoint"),
                question=gettext("Call it with the event ping?"),
                lines=[gettext("Its log says what came of it.")],
                button=gettext("Test"),
            )
        try:
            endpoints.ping(endpoint, now=timezone.now())
        except DomainError as error:
            return self._back(request, endpoint, error.detail, messages.ERROR)
        self.log_change(request, endpoint, "Tested.")
        return self._back(request, endpoint, gettext("It is being called."), messages.SUCCESS)

    @action(
        description=_("Call failed ones again"),
        icon="replay",
        url_path="replay",
        permissions=["change"],
    )
    def replay_failed(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.get_object(request, object_id)
        if endpoint is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        form = ReplayForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return self._confirm(
                request,
                endpoint,
                title=gettext("Call failed ones again"),
                question=gettext("Call it again with all that failed?"),
                lines=[
                    gettext("Each has the same id and body as before, and new tries."),
                    gettext("Choose how far back:"),
                ],
                tick=form["period"],
                tick_label="",
                button=gettext("Call again"),
            )
        now, period = timezone.now(), form.cleaned_data["period"]
        try:
            count = endpoints.replay_failed(endpoint, since=now - PERIODS[period][0], now=now)
        except DomainError as error:
            return self._back(request, endpoint, error.detail, messages.ERROR)
        self.log_change(request, endpoint, f"Called again with {count} that failed.")
        words = ngettext("%(count)d is called again.", "%(count)d are called again.", count)
        if count == endpoints.REPLAYED_AT_ONCE:
            words = f"{words} {gettext('There may be more: do it once more when they are out.')}"
        return self._back(request, endpoint, words % {"count": count}, messages.SUCCESS)

    @action(
        description=_("Switch on or off"),
        icon="power_settings_new",
        url_path="switch",
        permissions=["change"],
    )
    def switch(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.get_object(request, object_id)
        if endpoint is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        is_on = not endpoint.is_active
        if request.method != "POST":
            return self._confirm(
                request,
                endpoint,
                title=gettext("Switch on") if is_on else gettext("Switch off"),
                question=gettext("Switch this endpoint on?")
                if is_on
                else gettext("Switch this endpoint off?"),
                lines=[
                    gettext("What waited for it goes out, and its failures are forgotten.")
                    if is_on
                    else gettext("It hears nothing new, and what waits for it waits on.")
                ],
                button=gettext("Switch on") if is_on else gettext("Switch off"),
                danger=not is_on,
                fields=[("is_on", "1" if is_on else "")],
            )
        # What was confirmed is done, whoever else has switched it meanwhile.
        is_on = bool(request.POST.get("is_on"))
        endpoints.switch(endpoint, is_on=is_on, by=OPERATOR, now=timezone.now())
        self.log_change(request, endpoint, "Switched on." if is_on else "Switched off.")
        words = gettext("It is switched on.") if is_on else gettext("It is switched off.")
        return self._back(request, endpoint, words, messages.SUCCESS)

    @action(
        description=_("Rotate secret"),
        icon="autorenew",
        url_path="rotate",
        permissions=["rotate"],
    )
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.get_object(request, object_id)
        if endpoint is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if request.method != "POST":
            return self._confirm(
                request,
                endpoint,
                title=gettext("Rotate secret"),
                question=gettext("Give it a new secret?"),
                lines=[
                    gettext("It is shown once."),
                    gettext("Calls are signed with the old one, too, for one day."),
                ],
                button=gettext("Rotate secret"),
            )
        issued = endpoints.rotate_secret(endpoint, overlap=endpoints.OVERLAP, now=timezone.now())
        self.log_change(request, endpoint, "Secret rotated.")
        replaced = ""
        if issued.endpoint.old_secret_until is not None:
            until = timezone.localtime(issued.endpoint.old_secret_until)
            replaced = gettext("The old secret signs too until %(until)s.") % {
                "until": date_format(until, "DATETIME_FORMAT")
            }
        return self._show_once(request, issued, replaced=replaced)

    def _confirm(self, request: HttpRequest, endpoint: Any, **context: Any) -> HttpResponse:
        page = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "subtitle": f"{endpoint.application} · {endpoint.url}",
            "back_url": _page_of(endpoint),
        }
        return TemplateResponse(request, "core/confirm.html", page | context)

    def _back(self, request: HttpRequest, endpoint: Any, words: str, level: int) -> HttpResponse:
        self.message_user(request, words, level)
        return HttpResponseRedirect(_page_of(endpoint))


def _page_of(endpoint: Any) -> str:
    return reverse("admin:messaging_webhookendpoint_change", args=[endpoint.pk])

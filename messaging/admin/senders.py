import time
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.views import ChangeList

from core.labels import label
from messaging import hooks, senders
from messaging.admin.sender_form import Adapter, field_rows, form_for
from messaging.admin.sender_health import PoolList, health_of, quotas_of
from messaging.channels.registry import ADAPTERS, BUILT_IN
from messaging.models import ChannelChoices, Sender
from messaging.senders import SenderKind

STATE_COLORS = {
    SenderKind.ACTIVE: "success",
    SenderKind.RECOVERING: "info",
    SenderKind.BEING_TRIED: "warning",
    SenderKind.BENCHED: "danger",
    SenderKind.SPENT: "warning",
    SenderKind.SWITCHED_OFF: "",
}
LIMITS = [("per_minute", "per_hour"), ("per_day", "time_zone"), ("group", "max_connections")]
# A page must come back: no test is started later than this after the first one.
TEST_SECONDS = 15.0
ADAPTER_TITLES = {
    "smtp": _("SMTP: any mail server"),
    "anymail": _("HTTP API of an e-mail provider"),
    "aliyun_sms": _("Aliyun SMS"),
    "wecom_app": _("An application of WeChat Work"),
    "wecom_robot": _("A group robot of WeChat Work"),
    "wechat_official": _("WeChat Official Account"),
    "apprise": _("Chat services, by Apprise"),
}
NOTES = {
    "pause": _("It is switched off and gets no more messages."),
    "resume": _("It is switched on again."),
    "mend": _("Its failures are forgotten: it plays again at once."),
    "rotate": _("It has a new address for reports: enter it at the provider, the old one is gone."),
}


@admin.register(Sender)
class SenderAdmin(ModelAdmin):
    list_display = [
        *("name", "state", "last_hour", "quotas", "last_error"),
        *("from_address", "priority"),
    ]
    list_filter = ["is_active", "channel", "adapter", "group"]
    list_fullwidth = True
    search_fields = ["name", "from_address"]
    autocomplete_fields = ["applications", "group"]
    readonly_fields = ["channel", "adapter"]
    actions = ["test_selected", "pause_selected", "resume_selected", "mend_selected"]
    change_form_outer_before_template = "messaging/admin/sender_panel.html"

    def has_delete_permission(self, request: HttpRequest, obj: Sender | None = None) -> bool:
        """Messages and attempts name it: it is switched off instead."""
        return False

    # --- list ------------------------------------------------------------------------------------

    @display(description=_("state"))
    def state(self, sender: Any) -> str:
        return label(sender.line.words, STATE_COLORS[sender.line.kind])

    @display(description=_("last hour"))
    def last_hour(self, sender: Any) -> str:
        """ "98.5 % of 412"."""
        hour = sender.line.hour
        if hour.success_percent is None:
            return str(hour.attempts)
        words = gettext("%(percent)s %% of %(count)s")
        percent = number_format(hour.success_percent, 1)
        return words % {"percent": percent, "count": number_format(hour.attempts)}

    @display(description=_("quotas"))
    def quotas(self, sender: Any) -> str:
        shown = {"quotas": quotas_of(sender.line)}
        return render_to_string("messaging/admin/quota_list.html", shown)

    @display(description=_("last error"), empty_value="–")
    def last_error(self, sender: Any) -> str | None:
        error = sender.line.last_error
        if error is None:
            return None
        at = date_format(timezone.localtime(error.at), "Y-m-d H:i") if error.at else ""
        return f"{error.kind} {at}".strip()

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """To pause, resume, reset and test it; its settings and secrets are another matter."""
        return request.user.has_perm("messaging.operate_sender") or self.has_change_permission(
            request
        )

    @admin.action(description=_("Test connection"), permissions=["operate"])
    def test_selected(self, request: HttpRequest, queryset: QuerySet[Sender]) -> HttpResponse:
        return self._show_test(request, list(queryset), back=request.get_full_path())

    @admin.action(description=_("Pause"), permissions=["operate"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Sender]) -> None:
        self._do_all(request, queryset, "pause")

    @admin.action(description=_("Resume"), permissions=["operate"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Sender]) -> None:
        self._do_all(request, queryset, "resume")

    @admin.action(description=_("Put back into play"), permissions=["operate"])
    def mend_selected(self, request: HttpRequest, queryset: QuerySet[Sender]) -> None:
        self._do_all(request, queryset, "mend")

    def _do_all(self, request: HttpRequest, queryset: QuerySet[Sender], deed: str) -> None:
        for sender in queryset:
            self._do(request, sender, deed)

    # --- form ------------------------------------------------------------------------------------

    def add_view(self, request, form_url="", extra_context=None):
        if request.GET.get("adapter") in ADAPTERS.keys() - BUILT_IN:
            return super().add_view(request, form_url, extra_context)
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Add sender"),
            "adapters": [
                {
                    "url": f"?adapter={adapter.name}",
                    "title": ADAPTER_TITLES.get(adapter.name, adapter.name),
                    "channel": ChannelChoices(adapter.channel.value).label,
                    "needs": ", ".join(gettext(o.label) for o in adapter.options if o.is_required),
                }
                for adapter in ADAPTERS.values()
                if adapter.name not in BUILT_IN
            ],
        }
        return TemplateResponse(request, "messaging/admin/choose_adapter.html", context)

    def change_view(self, request, object_id, form_url="", extra_context=None):
        sender = self.get_object(request, object_id)
        if sender is not None and self.has_view_permission(request, sender):
            health = health_of(sender, now=timezone.now())
            line = health["line"]
            extra_context = (extra_context or {}) | {
                **health,
                "state_color": STATE_COLORS[line.kind],
                "is_recovering": line.kind == SenderKind.RECOVERING,
                "may_operate": self.has_operate_permission(request, sender),
                "messages_url": self._list_url(request, "message", sender),
                "attempts_url": self._list_url(request, "attempt", sender),
                "moves_url": self._list_url(request, "sendermove", sender),
                "applications": sender.applications.all(),
                "is_lost": senders.stored_secrets(sender) is None,
                "is_silent": not hooks.takes_reports(sender) and sender.adapter not in BUILT_IN,
                "hook_url": self._hook_url(request, sender),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    def _list_url(self, request: HttpRequest, model: str, sender: Sender) -> str:
        """Narrowed to it; empty for who may not look."""
        if not request.user.has_perm(f"messaging.view_{model}"):
            return ""
        return f"{reverse(f'admin:messaging_{model}_changelist')}?sender={sender.pk}"

    def _hook_url(self, request: HttpRequest, sender: Sender) -> str:
        """Only for who may change it: whoever knows the address may be able to report."""
        if not (hooks.takes_reports(sender) and self.has_change_permission(request, sender)):
            return ""
        path_ = reverse("provider-report", args=[hooks.hook_token(sender)])
        return request.build_absolute_uri(path_)

    def get_form(self, request, obj=None, change=False, **kwargs):
        adapter, stored = _adapter_and_secrets(request, obj)
        kwargs["form"] = form_for(adapter, stored=stored)
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Sender | None = None) -> Any:
        adapter, stored = _adapter_and_secrets(request, obj)
        # Who may only look sees no fields of the adapter: they are fields of the form.
        may_write = self.has_change_permission(request, obj) or obj is None
        account = field_rows(adapter, stored=stored) if may_write else []
        is_email = adapter is None or adapter.channel == ChannelChoices.EMAIL
        identity = [("from_address", "from_name")] if is_email else []
        return [
            (None, {"fields": ["name", *identity, ("channel", "adapter")]}),
            *([(_("Account"), {"fields": account})] if account else []),
            (_("Choice"), {"fields": ["is_active", ("priority", "weight"), "applications"]}),
            (_("Limits"), {"fields": LIMITS}),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PoolList

    def save_model(self, request: HttpRequest, obj: Sender, form: Any, change: bool) -> None:
        senders.save_sender(obj, credentials=form.credentials)

    # --- buttons ---------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        doing = self.admin_site.admin_view(require_POST(self.do))
        testing = self.admin_site.admin_view(require_POST(self.test))
        return [
            path("<int:pk>/test/", testing, name="messaging_sender_test"),
            path("<int:pk>/<str:deed>/now/", doing, name="messaging_sender_do"),
            *super().get_urls(),
        ]

    def test(self, request: HttpRequest, pk: int) -> HttpResponse:
        sender = self._operable(request, pk)
        return self._show_test(request, [sender], back=_change_url(sender))

    def do(self, request: HttpRequest, pk: int, deed: str) -> HttpResponse:
        sender = self._operable(request, pk)
        if deed not in NOTES:
            raise Http404
        # The address is as good as a secret of its settings.
        if deed == "rotate" and not self.has_change_permission(request, sender):
            raise PermissionDenied
        self._do(request, sender, deed)
        return HttpResponseRedirect(_change_url(sender))

    def _operable(self, request: HttpRequest, pk: int) -> Sender:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        sender = Sender.objects.filter(pk=pk).first()
        if sender is None:
            raise Http404
        return sender

    def _do(self, request: HttpRequest, sender: Sender, deed: str) -> None:
        words = f"{sender}: {NOTES[deed]}"
        if deed == "pause" and sender.is_active and (bound := senders.messages_bound_to(sender)):
            words = f"{words} {_bound_words(bound)}"
        if deed == "mend":
            senders.put_back_into_play(sender)
        elif deed == "rotate":
            hooks.renew_hook(sender)
        else:
            senders.switch_sender(sender, is_active=deed == "resume")
        self.log_change(request, sender, f"{deed.capitalize()}.")
        self.message_user(request, words, messages.SUCCESS)

    def _show_test(self, request: HttpRequest, chosen: list[Sender], *, back: str) -> HttpResponse:
        """No transaction is open here: a server that does not answer holds no lock."""
        started = time.monotonic()
        tests = []
        for sender in chosen:
            in_time = time.monotonic() - started < TEST_SECONDS
            steps = list(senders.probe_sender(sender)) if in_time else []
            is_ok = bool(steps) and all(step.is_ok for step in steps)
            if steps:
                self.log_change(request, sender, "Tested: it works." if is_ok else "Tested.")
            tests.append((sender, steps, is_ok))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Test connection"),
            "tests": tests,
            "back_url": back,
        }
        return TemplateResponse(request, "messaging/admin/test_result.html", context)


def _bound_words(count: int) -> str:
    if count >= senders.WAITING_LOOKED_AT:
        return gettext("%(count)s messages or more can go by it only: they wait for it.") % {
            "count": number_format(count)
        }
    words = ngettext(
        "%(count)s message can go by it only: it waits for it.",
        "%(count)s messages can go by it only: they wait for it.",
        count,
    )
    return words % {"count": number_format(count)}


def _adapter_and_secrets(
    request: HttpRequest, sender: Sender | None
) -> tuple[Adapter | None, frozenset[str]]:
    if sender is None:
        return ADAPTERS.get(request.GET.get("adapter", "")), frozenset()
    return ADAPTERS.get(sender.adapter), senders.stored_secrets(sender) or frozenset()


def _change_url(sender: Sender) -> str:
    return reverse("admin:messaging_sender_change", args=[sender.pk])

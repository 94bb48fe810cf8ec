import json
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import keys, usage
from accounts.forms import CAPS, LIMITS, ApiKeyForm, ApplicationForm, RightsField
from accounts.lists import ApplicationList, KeyStateFilter, with_keys
from accounts.models import ApiKey, Application, User
from core.errors import DomainError
from core.labels import label

# How long a key goes on after it was rotated.
OVERLAP = timedelta(days=1)
STATE_COLORS = {
    "valid": "success",
    "expired": "warning",
    "switched_off": "warning",
    "revoked": "danger",
}

# The newest keys of an application stand on its page.
SHOWN_KEYS = 20

admin.site.unregister(Group)


def state_labels(key: ApiKey) -> str:
    """Its state, and what somebody should look at."""
    now = timezone.now()
    words = {
        "valid": gettext("valid"),
        "expired": gettext("expired"),
        "switched_off": gettext("application switched off"),
        "revoked": gettext("revoked"),
    }
    concerns = {
        "expiring": gettext("expires soon"),
        "unused": gettext("not used for %(days)s days") % {"days": keys.UNUSED_FOR.days},
    }
    state, concern = keys.state_of(key, now=now), keys.concern_of(key, now=now)
    labels = [label(words[state], STATE_COLORS[state])]
    if concern:
        labels.append(label(concerns[concern], "warning"))
    return format_html_join(" ", "{}", ((each,) for each in labels))


class RightsMixin:
    """Offers the rights to what the admin shows."""

    admin_site: Any

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        if db_field.remote_field.model is Permission:
            shown = [model for model in apps.get_models() if self.admin_site.is_registered(model)]
            kinds = ContentType.objects.get_for_models(*shown).values()
            kwargs["queryset"] = Permission.objects.filter(content_type__in=kinds)
            kwargs["form_class"] = RightsField
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]


@admin.register(User)
class UserAdmin(RightsMixin, DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_filter = ["is_active", "is_staff", "is_superuser"]

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Histories name them: they are switched off instead."""
        return False


@admin.register(Group)
class GroupAdmin(RightsMixin, DjangoGroupAdmin, ModelAdmin):
    pass


ABOUT_APPLICATION = [
    *("name", "description", "is_active", "dedupe_seconds", "allowed_recipients"),
    *("default_region", "allowed_countries"),
]


@admin.register(Application)
class ApplicationAdmin(ModelAdmin):
    list_display = ["name", "description", "is_active", "use", "key_count", "last_used"]
    list_fullwidth = True
    change_form_outer_before_template = "accounts/application_panel.html"
    list_filter = ["is_active"]
    search_fields = ["name"]
    form = ApplicationForm
    add_fieldsets = [(None, {"fields": ABOUT_APPLICATION}), LIMITS, CAPS]
    fieldsets = [
        (None, {"fields": [*ABOUT_APPLICATION, "created_at"]}),
        LIMITS,
        CAPS,
    ]
    readonly_fields = ["created_at"]

    def get_fieldsets(self, request: HttpRequest, obj: Application | None = None) -> Any:
        return self.fieldsets if obj is not None else self.add_fieldsets

    def get_queryset(self, request: HttpRequest) -> QuerySet[Application]:
        return with_keys(super().get_queryset(request))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ApplicationList]:
        return ApplicationList

    @display(description=_("messages today"))
    def use(self, application: Any) -> str:
        return render_to_string("accounts/use.html", {"use": application.use})

    @display(description=_("valid keys"))
    def key_count(self, application: Any) -> str:
        return str(application.valid_keys) if application.valid_keys else label("0", "warning")

    @display(description=_("last use"), empty_value="–")
    def last_used(self, application: Any) -> Any:
        return application.last_use

    def change_view(self, request, object_id, form_url="", extra_context=None):
        application = self.get_object(request, object_id)
        if application is not None and self.has_view_permission(request, application):
            extra_context = (extra_context or {}) | self._panel(request, application)
        return super().change_view(request, object_id, form_url, extra_context)

    def _panel(self, request: HttpRequest, application: Application) -> dict[str, Any]:
        """Keys and links are for whom they do not end in a refusal."""
        now, user = timezone.now(), request.user
        shown: list[Any] = []
        may_see_keys = user.has_perm("accounts.view_apikey")
        if may_see_keys:
            rows = application.api_keys.select_related("application").order_by("-pk")
            shown = [(key, state_labels(key)) for key in rows[:SHOWN_KEYS]]
        messages_url = ""
        if user.has_perm("messaging.view_message"):
            messages_url = reverse("admin:messaging_message_changelist")
        return {
            "use": usage.use_of([application], now=now)[application.pk],
            "spans": [
                (_("Last 24 hours"), usage.span_of(application, usage.DAY, now=now)),
                (_("Last 30 days"), usage.span_of(application, usage.MONTH, now=now)),
            ],
            "limits": usage.limits_in_words(application),
            "keys": shown,
            "may_see_keys": may_see_keys,
            "has_more_keys": len(shown) == SHOWN_KEYS,
            "may_add_key": user.has_perm("accounts.add_apikey"),
            "messages_url": messages_url,
        }

    def has_delete_permission(self, request: HttpRequest, obj: Application | None = None) -> bool:
        """Its keys and messages would have to go with it: it is switched off instead."""
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    form = ApiKeyForm
    list_display = ["key_id", "application", "name", "kind", "state", "last_used_at", "expires_at"]
    list_filter = [KeyStateFilter, "kind", "application"]
    list_fullwidth = True
    list_before_template = "accounts/keys_empty.html"
    list_select_related = ["application"]
    search_fields = ["key_id", "name", "application__name"]
    autocomplete_fields = ["application"]
    actions_detail = ["rotate", "revoke"]
    add_fieldsets = [
        (None, {"fields": ["application", "name", "kind"]}),
        (_("Rights"), {"fields": ["scopes", "allowed_networks", "expires_at"]}),
    ]
    fieldsets = [
        (None, {"fields": ["key_id", "application", "kind", "name", "state"]}),
        (_("Rights"), {"fields": ["scopes", "allowed_networks", "expires_at"]}),
        (
            _("History"),
            {"fields": ["created_at", "last_used_at", "revoked_at", "replaces", "successor"]},
        ),
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        if obj is None:
            return []
        return [
            *("key_id", "application", "kind", "state"),
            *("created_at", "last_used_at", "revoked_at", "replaces", "successor"),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).select_related("application", "replaced_by")

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Messages name it: it is revoked instead."""
        return False

    def has_rotate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Not by name in `permissions`: the theme would look it up in the database on every check,
        # and a fresh one has no tables yet.
        return self.has_change_permission(request) and self.has_add_permission(request)

    @display(description=_("state"))
    def state(self, key: ApiKey) -> str:
        return state_labels(key)

    @display(description=_("replaced by"), empty_value="-")
    def successor(self, key: ApiKey) -> str | None:
        replaced_by = getattr(key, "replaced_by", None)
        return replaced_by.key_id if replaced_by else None

    def render_change_form(self, request, context, *args, **kwargs):
        if kwargs.get("add"):
            # The page after saving is the secret's; there is no going on from it.
            context |= {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, *args, **kwargs)

    # --- the secret, once ------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if not change:
            # On the object only, for `response_add` of this very request.
            obj.issued_secret = keys.give_secret(obj)  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._show_once(request, keys.IssuedKey(obj, obj.issued_secret))  # type: ignore[attr-defined]

    def _show_once(
        self, request: HttpRequest, issued: keys.IssuedKey, *, replaced: str = ""
    ) -> HttpResponse:
        """The secret goes into this response and nowhere else."""
        body = json.dumps({"api_key": issued.key.key_id, "api_secret": issued.secret})
        url = request.build_absolute_uri(reverse("token"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("New API key"),
            "key": issued.key,
            "secret": issued.secret,
            "call": f"curl -X POST {url} -H 'Content-Type: application/json' -d '{body}'",
            "call_label": gettext("A first call"),
            "replaced": replaced,
            "back_url": reverse("admin:accounts_apikey_change", args=[issued.key.pk]),
        }
        return TemplateResponse(
            request,
            "accounts/secret.html",
            context,
            headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
        )

    # --- rotate, revoke --------------------------------------------------------------------------

    @action(
        description=_("Rotate"),
        icon="autorenew",
        url_path="rotate",
        permissions=["rotate"],
    )
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.get_object(request, object_id)
        if key is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if request.method != "POST":
            return self._confirm(
                request,
                key,
                title=gettext("Rotate key"),
                question=gettext("Issue a successor of this key?"),
                lines=[
                    gettext("It gets the same rights, and its secret is shown once."),
                    gettext("The old key goes on for one day, so that callers can be changed."),
                ],
                button=gettext("Rotate"),
            )
        try:
            issued = keys.rotate_key(key=key, overlap=OVERLAP, now=timezone.now())
        except DomainError as error:
            return self._back(request, key, error.detail, messages.ERROR)
        self.log_addition(request, issued.key, [{"added": {}}])
        self.log_change(request, key, f"Rotated; its successor is {issued.key}.")
        key.refresh_from_db()
        replaced = gettext("The old key %(key)s works until %(until)s.") % {
            "key": key.key_id,
            "until": date_format(timezone.localtime(key.expires_at), "DATETIME_FORMAT"),
        }
        return self._show_once(request, issued, replaced=replaced)

    @action(
        description=_("Revoke"),
        icon="block",
        url_path="revoke",
        permissions=["change"],
        variant=ActionVariant.DANGER,
    )
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self.get_object(request, object_id)
        if key is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if request.method != "POST":
            return self._confirm(
                request,
                key,
                title=gettext("Revoke key"),
                question=gettext("End this key and all its tokens at once?"),
                lines=[gettext("This cannot be taken back. Its messages stay.")],
                button=gettext("Revoke"),
                danger=True,
            )
        if not keys.revoke_key(key=key, now=timezone.now()):
            return self._back(request, key, gettext("It was revoked before."), messages.WARNING)
        self.log_change(request, key, "Revoked.")
        return self._back(request, key, gettext("The key is revoked."), messages.SUCCESS)

    def _confirm(self, request: HttpRequest, key: ApiKey, **context: Any) -> HttpResponse:
        page = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "subtitle": f"{key.application} · {key.name} · {key.key_id}",
            "back_url": reverse("admin:accounts_apikey_change", args=[key.pk]),
        }
        return TemplateResponse(request, "core/confirm.html", page | context)

    def _back(self, request: HttpRequest, key: ApiKey, words: str, level: int) -> HttpResponse:
        self.message_user(request, words, level)
        return HttpResponseRedirect(reverse("admin:accounts_apikey_change", args=[key.pk]))

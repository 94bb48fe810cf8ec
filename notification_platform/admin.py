"""Who did what, and who is locked out: pages that look at every app."""

from typing import Any

from axes.models import AccessAttempt
from django.apps import apps
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts import audit, lockouts
from accounts.models import Action, AuditEntry, User
from core.labels import label
from messaging.admin.bulk_words import PERIODS
from messaging.admin.reading import ChoiceFilter, ReadOnlyAdmin
from messaging.selection import PERIODS as LENGTHS

# What it is called above its pages and in the list of rights.
apps.get_app_config("axes").verbose_name = _("Access")

SENTENCES: dict[str, Any] = {
    Action.LOGGED_IN: _("%(who)s logged in"),
    Action.LOGGED_OUT: _("%(who)s logged out"),
    Action.LOGIN_FAILED: _("Somebody failed to log in as %(who)s"),
    Action.CODE_REFUSED: _("Somebody with the password of %(who)s gave a wrong code"),
    Action.LOCKED_OUT: _("%(who)s was locked out"),
}
COLORS: dict[str, str] = {
    **dict.fromkeys(
        (Action.LOGIN_FAILED, Action.CODE_REFUSED, Action.LOCKED_OUT, Action.DELETED), "danger"
    ),
    **dict.fromkeys((Action.REVOKED, Action.PAUSED, Action.SECOND_FACTOR_REMOVED), "warning"),
    **dict.fromkeys((Action.ADDED, Action.PUBLISHED), "success"),
}


class OperatorFilter(ChoiceFilter):
    title = _("operator")
    parameter_name = "operator"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(pk), name) for pk, name in User.objects.values_list("pk", "username")]

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(operator=value)


class ActionFilter(ChoiceFilter):
    title = _("action")
    parameter_name = "action"
    choices_shown = Action.choices

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(action=value)


class ObjectTypeFilter(ChoiceFilter):
    title = _("kind of object")
    parameter_name = "object_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """What has a page here can have entries."""
        names = [(kind, _named(kind)) for kind in _kinds()]
        return sorted(names, key=lambda one: one[1])

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(object_type=value)


class PeriodFilter(ChoiceFilter):
    title = _("time")
    parameter_name = "period"
    choices_shown = list(PERIODS.items())

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(at__gte=timezone.now() - LENGTHS[value])


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["when", "sentence", "what", "by_whom"]
    list_display_links = ["when"]
    list_select_related = ["api_key__application"]
    list_filter = [OperatorFilter, ActionFilter, ObjectTypeFilter, PeriodFilter]
    list_fullwidth = True
    search_help_text = _("Id of an object, a username or the id of an API key, exactly")
    fields = ["when", "sentence", "by_whom", "what", "of_object", "told", "request_id"]

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        """Each way by an index of its own. `messaging.sender:5` is what the pages link to."""
        if "\0" in text:
            return queryset.none()
        kind, _, pk = text.partition(":")
        if kind in _kinds():
            return queryset.filter(object_type=kind, object_id=pk)
        by_actor = queryset.filter(actor=text)
        if by_actor.exists():
            return by_actor
        return queryset.filter(object_type__in=_kinds(), object_id=text)

    @display(description=_("at"))
    def when(self, entry: AuditEntry) -> str:
        return date_format(timezone.localtime(entry.at), "Y-m-d H:i:s")

    @display(description=_("what happened"))
    def sentence(self, entry: AuditEntry) -> str:
        words = SENTENCES.get(entry.action)
        if words is not None:
            return str(words) % {"who": entry.actor}
        if not entry.object_type:
            return gettext("%(who)s: %(action)s") % {
                "who": entry.actor,
                "action": _action_words(entry),
            }
        return gettext("%(who)s: %(action)s, %(kind)s %(object)s") % {
            "who": entry.actor,
            "action": _action_words(entry),
            "kind": _named(entry.object_type),
            "object": entry.object_label,
        }

    @display(description=_("action"))
    def what(self, entry: AuditEntry) -> str:
        return label(_action_words(entry), COLORS.get(entry.action, ""))

    @display(description=_("by"))
    def by_whom(self, entry: AuditEntry) -> str:
        if entry.api_key is not None:
            words = gettext("API key of %(application)s")
            return words % {"application": entry.api_key.application}
        return entry.get_by_display()

    @display(description=_("object"), empty_value="-")
    def of_object(self, entry: AuditEntry) -> str | None:
        if not entry.object_id:
            return None
        words = f"{_named(entry.object_type)} {entry.object_label} ({entry.object_id})"
        try:
            name = f"admin:{entry.object_type.replace('.', '_')}_change"
            url = reverse(name, args=[entry.object_id])
        except NoReverseMatch:
            return words
        return format_html('<a class="text-link" href="{}">{}</a>', url, words)

    @display(description=_("details"), empty_value="-")
    def told(self, entry: AuditEntry) -> str | None:
        shown = [
            f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
            for name, value in entry.details.items()
        ]
        return "; ".join(shown) or None


def _kinds() -> list[str]:
    """Of what has a page here."""
    shown = [model for model in apps.get_models() if admin.site.is_registered(model)]
    return [audit.type_of(model) for model in shown]


def _action_words(entry: AuditEntry) -> str:
    """Words that a later version wrote are shown as they are."""
    known = entry.action in Action.values
    return str(Action(entry.action).label) if known else entry.action


def _named(object_type: str) -> str:
    try:
        return str(apps.get_model(object_type)._meta.verbose_name)
    except (LookupError, ValueError):
        return object_type


@admin.register(AccessAttempt)
class LockoutAdmin(ReadOnlyAdmin):
    """Failed logins that still count; enough of them lock out."""

    list_display = ["username", "ip_address", "failures_since_start", "last_at", "state"]
    list_display_links = None
    actions = ["let_in"]
    search_help_text = _("A username, exactly")
    fields = ["username", "ip_address", "failures_since_start", "last_at", "state"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        since = timezone.now() - settings.AXES_COOLOFF_TIME
        # What is posted and which browser it was concerns nobody here.
        rows = super().get_queryset(request).filter(attempt_time__gte=since)
        return rows.defer("post_data", "get_data", "http_accept")

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.none() if "\0" in text else queryset.filter(username=text)

    @display(description=_("last at"))
    def last_at(self, row: AccessAttempt) -> str:
        return date_format(timezone.localtime(row.attempt_time), "Y-m-d H:i:s")

    @display(description=_("state"))
    def state(self, row: AccessAttempt) -> str:
        end = lockouts.ends_at(row.username, row.ip_address)
        if end is None:
            return label(gettext("not locked out"))
        until = date_format(timezone.localtime(end), "Y-m-d H:i:s")
        return label(gettext("locked out until %(until)s") % {"until": until}, "danger")

    def has_let_in_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("axes.delete_accessattempt"))

    @admin.action(description=_("Let in again"), permissions=["let_in"])
    def let_in(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        if not self.has_let_in_permission(request):
            raise PermissionDenied
        by = audit.of_request(request)
        for username in set(queryset.values_list("username", flat=True)):
            lockouts.lift(username, by=by)
            words = gettext("The failures of %(username)s are forgotten.")
            self.message_user(request, words % {"username": username}, messages.SUCCESS)

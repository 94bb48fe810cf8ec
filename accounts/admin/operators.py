"""Operators and groups: who may hand out what."""

from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts import audit, second_factor
from accounts.audited import AuditedAdmin
from accounts.forms import RightsField
from accounts.models import SecondFactor, User

admin.site.unregister(Group)

# What only a superuser may hand out: with it somebody could give themselves everything.
SUPERUSERS_ONLY = ("is_superuser", "user_permissions")


def rights_beyond(user: Any, permissions: Any) -> bool:
    """Whether some of `permissions` are not `user`'s own."""
    if user.is_superuser:
        return False
    rows = permissions.select_related("content_type").values_list(
        "content_type__app_label", "codename"
    )
    return not {f"{app}.{name}" for app, name in rows} <= user.get_all_permissions()


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


class OperatorForm(UserChangeForm):
    """Groups with rights that the editor has not are not the editor's to give or to take."""

    editor: Any = None

    def clean_groups(self) -> Any:
        chosen = self.cleaned_data["groups"]
        changed = set(chosen) ^ set(self.instance.groups.all())
        for group in changed:
            if rights_beyond(self.editor, group.permissions.all()):
                raise ValidationError(
                    _("%(group)s has rights that you do not have."), params={"group": group}
                )
        return chosen


@admin.register(User)
class UserAdmin(RightsMixin, DjangoUserAdmin, AuditedAdmin):
    form = OperatorForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = [
        "username",
        "first_name",
        "last_name",
        "roles",
        "has_second_factor",
        "is_active",
    ]
    list_filter = ["is_active", "is_staff", "is_superuser", "groups"]
    list_select_related = ["second_factor"]
    # Two lists side by side are wider than the page.
    filter_horizontal = ()
    actions_detail = ["remove_second_factor"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Histories name them: they are switched off instead."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Nobody changes who may do more: not their rights, not their password."""
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or may_change(request.user, obj)

    def get_form(self, request, obj=None, change=False, **kwargs):
        form = super().get_form(request, obj, change=change, **kwargs)
        form.editor = request.user  # type: ignore[attr-defined]
        return form

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        kept = [] if request.user.is_superuser else SUPERUSERS_ONLY
        return [*super().get_readonly_fields(request, obj), *kept]

    def user_change_password(self, request, id, form_url=""):
        # Django asks whether the editor may change operators, and not whether this one.
        user = self.get_object(request, id)
        if user is not None and not self.has_change_permission(request, user):
            raise PermissionDenied
        return super().user_change_password(request, id, form_url)

    @admin.display(description=_("groups"))
    def roles(self, user: User) -> str:
        if user.is_superuser:
            return gettext("all rights")
        return ", ".join(group.name for group in user.groups.all()) or "–"

    @admin.display(description=_("second factor"), boolean=True)
    def has_second_factor(self, user: User) -> bool:
        factor: SecondFactor | None = getattr(user, "second_factor", None)
        return factor is not None and factor.confirmed

    # --- a lost phone ----------------------------------------------------------------------------

    def has_remove_second_factor_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if not self.has_change_permission(request):
            return False
        if obj is None:
            return True
        user = obj if isinstance(obj, User) else User.objects.filter(pk=obj).first()
        return user is not None and may_change(request.user, user) and _has_factor(user)

    @action(
        description=_("Remove second factor"),
        icon="phonelink_erase",
        url_path="remove-second-factor",
        permissions=["remove_second_factor"],
        variant=ActionVariant.DANGER,
    )
    def remove_second_factor(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user = self.get_object(request, object_id)
        if user is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        page = reverse("admin:accounts_user_change", args=[user.pk])
        if request.method == "POST":
            if second_factor.remove(user, by=audit.of_request(request)):
                words = gettext("The second factor of %(user)s is removed.") % {"user": user}
                self.message_user(request, words, messages.SUCCESS)
            return HttpResponseRedirect(page)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Remove second factor"),
            "subtitle": str(user),
            "question": gettext("Let %(user)s in by the password alone?") % {"user": user},
            "lines": [
                gettext("For a lost phone. Make sure that it is really they who ask."),
                gettext("They can set up a new one afterwards, and have to if it is required."),
            ],
            "button": gettext("Remove second factor"),
            "danger": True,
            "back_url": page,
        }
        return TemplateResponse(request, "core/confirm.html", context)


def may_change(editor: Any, user: User) -> bool:
    """Who may do more than the editor is not the editor's to change."""
    if editor.is_superuser:
        return True
    return not user.is_superuser and user.get_all_permissions() <= editor.get_all_permissions()


def _has_factor(user: User) -> bool:
    return second_factor.factor_of(user) is not None


class GroupForm(forms.ModelForm):
    editor: Any = None

    def clean_permissions(self) -> Any:
        chosen = self.cleaned_data["permissions"]
        had = set(self.instance.permissions.all()) if self.instance.pk else set()
        changed = Permission.objects.filter(pk__in=[row.pk for row in set(chosen) ^ had])
        if rights_beyond(self.editor, changed):
            raise ValidationError(_("You can give and take only rights that you have."))
        return chosen


@admin.register(Group)
class GroupAdmin(RightsMixin, DjangoGroupAdmin, AuditedAdmin):  # type: ignore[misc]
    form = GroupForm

    def get_form(self, request, obj=None, change=False, **kwargs):
        form = super().get_form(request, obj, change=change, **kwargs)
        form.editor = request.user  # type: ignore[attr-defined]
        return form

"""Templates: their list, and the page of one with its versions."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from accounts.audited import AuditedAdmin
from core.errors import DomainError
from core.labels import label
from templates_app import publishing
from templates_app.admin.deeds import DeedsMixin
from templates_app.admin.pages import author_of
from templates_app.admin.publishing import PUBLISH
from templates_app.admin.versions import state_of
from templates_app.models import Template, TemplateVersion
from templates_app.publishing import Draft
from templates_app.source import Source

IDENTITY = ["code", "locale", "channel", "application"]


class ArchivedFilter(SimpleListFilter):
    """Without a choice, the archived ones are out of the way."""

    title = _("archived")
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Only archived")), ("all", _("With archived"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset
        return queryset.filter(archived_at__isnull=self.value() != "yes")


class OwnerFilter(SimpleListFilter):
    title = _("owner")
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        owners = Template.objects.filter(application__isnull=False)
        named = owners.order_by("application__name").values_list(
            "application_id", "application__name"
        )
        return [
            ("shared", _("Shared by all")),
            *dict.fromkeys((str(pk), name) for pk, name in named),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        if value == "shared":
            return queryset.filter(application__isnull=True)
        return queryset.filter(application_id=int(value)) if value.isdecimal() else queryset


@admin.register(Template)
class TemplateAdmin(DeedsMixin, AuditedAdmin):
    list_display = ["code", "locale_shown", "name", "channel", "owner", "current", "updated_at"]
    list_display_links = ["code", "name"]
    list_select_related = ["application", "current_version"]
    list_filter = ["channel", "locale", OwnerFilter, ArchivedFilter]
    list_fullwidth = True
    search_fields = ["code", "name", "description"]
    autocomplete_fields = ["application"]
    actions_detail = ["duplicate", "archive", "restore"]
    change_form_outer_before_template = "templates_app/versions.html"
    fieldsets = [
        (None, {"fields": [("code", "locale"), ("channel", "application"), "name", "description"]}),
        (
            _("Its messages, unless a request says otherwise"),
            {"fields": [("priority", "policy"), ("lifetime_seconds", "dedupe_seconds")]},
        ),
    ]

    class Media:
        css = {"all": ["templates_app/editor.css"]}

    def get_readonly_fields(self, request: HttpRequest, obj: Template | None = None) -> Any:
        """Callers name it by these: another name is another template."""
        return IDENTITY if obj is not None else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Messages name its versions: it is archived instead."""
        return False

    # --- list ------------------------------------------------------------------------------------

    @display(description=_("language"), ordering="locale")
    def locale_shown(self, template: Template) -> str:
        return template.locale or gettext("every")

    @display(description=_("owner"), ordering="application__name")
    def owner(self, template: Template) -> str:
        return str(template.application or gettext("shared"))

    @display(description=_("current version"))
    def current(self, template: Template) -> str:
        if template.archived_at is not None:
            return label(gettext("archived"))
        if template.current_version is None:
            return label(gettext("not published"), "warning")
        return label(template.current_version.number, "success")

    # --- one template ----------------------------------------------------------------------------

    def add_view(self, request, form_url="", extra_context=None):
        try:
            return super().add_view(request, form_url, extra_context)
        except DomainError as error:
            # Somebody else took the code between the check of the form and the row.
            self.message_user(request, error.detail, messages.ERROR)
            return HttpResponseRedirect(reverse("admin:templates_app_template_changelist"))

    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: bool) -> None:
        if change:
            obj.updated_at = timezone.now()
            super().save_model(request, obj, form, change)
            return
        publishing.create_template(
            obj,
            draft=Draft(source=Source.empty(obj.channel)),
            by=author_of(request),
            now=timezone.now(),
        )

    def response_add(
        self, request: HttpRequest, obj: Template, post_url_continue: str | None = None
    ) -> HttpResponse:
        """A new template has an empty draft, and to write it is what one came for."""
        version = obj.versions.get()
        self.message_user(request, gettext("The template is there. Write its first version."))
        return HttpResponseRedirect(self.version_url(version))

    def change_view(self, request, object_id, form_url="", extra_context=None):
        template = self.get_object(request, object_id)
        if template is not None and self.has_view_permission(request, template):
            extra_context = (extra_context or {}) | self._told(request, template)
        return super().change_view(request, object_id, form_url, extra_context)

    def _told(self, request: HttpRequest, template: Template) -> dict[str, Any]:
        versions = list(template.versions.select_related("template").order_by("-number"))
        may_publish = request.user.has_perm(PUBLISH) and template.archived_at is None
        return {
            "may_edit": self.may_draft(request),
            "has_current": template.current_version_id is not None,
            "draft_url": reverse("admin:templates_app_template_draft", args=[template.pk]),
            "compare_url": self._compare_url(template, versions),
            "version_rows": [
                {
                    "version": version,
                    "label": label(*state_of(version)),
                    "is_draft": not version.is_published,
                    "at": version.published_at or version.updated_at,
                    "url": self.version_url(version),
                    "roll_back_url": (
                        self._roll_back_url(version)
                        if may_publish
                        and version.is_published
                        and version.pk != template.current_version_id
                        else ""
                    ),
                }
                for version in versions
            ],
        }

    def _compare_url(self, template: Template, versions: list[TemplateVersion]) -> str:
        if len(versions) < 2:
            return ""
        url = reverse("admin:templates_app_template_compare", args=[template.pk])
        return f"{url}?before={versions[1].number}&after={versions[0].number}"

    def _roll_back_url(self, version: TemplateVersion) -> str:
        args = [version.template_id, version.number]
        return reverse("admin:templates_app_template_roll_back", args=args)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        prefix = "templates_app_template"
        return [
            path("<int:pk>/draft/", wrap(self.draft), name=f"{prefix}_draft"),
            path("<int:pk>/compare/", wrap(self.compare), name=f"{prefix}_compare"),
            path(
                "<int:pk>/roll-back/<int:number>/",
                wrap(self.roll_back),
                name=f"{prefix}_roll_back",
            ),
            *super().get_urls(),
        ]

    # --- buttons ---------------------------------------------------------------------------------

    def has_duplicate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request)

    def has_archive_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_change_permission(request) and self._is_archived(object_id) is not True

    def has_restore_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_change_permission(request) and self._is_archived(object_id) is not False

    def _is_archived(self, object_id: Any) -> bool | None:
        if object_id is None:
            return None
        pk = getattr(object_id, "pk", object_id)
        found = Template.objects.filter(pk=pk).values_list("archived_at", flat=True).first()
        return found is not None

    @action(
        description=_("Duplicate as new"),
        icon="content_copy",
        url_path="duplicate",
        permissions=["duplicate"],
    )
    def duplicate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.make_copy(request, object_id)

    @action(
        description=_("Archive"),
        icon="archive",
        url_path="archive",
        permissions=["archive"],
        variant=ActionVariant.DANGER,
    )
    def archive(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.put_away(request, object_id)

    @action(
        description=_("Restore"),
        icon="unarchive",
        url_path="restore",
        permissions=["restore"],
    )
    def restore(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.put_away(request, object_id, back=True)

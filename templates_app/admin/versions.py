"""The editor: a draft to be written beside its preview, or a published text to be read."""

import json
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect
from unfold.decorators import display

from accounts.audited import AuditedAdmin
from core.errors import DomainError
from core.labels import label
from core.vocabulary import Channel
from templates_app.admin.editor_words import editor_words
from templates_app.admin.pages import all_words, author_of, show_page, shown_time
from templates_app.admin.publishing import PublishMixin
from templates_app.admin.trying import TryMixin
from templates_app.drafts import StaleDraft, revision_of, save_over
from templates_app.forms import DraftForm, fields_of
from templates_app.models import TemplateVersion
from templates_app.source import TEMPLATED
from templates_app.uses import uses


@admin.register(TemplateVersion)
class TemplateVersionAdmin(PublishMixin, TryMixin, AuditedAdmin):
    list_display = ["of_template", "number", "state", "change_note", "author_name", "updated_at"]
    list_filter = ["status", "body_format"]
    list_select_related = ["template", "template__current_version"]
    search_fields = ["template__code", "template__name", "change_note"]
    ordering = ["-pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TemplateVersion]:
        return super().get_queryset(request).select_related("template__application")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Drafts are made from their template's page."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What is published stays; a draft is discarded on a page of its own."""
        return False

    @display(description=_("template"), ordering="template__code")
    def of_template(self, version: TemplateVersion) -> str:
        return str(version.template)

    @display(description=_("state"))
    def state(self, version: TemplateVersion) -> str:
        return label(*state_of(version))

    def get_urls(self) -> list[URLPattern]:
        pages = {
            "preview": self.preview,
            "shown": self.shown,
            "test": self.test,
            "publish": self.publish,
            "discard": self.discard,
        }
        return [
            *(
                path(f"<int:pk>/{name}/", self._wrapped(view), name=f"{self._prefix}_{name}")
                for name, view in pages.items()
            ),
            *super().get_urls(),
        ]

    def _wrapped(self, view: Any) -> Any:
        return self.admin_site.admin_view(view)

    @property
    def _prefix(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}"

    def found(self, request: HttpRequest, pk: int) -> TemplateVersion:
        """The version, to somebody who may see it."""
        version = self.get_queryset(request).filter(pk=pk).first()
        if not self.has_view_permission(request, version):
            raise PermissionDenied
        if version is None:
            raise Http404
        return version

    # --- the page --------------------------------------------------------------------------------

    def change_view(self, request, object_id, form_url="", extra_context=None):
        version = self.get_object(request, object_id)
        if version is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not self.has_view_permission(request, version):
            raise PermissionDenied
        return csrf_protect(self._edit)(request, version)

    def _edit(self, request: HttpRequest, version: TemplateVersion) -> HttpResponse:
        if request.method != "POST":
            return self._show(request, version, self._form(version))
        if not self._may_edit(request, version):
            raise PermissionDenied
        form = DraftForm(request.POST, instance=version)
        if not form.is_valid():
            return self._refuse(request, version, form)
        before = {name: getattr(version, name) for name in form.fields if name != "revision"}
        try:
            with transaction.atomic():
                saved = save_over(
                    version,
                    form.draft(),
                    revision=form.cleaned_data["revision"],
                    by=author_of(request),
                    now=timezone.now(),
                )
                changed = [name for name, value in before.items() if getattr(saved, name) != value]
                self._log_fields(request, saved, changed)
        except StaleDraft as stale:
            return self._tell_of_conflict(request, form, stale.stored)
        except DomainError as error:
            form.add_error(None, all_words(error))
            return self._refuse(request, version, form)
        except ValidationError as error:
            form.add_error(None, error.messages)
            return self._refuse(request, version, form)
        said = gettext("Saved at %(time)s.") % {"time": shown_time(saved.updated_at)[11:]}
        if _wants_json(request):
            answer = {"revision": revision_of(saved), "detail": said}
            return JsonResponse(answer | {"variables": _as_text(saved.variables)})
        self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(request.get_full_path())

    def _form(self, version: TemplateVersion) -> DraftForm:
        return DraftForm(instance=version, initial={"revision": revision_of(version)})

    def _may_edit(self, request: HttpRequest, version: TemplateVersion) -> bool:
        return not version.is_published and self.has_change_permission(request, version)

    def _log_fields(self, request: HttpRequest, version: TemplateVersion, names: list[str]) -> None:
        """Which parts were changed, never to what."""
        if names:
            self.log_change(request, version, [{"changed": {"fields": sorted(names)}}])

    def _refuse(
        self, request: HttpRequest, version: TemplateVersion, form: DraftForm
    ) -> HttpResponse:
        if _wants_json(request):
            said = [error for errors in form.errors.values() for error in errors]
            return JsonResponse({"detail": " ".join(map(str, said))}, status=422)
        return self._show(request, version, form, status=422)

    def _tell_of_conflict(
        self, request: HttpRequest, form: DraftForm, stored: TemplateVersion
    ) -> HttpResponse:
        """409 with both texts; nothing is stored, nothing is lost."""
        words = gettext("%(who)s saved this draft at %(time)s, after you opened it.")
        detail = words % {
            "who": stored.author_name or gettext("Somebody"),
            "time": shown_time(stored.updated_at),
        }
        names = fields_of(stored.template.channel)
        theirs = {name: _as_text(getattr(stored, name)) for name in names}
        theirs["revision"] = revision_of(stored)
        if _wants_json(request):
            return JsonResponse({"detail": detail, "theirs": theirs}, status=409)
        # Without scripts the next save is one over what is stored: the page has just shown it.
        data = request.POST.copy()
        data["revision"] = theirs["revision"]
        form.data = data
        labels = editor_words()["fields"]
        mine = {name: str(data.get(name, "")) for name in names}
        shown = [(labels[n], theirs[n]) for n in names if theirs[n].strip() != mine[n].strip()]
        conflict = {"detail": detail, "shown": shown}
        return self._show(request, stored, form, status=409, conflict=conflict)

    def _show(
        self, request: HttpRequest, version: TemplateVersion, form: DraftForm, **context: Any
    ) -> HttpResponse:
        template = version.template
        may_edit = self._may_edit(request, version)
        may_test = self.has_change_permission(request, version)
        if not may_edit:
            for field in form.fields.values():
                field.widget.attrs["readonly"] = True
        words, color = state_of(version)
        others = template.versions.exclude(pk=version.pk)
        url_of = self._url_of
        context |= {
            "title": template.name,
            "version": version,
            "form": form,
            "is_email": template.channel == Channel.EMAIL,
            "is_templated": template.channel in TEMPLATED,
            "is_fullwidth": True,
            "state_words": words,
            "state_color": color,
            "may_edit": may_edit,
            "may_test": may_test and template.archived_at is None,
            "test_to": getattr(request.user, "email", "") or "",
            "senders": uses().test_senders(template.channel) if may_test else [],
            "publish_url": url_of("publish", version) if self.may_publish(request, version) else "",
            "discard_url": url_of("discard", version) if may_edit else "",
            "compare_url": _compare_url(version) if others.exists() else "",
            "draft_url": (
                reverse("admin:templates_app_template_draft", args=[template.pk])
                if version.is_published and may_test and template.archived_at is None
                else ""
            ),
            "template_url": reverse("admin:templates_app_template_change", args=[template.pk]),
            "editor": {
                "urls": {
                    "save": url_of("change", version),
                    **{name: url_of(name, version) for name in ("preview", "shown", "test")},
                },
                "words": editor_words(),
                "isReadOnly": not may_edit,
            },
        }
        return show_page(self, request, "editor.html", **context)

    def _url_of(self, name: str, version: TemplateVersion) -> str:
        return reverse(f"admin:{self._prefix}_{name}", args=[version.pk])


def state_of(version: TemplateVersion) -> tuple[str, str]:
    """Words and colour."""
    if not version.is_published:
        return gettext("draft"), "warning"
    if version.template.current_version_id == version.pk:
        return gettext("current"), "success"
    return gettext("published"), "info"


def _compare_url(version: TemplateVersion) -> str:
    """With the current version, or with the one before."""
    template = version.template
    others = template.versions.exclude(pk=version.pk)
    other = others.filter(pk=template.current_version_id or 0).first() or (
        others.filter(number__lt=version.number).first() or others.first()
    )
    numbers = sorted([other.number if other else version.number, version.number])
    url = reverse("admin:templates_app_template_compare", args=[template.pk])
    return f"{url}?before={numbers[0]}&after={numbers[1]}"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept", "") == "application/json"

"""What can be done with a template: draft, compare, roll back, duplicate, archive, restore."""

import json
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import Action
from core.errors import DomainError
from templates_app import publishing
from templates_app.admin.editor_words import editor_words
from templates_app.admin.pages import author_of, show_page
from templates_app.admin.publishing import PUBLISH
from templates_app.admin.versions import state_of
from templates_app.forms import DuplicateForm, fields_of
from templates_app.models import Template, TemplateVersion
from templates_app.publishing import Draft
from templates_app.source import Source


class DeedsMixin:
    """Views of `TemplateAdmin`."""

    def _template(self: Any, request: HttpRequest, pk: Any) -> Template:
        template = self.get_object(request, str(pk))
        if not self.has_view_permission(request, template):
            raise PermissionDenied
        if template is None:
            raise Http404
        return template

    def version_url(self, version: TemplateVersion) -> str:
        return reverse("admin:templates_app_templateversion_change", args=[version.pk])

    def may_draft(self: Any, request: HttpRequest) -> bool:
        return request.user.has_perm("templates_app.change_templateversion")

    def _back(self: Any, request: HttpRequest, template: Template, words: str, level: int) -> Any:
        self.message_user(request, words, level)
        url = reverse("admin:templates_app_template_change", args=[template.pk])
        return HttpResponseRedirect(url)

    # --- drafts ----------------------------------------------------------------------------------

    def draft(self: Any, request: HttpRequest, pk: int) -> HttpResponse:
        """A new draft from the version `from`, else from the current one, else from the newest."""
        template = self._template(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.may_draft(request):
            raise PermissionDenied
        asked = request.POST.get("from", "")
        origin = (
            (template.versions.filter(pk=int(asked)).first() if asked.isdecimal() else None)
            or template.current_version
            or template.versions.order_by("-number").first()
        )
        draft = (
            publishing.draft_of(origin)
            if origin is not None
            else Draft(source=Source.empty(template.channel))
        )
        try:
            with transaction.atomic():
                version = publishing.save_draft(
                    template, draft, by=author_of(request), now=timezone.now()
                )
                self.log_deed(request, template, Action.DRAFTED, version=version.number)
        except DomainError as error:
            return self._back(request, template, error.detail, messages.ERROR)
        return HttpResponseRedirect(self.version_url(version))

    # --- compare ---------------------------------------------------------------------------------

    def compare(self: Any, request: HttpRequest, pk: int) -> HttpResponse:
        template = self._template(request, pk)
        versions = list(template.versions.select_related("template").order_by("-number"))
        if not versions:
            raise Http404
        by_number = {str(version.number): version for version in versions}
        after = by_number.get(request.GET.get("after", ""), versions[0])
        before = by_number.get(request.GET.get("before", ""), versions[min(1, len(versions) - 1)])
        for version in versions:
            version.words = gettext("version %(number)s (%(state)s)") % {
                "number": version.number,
                "state": state_of(version)[0],
            }
        return show_page(
            self,
            request,
            "compare.html",
            title=gettext("Compare versions"),
            subtitle=str(template),
            is_fullwidth=True,
            template=template,
            versions=versions,
            before=before,
            after=after,
            parts=_differences(template, before, after),
            back_url=reverse("admin:templates_app_template_change", args=[template.pk]),
        )

    # --- roll back -------------------------------------------------------------------------------

    def roll_back(self: Any, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        template = self._template(request, pk)
        if not request.user.has_perm(PUBLISH):
            raise PermissionDenied
        version = template.versions.select_related("template").filter(number=number).first()
        if version is None:
            raise Http404
        note = request.POST.get(
            "change_note", gettext("Back to version %(number)s: ") % {"number": number}
        ).strip()
        added = publishing.added_requirements(version)
        callers = publishing.lacking_callers(version, now=timezone.now())
        note_error = ""
        if request.method == "POST":
            if not note:
                note_error = gettext("Say in a few words what changed.")
            elif callers and request.POST.get("confirm") != "yes":
                note_error = gettext("Confirm that these callers will be changed.")
            else:
                try:
                    with transaction.atomic():
                        made = publishing.roll_back(
                            template,
                            to=version,
                            change_note=note,
                            by=author_of(request),
                            now=timezone.now(),
                        )
                        self.log_deed(request, template, Action.ROLLED_BACK, version=number)
                except DomainError as error:
                    return self._back(request, template, error.detail, messages.ERROR)
                words = gettext("Version %(made)s is a copy of %(number)s, and what callers get.")
                words %= {"made": made.number, "number": number}
                return self._back(request, template, words, messages.SUCCESS)
        words = gettext("Send the text of version %(number)s again?")
        return show_page(
            self,
            request,
            "publish.html",
            title=gettext("Roll back"),
            subtitle=str(template),
            question=words % {"number": number},
            lines=[gettext("A copy of it is published under a new number. Nothing is lost.")],
            added=added,
            callers=callers,
            note=note,
            note_error=note_error,
            button=gettext("Roll back"),
            back_url=reverse("admin:templates_app_template_change", args=[template.pk]),
        )

    # --- duplicate, archive, restore -------------------------------------------------------------

    def make_copy(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        template = self._template(request, object_id)
        start = Template(code=template.code, locale=template.locale, channel=template.channel)
        start.application, start.name = template.application, template.name
        form = DuplicateForm(request.POST or None, instance=start)
        if request.method == "POST" and form.is_valid():
            try:
                with transaction.atomic():
                    made = publishing.duplicate(
                        template,
                        code=form.cleaned_data["code"],
                        locale=form.cleaned_data["locale"],
                        application=form.cleaned_data["application"],
                        by=author_of(request),
                        now=timezone.now(),
                    )
                    self.log_addition(request, made, [{"added": {}}])
            except DomainError as error:
                form.add_error(None, error.detail)
            except ValidationError as error:
                form.add_error(None, error.messages)
            else:
                version = made.versions.order_by("-number").first()
                return HttpResponseRedirect(self.version_url(version))
        return show_page(
            self,
            request,
            "duplicate.html",
            title=gettext("Duplicate as new"),
            subtitle=str(template),
            form=form,
            back_url=reverse("admin:templates_app_template_change", args=[template.pk]),
        )

    def put_away(
        self: Any, request: HttpRequest, object_id: str, *, back: bool = False
    ) -> HttpResponse:
        template = self._template(request, object_id)
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": gettext("Restore") if back else gettext("Archive"),
                "subtitle": str(template),
                "question": (
                    gettext("Let callers send by this template again?")
                    if back
                    else gettext("Take this template out of use?")
                ),
                "lines": (
                    []
                    if back
                    else [
                        gettext("Calls that name it are refused from now on."),
                        gettext("Its versions and messages stay; it can be restored."),
                    ]
                ),
                "button": gettext("Restore") if back else gettext("Archive"),
                "danger": not back,
                "back_url": reverse("admin:templates_app_template_change", args=[template.pk]),
            }
            return TemplateResponse(request, "core/confirm.html", context)
        change = publishing.restore if back else publishing.archive
        try:
            with transaction.atomic():
                change(template, now=timezone.now())
                self.log_deed(request, template, Action.RESTORED if back else Action.ARCHIVED)
        except DomainError as error:
            return self._back(request, template, error.detail, messages.ERROR)
        words = gettext("It is in use again.") if back else gettext("It is archived.")
        return self._back(request, template, words, messages.SUCCESS)


def _differences(
    template: Template, before: TemplateVersion, after: TemplateVersion
) -> list[tuple[str, str, str]]:
    """Title and both texts of each part that is not the same."""
    titles = editor_words()["fields"]
    parts = []
    for name in fields_of(template.channel):
        old, new = (_shown(getattr(version, name)) for version in (before, after))
        if old != new:
            parts.append((titles[name], old, new))
    return parts


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value.get("required"), list):
        # In which order they stand means nothing.
        value = value | {"required": sorted(value["required"], key=str)}
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)

"""The preview and the test message."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import Action
from core.errors import DomainError
from core.previews import untrusted_html
from templates_app.admin.pages import all_words
from templates_app.forms import MAX_PART, DraftForm, source_of
from templates_app.looking import Look, look_at
from templates_app.models import TemplateVersion, no_variables
from templates_app.source import Problem
from templates_app.uses import uses
from templates_app.variables import example_of


class TryMixin:
    """Views of `TemplateVersionAdmin` that show a text before anybody gets it."""

    def preview(self: Any, request: HttpRequest, pk: int) -> HttpResponse:
        """An unsaved text as JSON; see `Preview` in the editor's sources."""
        version = self.found(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        data = _posted(request)
        if data is None:
            detail = gettext("The text is too long, or could not be read.")
            return JsonResponse({"detail": detail}, status=400)
        schema = _schema(data.get("variables", ""))
        locale = version.template.locale
        look = look_at(source_of(version.template, data), schema=schema, locale=locale)
        return JsonResponse(_as_json(look), headers={"Cache-Control": "no-store"})

    def shown(self: Any, request: HttpRequest, pk: int) -> HttpResponse:
        """The same as a page of its own, for browsers without scripts."""
        version = self.found(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form = DraftForm(request.POST, instance=version)
        if not form.is_valid():
            return untrusted_html(str(form.errors))
        source = source_of(version.template, form.cleaned_data)
        schema = form.cleaned_data["variables"]
        look = look_at(source, schema=schema, locale=version.template.locale)
        if look.rendered is None:
            return HttpResponse("\n".join(map(say, look.problems)), content_type="text/plain")
        if not look.rendered.html:
            return HttpResponse(look.rendered.text, content_type="text/plain; charset=utf-8")
        return untrusted_html(look.rendered.html)

    def test(self: Any, request: HttpRequest, pk: int) -> HttpResponse:
        """Send what is stored through the chosen sender."""
        version: TemplateVersion = self.found(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request, version):
            raise PermissionDenied
        chosen = request.POST.get("sender", "")
        by: Any = request.user
        try:
            message_id = uses().send_test(
                version,
                to=request.POST.get("to", "").strip(),
                variables=example_of(version.variables),
                sender_id=int(chosen) if chosen.isdecimal() else None,
                by=by,
                now=timezone.now(),
            )
        except DomainError as error:
            return JsonResponse({"detail": all_words(error)}, status=422)
        # To whom is for the message's own page.
        self.log_deed(request, version, Action.TESTED)
        answer = {"detail": gettext("It is on its way.")}
        if request.user.has_perm("messaging.view_message"):
            answer["url"] = reverse("admin:messaging_message_change", args=[message_id])
        return JsonResponse(answer)


def say(problem: Problem) -> str:
    where = f"{problem.part}, {problem.line}:{problem.column}" if problem.line else problem.part
    return f"{where}: {problem.detail}"


def _posted(request: HttpRequest) -> dict[str, str] | None:
    """A flat object of strings, none of them longer than a draft's part may be."""
    try:
        data = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    if not all(isinstance(value, str) and len(value) <= MAX_PART for value in data.values()):
        return None
    return data


def _schema(text: str) -> dict[str, Any]:
    """While it is typed it may be anything; the table says so then."""
    try:
        schema = json.loads(text or "null")
    except (ValueError, RecursionError):
        return no_variables()
    return schema if isinstance(schema, dict) else no_variables()


def _told(parameters: Mapping[str, str]) -> str:
    return json.dumps(dict(parameters), indent=2, ensure_ascii=False) if parameters else ""


def _as_json(look: Look) -> dict[str, Any]:
    rendered = look.rendered
    warnings = rendered.warnings if rendered else ()
    return {
        "is_rendered": rendered is not None,
        "subject": rendered.subject if rendered else "",
        "html": rendered.html if rendered else "",
        "text": rendered.text if rendered else "",
        "parameters": _told(rendered.parameters) if rendered else "",
        "problems": [
            {
                "part": problem.part,
                "line": problem.line,
                "column": problem.column,
                "detail": problem.detail,
                "severity": severity,
            }
            for severity, problems in (("error", look.problems), ("warning", warnings))
            for problem in problems
        ],
        "variables": [
            {"path": one.name, "type": one.type, "required": one.is_required}
            for one in look.variables
        ]
        if look.variables is not None
        else None,
    }

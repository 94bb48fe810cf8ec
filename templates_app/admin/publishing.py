"""Publishing a draft: what it changes is said first, and to whom. And discarding one."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import Action
from core.errors import DomainError
from templates_app import drafts, publishing
from templates_app.admin.pages import all_words, author_of, show_page, shown_time
from templates_app.admin.trying import say
from templates_app.models import TemplateVersion

PUBLISH = "templates_app.publish_templateversion"


class PublishMixin:
    """How a draft of `TemplateVersionAdmin` ends."""

    def may_publish(self: Any, request: HttpRequest, version: TemplateVersion) -> bool:
        return (
            not version.is_published
            and version.template.archived_at is None
            and request.user.has_perm(PUBLISH)
        )

    def publish(self: Any, request: HttpRequest, pk: int) -> HttpResponse:
        version: TemplateVersion = self.found(request, pk)
        if not request.user.has_perm(PUBLISH):
            raise PermissionDenied
        back_url = self._url_of("change", version)
        if not self.may_publish(request, version):
            words = gettext("It is published already, or its template is archived.")
            self.message_user(request, words, messages.WARNING)
            return HttpResponseRedirect(back_url)
        added = publishing.added_requirements(version)
        callers = publishing.lacking_callers(version, now=timezone.now())
        note = request.POST.get("change_note", version.change_note).strip()
        note_error = ""
        if request.method == "POST":
            if not note:
                note_error = gettext("Say in a few words what changed.")
            elif callers and request.POST.get("confirm") != "yes":
                note_error = gettext("Confirm that these callers will be changed.")
            else:
                try:
                    with transaction.atomic():
                        publishing.publish(
                            version, change_note=note, by=author_of(request), now=timezone.now()
                        )
                        self.log_deed(request, version, Action.PUBLISHED)
                except DomainError as error:
                    note_error = all_words(error)
                else:
                    words = gettext("Version %(number)s is what callers get now.")
                    words %= {"number": version.number}
                    self.message_user(request, words, messages.SUCCESS)
                    return HttpResponseRedirect(
                        reverse("admin:templates_app_template_change", args=[version.template_id])
                    )
        question = gettext("Publish version %(number)s of %(template)s?")
        return show_page(
            self,
            request,
            "publish.html",
            title=gettext("Publish"),
            question=question % {"number": version.number, "template": version.template},
            lines=[
                gettext("It is sent from now on, and never changes again."),
                gettext("Messages that were accepted before keep their text."),
            ],
            problems=[say(problem) for problem in publishing.problems_of(version)],
            added=added,
            callers=callers,
            note=note,
            note_error=note_error,
            button=gettext("Publish"),
            back_url=back_url,
        )

    def discard(self: Any, request: HttpRequest, pk: int) -> HttpResponse:
        version: TemplateVersion = self.found(request, pk)
        if not self.has_change_permission(request, version):
            raise PermissionDenied
        template, number = version.template, version.number
        template_url = reverse("admin:templates_app_template_change", args=[template.pk])
        if version.is_published:
            words = gettext("Version %(number)s is published and stays.") % {"number": number}
            self.message_user(request, words, messages.WARNING)
            return HttpResponseRedirect(template_url)
        if request.method == "POST":
            try:
                with transaction.atomic():
                    drafts.discard_draft(version)
                    # The draft has no history any more: its template keeps it.
                    admin = self.admin_site.get_model_admin(type(template))
                    admin.log_deed(request, template, Action.DISCARDED, version=number)
            except DomainError as error:
                self.message_user(request, error.detail, messages.ERROR)
            else:
                words = gettext("The draft is discarded.")
                self.message_user(request, words, messages.SUCCESS)
            return HttpResponseRedirect(template_url)
        question = gettext("Discard draft %(number)s of %(template)s?")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Discard"),
            "question": question % {"number": number, "template": template},
            "lines": [
                gettext("Its text is gone for good. Published versions and messages stay."),
                gettext("It was last saved at %(time)s by %(who)s.")
                % {
                    "time": shown_time(version.updated_at),
                    "who": version.author_name or gettext("somebody"),
                },
            ],
            "button": gettext("Discard"),
            "danger": True,
            "back_url": self._url_of("change", version),
        }
        return TemplateResponse(request, "core/confirm.html", context)

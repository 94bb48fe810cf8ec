"""What operators do to messages: a confirmation that says what may happen, then one job.

The same for what is selected in the list, for all that match its filter, for one message and for
the messages of a batch. What is small is done at once; the rest leads to the page of its job.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldBooleanWidget

from accounts.audited import AuditedAdmin
from accounts.models import Action
from core.clock import database_clock
from core.vocabulary import Lane
from messaging import jobs, resending
from messaging.admin import bulk_words as words
from messaging.admin.reading import without_button
from messaging.models import Job, Message
from messaging.search import as_uuid
from messaging.selection import Selection, select

Kind = Job.Kind
DEEDS = {
    Kind.RESEND: Action.RESENT,
    Kind.CANCEL: Action.CANCELLED,
    Kind.MOVE: Action.MOVED,
    Kind.RELEASE: Action.RELEASED,
}
# Selected messages of one confirmation; the list shows fewer.
SELECTED_LIMIT = 1000
# So many are done while one waits. For 200 messages PostgreSQL takes some 50 ms.
AT_ONCE = 200
AT_ONCE_SECONDS = 10.0
TO_MESSAGES = ["resend", "cancel", "move", "release"]


class BulkMixin(AuditedAdmin):
    """The confirmation and what follows it."""

    def has_operate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("messaging.change_message"))

    def take(
        self,
        request: HttpRequest,
        kind: Kind,
        selection: Selection,
        *,
        back_url: str,
        fields: Sequence[tuple[str, str]] = (),
    ) -> HttpResponse:
        """Ask, or do what was confirmed. `fields` go along with the answer. Of what was picked by
        hand each is meant, also those that may have arrived; of a filter these need a tick."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        asked_at = _asked_at(request)
        if asked_at is None:
            question = _Question(kind, selection)
            return self._ask(request, question, back_url=back_url, fields=fields)
        to_lane = request.POST.get("to_lane", "")
        if kind == Kind.MOVE and to_lane not in Lane.values:
            return HttpResponseRedirect(request.get_full_path())
        with transaction.atomic():
            job = jobs.ask(
                kind=kind,
                selection=selection,
                actor_id=request.user.pk,
                may_duplicate=selection.is_picked or "may_duplicate" in request.POST,
                to_lane=Lane(to_lane) if kind == Kind.MOVE else None,
                now=database_clock()(),
            )
            self._log(request, job)
        return self._begin(request, job, back_url=back_url)

    def _log(self, request: HttpRequest, job: Job) -> None:
        """At one message what was asked for it, else at the job. A filter may hold an address, so
        that it is not told."""
        details = {"lane": job.to_lane} if job.to_lane else {}
        only = Message.objects.filter(pk__in=job.ids or []).only("pk")[:2]
        if job.ids is not None and len(only) == 1:
            self.log_deed(request, only[0], DEEDS[Kind(job.kind)], **details)
        else:
            self.log_deed(request, job, DEEDS[Kind(job.kind)], messages=job.matched, **details)

    def _begin(self, request: HttpRequest, job: Job, *, back_url: str) -> HttpResponse:
        if job.matched <= AT_ONCE:
            job = jobs.work_on(job, clock=database_clock(), seconds=AT_ONCE_SECONDS)
        if not job.is_over:
            jobs.call_workers()
            return HttpResponseRedirect(reverse("admin:messaging_job_change", args=[job.pk]))
        level = messages.SUCCESS if job.done else messages.WARNING
        self.message_user(request, words.outcome(job.kind, job.done), level)
        for sentence in words.passed(job.passed):
            self.message_user(request, sentence, messages.WARNING)
        return HttpResponseRedirect(back_url)

    def _ask(
        self,
        request: HttpRequest,
        asked: "_Question",
        *,
        back_url: str,
        fields: Sequence[tuple[str, str]],
    ) -> HttpResponse:
        kind, selection = asked.kind, asked.selection
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": words.TITLES[kind],
            "question": words.question(kind, asked.count),
            "lines": asked.lines(),
            "fields": [*fields, ("asked_at", selection.asked_at.isoformat())],
            "button": words.BUTTONS[kind] if asked.count or asked.doubtful else "",
            "danger": kind == Kind.CANCEL,
            "back_url": back_url,
            **asked.doubt(),
        }
        if kind == Kind.MOVE:
            context["choice"] = UnfoldAdminSelectWidget(choices=Lane.choices).render(
                "to_lane", Lane.NORMAL.value, attrs={"id": "to-lane"}
            )
            context["choice_label"] = gettext("To the lane")
        return TemplateResponse(request, "core/confirm.html", context)


class _Question:
    """How many it would be done to, and what is to be said of it."""

    def __init__(self, kind: Kind, selection: Selection) -> None:
        self.kind, self.selection = kind, selection
        self.count, self.doubtful = self._counts()

    def lines(self) -> list[Any]:
        selection = self.selection
        lines: list[Any] = [words.WHAT_HAPPENS[self.kind]]
        if self.selection.is_picked and (left := len(selection.ids or ()) - self.count):
            lines.append(words.stay(self.kind, left))
        if not selection.filters and selection.ids is None:
            lines.append(gettext("No filter is set: these are all there are."))
        if self.count > AT_ONCE:
            lines.append(gettext("Workers do it; the next page shows how far they are."))
        return lines

    def doubt(self) -> dict[str, Any]:
        if not self.doubtful:
            return {}
        if self.selection.is_picked:
            return {"warning": words.may_duplicate(self.doubtful)}
        return {
            "warning": words.may_duplicate_too(self.doubtful),
            "tick": UnfoldBooleanWidget().render("may_duplicate", None),
            "tick_label": words.include(self.doubtful),
        }

    def _counts(self) -> tuple[int, int]:
        """How many there are, and how many may have arrived: of picked ones they are among them,
        of a filter they come on top."""
        if self.kind != Kind.RESEND:
            return jobs.count(jobs.draft(kind=self.kind, selection=self.selection)), 0
        open_ = resending.still_open(self.selection.asked_at)
        tally = resending.tally(self.selection.rows().filter(open_))
        return tally.certain + (tally.doubtful if self.selection.is_picked else 0), tally.doubtful


class ListMixin(BulkMixin):
    """The actions of a list of messages: for what is selected, and for all that match."""

    actions = [f"{name}_selected" for name in TO_MESSAGES]
    actions_list = [
        {
            "title": _("All that match"),
            "icon": "checklist",
            "items": [f"{name}_matching" for name in TO_MESSAGES],
        }
    ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The buttons of the list take the list's filters along. Fields that were left empty do not
        stay in its address."""
        given = {name: value for name, value in request.GET.items() if value}
        if request.method == "GET" and len(given) < len(request.GET):
            return HttpResponseRedirect(f"{request.path}?{urlencode(given)}")
        response = super().changelist_view(request, extra_context)
        query = request.GET.copy()
        query.pop("p", None)
        if query and isinstance(response, TemplateResponse) and response.context_data:
            for group in response.context_data.get("actions_list", ()):
                for button in group["items"]:
                    button["path"] += f"?{query.urlencode()}"
        return response

    @admin.action(description=_("Send again"), permissions=["operate"])
    def resend_selected(self, request: HttpRequest, queryset: QuerySet[Message]) -> HttpResponse:
        return self._selected(request, Kind.RESEND, queryset)

    @admin.action(description=_("Cancel"), permissions=["operate"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Message]) -> HttpResponse:
        return self._selected(request, Kind.CANCEL, queryset)

    @admin.action(description=_("Move to another lane"), permissions=["operate"])
    def move_selected(self, request: HttpRequest, queryset: QuerySet[Message]) -> HttpResponse:
        return self._selected(request, Kind.MOVE, queryset)

    @admin.action(description=_("Release"), permissions=["operate"])
    def release_selected(self, request: HttpRequest, queryset: QuerySet[Message]) -> HttpResponse:
        return self._selected(request, Kind.RELEASE, queryset)

    def _selected(
        self, request: HttpRequest, kind: Kind, queryset: QuerySet[Message]
    ) -> HttpResponse:
        ids = list(queryset.values_list("pk", flat=True)[:SELECTED_LIMIT])
        return self.take(
            request,
            kind,
            Selection(asked_at=_moment(request), ids=ids, is_picked=True),
            back_url=request.get_full_path(),
            fields=[
                ("action", f"{kind}_selected"),
                *((ACTION_CHECKBOX_NAME, str(pk)) for pk in ids),
            ],
        )

    @action(
        description=_("Send again"),
        icon="replay",
        url_path="resend-matching",
        permissions=["operate"],
    )
    def resend_matching(self, request: HttpRequest) -> HttpResponse:
        return self._matching(request, Kind.RESEND)

    @action(
        description=_("Cancel"),
        icon="cancel",
        url_path="cancel-matching",
        permissions=["operate"],
    )
    def cancel_matching(self, request: HttpRequest) -> HttpResponse:
        return self._matching(request, Kind.CANCEL)

    @action(
        description=_("Move to another lane"),
        icon="low_priority",
        url_path="move-matching",
        permissions=["operate"],
    )
    def move_matching(self, request: HttpRequest) -> HttpResponse:
        return self._matching(request, Kind.MOVE)

    @action(
        description=_("Release"),
        icon="play_arrow",
        url_path="release-matching",
        permissions=["operate"],
    )
    def release_matching(self, request: HttpRequest) -> HttpResponse:
        return self._matching(request, Kind.RELEASE)

    def _matching(self, request: HttpRequest, kind: Kind) -> HttpResponse:
        """All under the filters of the list, which stand in the address."""
        back_url = reverse("admin:messaging_message_changelist")
        try:
            # Refuses what the list refuses.
            self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(back_url)
        if query := request.GET.urlencode():
            back_url += f"?{query}"
        selection = select(request.GET.dict(), at=_moment(request))
        return self.take(request, kind, selection, back_url=back_url)


class PageMixin(BulkMixin):
    """The buttons of a page, which stand only where they would do something."""

    actions_detail = TO_MESSAGES

    def selection_of(self, pk: UUID, *, at: datetime) -> Selection:
        """Which messages the page is about."""
        raise NotImplementedError

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        buttons = super().get_actions_detail(request, object_id)
        pk = as_uuid(str(object_id))
        selection = self.selection_of(pk, at=timezone.now()) if pk and buttons else None
        for kind in Kind:
            if selection is None or not _could(kind, selection):
                buttons = without_button(buttons, kind.value)
        return buttons

    @action(description=_("Send again"), icon="replay", permissions=["operate"])
    def resend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._of_page(request, Kind.RESEND, object_id)

    @action(description=_("Cancel"), icon="cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._of_page(request, Kind.CANCEL, object_id)

    @action(description=_("Move to another lane"), icon="low_priority", permissions=["operate"])
    def move(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._of_page(request, Kind.MOVE, object_id)

    @action(description=_("Release"), icon="play_arrow", permissions=["operate"])
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._of_page(request, Kind.RELEASE, object_id)

    def _of_page(self, request: HttpRequest, kind: Kind, object_id: str) -> HttpResponse:
        pk = as_uuid(object_id)
        if pk is None or not self.model.objects.filter(pk=pk).exists():
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        page = reverse(f"admin:messaging_{self.opts.model_name}_change", args=[pk])
        selection = self.selection_of(pk, at=_moment(request))
        return self.take(request, kind, selection, back_url=page)


def _moment(request: HttpRequest) -> datetime:
    """When it was asked for: the answer says when the question was."""
    return _asked_at(request) or database_clock()()


def _asked_at(request: HttpRequest) -> datetime | None:
    """Only an answer says it. Whoever confirms twice, or late, does not also mean what came after
    the question."""
    try:
        moment = parse_datetime(request.POST.get("asked_at", ""))
    except ValueError:
        return None
    if moment is None or timezone.is_naive(moment):
        return None
    return min(moment, database_clock()())


def _could(kind: Kind, selection: Selection) -> bool:
    return jobs.is_for_any(jobs.draft(kind=kind, selection=selection, may_duplicate=True))

"""Jobs: what was asked to be done to many messages, how far it is, and how to stop it."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from core.clock import database_clock
from core.durations import in_words
from core.labels import label
from core.masking import mask_recipient
from messaging import jobs
from messaging.admin import bulk_words as words
from messaging.admin.reading import ChoiceFilter, ReadOnlyAdmin, may_see_contents, without_button
from messaging.models import Job
from messaging.resending import COUNT_LIMIT
from messaging.search import as_uuid
from messaging.selection import MOMENTS, as_moment

STATE_COLORS = {"running": "info", "done": "success", "stopped": "warning", "failed": "danger"}


class JobStateFilter(ChoiceFilter):
    title = _("state")
    parameter_name = "state"
    choices_shown = Job.State.choices

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(state=value)


class JobKindFilter(ChoiceFilter):
    title = _("kind")
    parameter_name = "kind"
    choices_shown = Job.Kind.choices

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(kind=value)


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ["asked", "what", "state_label", "progress", "actor", "which"]
    list_display_links = ["asked", "what"]
    list_select_related = ["actor"]
    list_filter = [JobStateFilter, JobKindFilter]
    masked = {"which": "masked_which"}
    search_help_text = _("Id of the job")
    actions_detail = ["stop"]
    change_form_outer_before_template = "messaging/admin/job.html"
    fields = [
        ("what", "actor"),
        ("which", "may_duplicate"),
        ("asked_at", "started_at"),
        ("heartbeat_at", "finished_at"),
        "id",
    ]

    class Media:
        js = ["messaging/live.js"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who asks for a job is led to its page."""
        may_ask = request.user.has_perm("messaging.change_message")
        return may_ask or super().has_view_permission(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        # There may be thousands.
        has_ids = ExpressionWrapper(Q(ids__isnull=False), output_field=BooleanField())
        return super().get_queryset(request).annotate(has_ids=has_ids).defer("ids")

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        pk = as_uuid(text)
        return queryset.filter(pk=pk) if pk else queryset.none()

    # --- columns ---------------------------------------------------------------------------------

    @display(description=_("asked at"))
    def asked(self, job: Job) -> str:
        return date_format(timezone.localtime(job.asked_at), "Y-m-d H:i:s")

    @display(description=_("what"))
    def what(self, job: Job) -> str:
        if job.to_lane:
            return gettext("move to the lane %(lane)s") % {"lane": job.get_to_lane_display()}
        return job.get_kind_display()

    @display(description=_("state"))
    def state_label(self, job: Job) -> str:
        return label(job.get_state_display(), STATE_COLORS.get(job.state, ""))

    @display(description=_("progress"))
    def progress(self, job: Job) -> str:
        return gettext("%(seen)s of %(matched)s") % {
            "seen": words.number(job.seen),
            "matched": words.number(max(job.matched, job.seen)),
        }

    @display(description=_("which"))
    def which(self, job: Job) -> str:
        return _which(job, is_open=True)

    @display(description=_("which"))
    def masked_which(self, job: Job) -> str:
        return _which(job, is_open=False)

    # --- its page --------------------------------------------------------------------------------

    def change_view(self, request, object_id, form_url="", extra_context=None):
        job = self.get_object(request, object_id)
        if job is not None and self.has_view_permission(request, job):
            extra_context = (extra_context or {}) | self._progress(request, job)
        return super().change_view(request, object_id, form_url, extra_context)

    def _progress(self, request: HttpRequest, job: Job) -> dict[str, Any]:
        lasted = (job.finished_at or timezone.now()) - (job.started_at or job.asked_at)
        query = {name: value for name, value in job.filters.items() if value}
        return {
            "job": job,
            "state_words": job.get_state_display(),
            "state_color": STATE_COLORS.get(job.state, ""),
            "seen": self.progress(job),
            # Where nobody counted to the end, the bar only says that it is under way.
            "is_measured": job.matched <= COUNT_LIMIT or job.is_over,
            "total": max(job.matched, job.seen, 1),
            "done_words": words.outcome(job.kind, job.done),
            "passed_words": words.passed(job.passed),
            "lasted": in_words(lasted) if job.started_at else "",
            "is_over": job.is_over,
            "list_url": _list_url(query) if query and _may_be_named(request, job) else "",
        }

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.live)
        return [path("<uuid:pk>/live/", view, name="messaging_job_live"), *super().get_urls()]

    def live(self, request: HttpRequest, pk: UUID) -> JsonResponse:
        """How far it is, for its page to renew itself until it is over."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = Job.objects.defer("ids").filter(pk=pk).first()
        if job is None:
            raise Http404
        told = self._progress(request, job)
        answer = {
            "parts": {"progress": render_to_string("messaging/admin/progress.html", told, request)},
            "state": job.state,
            "matched": job.matched,
            "seen": job.seen,
            "done": job.done,
            "is_over": job.is_over,
        }
        return JsonResponse(answer, headers={"Cache-Control": "no-store"})

    # --- stop ------------------------------------------------------------------------------------

    def has_stop_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("messaging.change_message"))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        buttons = super().get_actions_detail(request, object_id)
        pk = as_uuid(str(object_id))
        if pk is not None and Job.objects.filter(pk=pk, state__in=Job.OPEN).exists():
            return buttons
        return without_button(buttons, "stop")

    @action(description=_("Stop"), icon="stop_circle", permissions=["stop"])
    def stop(self, request: HttpRequest, object_id: str) -> HttpResponse:
        pk = as_uuid(object_id)
        job = Job.objects.defer("ids").filter(pk=pk).first() if pk else None
        if job is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        page = reverse("admin:messaging_job_change", args=[job.pk])
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": gettext("Stop"),
                "question": gettext("Stop this job?"),
                "lines": [gettext("What it has done stays done; the rest is left as it is.")],
                "button": gettext("Stop"),
                "danger": True,
                "back_url": page,
            }
            return TemplateResponse(request, "core/confirm.html", context)
        if jobs.stop(job.pk, now=database_clock()()):
            self.log_change(request, job, "Stopped.")
            self.message_user(request, gettext("It is stopped."), messages.SUCCESS)
        else:
            self.message_user(request, gettext("It was over already."), messages.WARNING)
        return HttpResponseRedirect(page)


def _which(job: Any, *, is_open: bool) -> str:
    """Its filters in a line, as the address of the list has them."""
    if not job.filters:
        return (
            gettext("those that were selected, or found by a search")
            if job.has_ids
            else gettext("all of them")
        )
    filters = [
        gettext("%(name)s: %(value)s")
        % {
            "name": words.PARAMETERS.get(name, name),
            "value": _shown(name, value, is_open=is_open),
        }
        for name, value in job.filters.items()
    ]
    if job.has_ids:
        filters.append(gettext("and what was searched for"))
    return ", ".join(filters)


def _shown(name: str, value: str, *, is_open: bool) -> str:
    if name == "recipient" and not is_open:
        return mask_recipient(value)
    if name in MOMENTS and (moment := as_moment(value)) is not None:
        return date_format(timezone.localtime(moment), "Y-m-d H:i")
    return str(words.VALUES.get(name, {}).get(value, value))


def _may_be_named(request: HttpRequest, job: Job) -> bool:
    """The address of the list would hold what is to be masked."""
    return may_see_contents(request) or "recipient" not in job.filters


def _list_url(query: dict[str, str]) -> str:
    return f"{reverse('admin:messaging_message_changelist')}?{urlencode(query)}"

"""Sending messages again: a confirmation that says what may happen, then one call."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.widgets import UnfoldBooleanWidget

from accounts import audit
from accounts.models import Action
from core.clock import database_clock
from messaging import resending, search
from messaging.admin import resending_words as words
from messaging.admin.reading import without_button
from messaging.models import Message, Reason, Status

# Selected messages that one confirmation sends again.
RESEND_LIMIT = 1000
# Messages of a filter that one confirmation sends again; `manage.py resend_messages` takes more.
# Measured on PostgreSQL 15 with two million rows: 2 s, and 6 s on a machine under threefold load,
# where gunicorn allows a request 30 s.
FILTER_LIMIT = 20_000
# On a slower or busier machine it ends here, in good time, and says how many are left.
FILTER_SECONDS = 15.0
SHOWN_REFUSALS = 5


class ResendMixin(ModelAdmin):
    """The actions of the list and the button of the page."""

    actions = ["resend_selected"]
    actions_list = ["resend_matching"]
    actions_detail = ["resend"]

    def has_resend_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("messaging.change_message")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """The button stands only where it would do something."""
        movable = Message.objects.filter(status__in=[Status.FAILED, Status.UNKNOWN])
        buttons = super().get_actions_detail(request, object_id)
        pk = search.as_uuid(str(object_id))
        if pk is not None and movable.filter(pk=pk).exists():
            return buttons
        return without_button(buttons, "resend")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The button of the list takes the list's filters along."""
        response = super().changelist_view(request, extra_context)
        query = request.GET.copy()
        query.pop("p", None)
        if query and isinstance(response, TemplateResponse) and response.context_data:
            for button in response.context_data.get("actions_list", ()):
                button["path"] += f"?{query.urlencode()}"
        return response

    # --- the selected, or one --------------------------------------------------------------------

    @admin.action(description=_("Send again"), permissions=["resend"])
    def resend_selected(self, request: HttpRequest, queryset: QuerySet[Message]) -> Any:
        pks = list(queryset.values_list("pk", flat=True)[:RESEND_LIMIT])
        if request.POST.get("confirmed"):
            return self._resend(request, pks, back_url=request.get_full_path())
        fields = [("action", "resend_selected"), ("confirmed", "yes")]
        fields += [(ACTION_CHECKBOX_NAME, str(pk)) for pk in pks]
        return self._confirm(request, pks, fields=fields, back_url=request.get_full_path())

    @action(description=_("Send again"), icon="replay", url_path="resend", permissions=["resend"])
    def resend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        pk = search.as_uuid(object_id)
        if pk is None or not Message.objects.filter(pk=pk).exists():
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        back_url = reverse("admin:messaging_message_change", args=[pk])
        if request.method == "POST":
            return self._resend(request, [pk], back_url=back_url)
        return self._confirm(request, [pk], fields=[], back_url=back_url)

    def _confirm(
        self, request: HttpRequest, pks: list[UUID], *, fields: list[Any], back_url: str
    ) -> HttpResponse:
        chosen = Message.objects.filter(pk__in=pks)
        count = chosen.filter(status__in=[Status.FAILED, Status.UNKNOWN]).count()
        unknown = chosen.filter(status=Status.UNKNOWN).count()
        # What failed for want of an answer may have arrived as well.
        unknown += chosen.filter(status=Status.FAILED, reason=Reason.UNKNOWN_OUTCOME).count()
        lines = [words.what_happens()]
        if left := len(pks) - count:
            lines.append(words.stay(left))
        return self._ask(
            request,
            question=words.question(count),
            lines=lines,
            warning=words.may_duplicate(unknown) if unknown else "",
            fields=fields,
            button=gettext("Send again") if count else "",
            back_url=back_url,
        )

    def _resend(self, request: HttpRequest, pks: list[UUID], *, back_url: str) -> HttpResponse:
        with transaction.atomic():
            resent = resending.resend_each(ids=pks, now=timezone.now(), actor_id=request.user.pk)
            self._record(request, resent.count, pks)
        self._say_how_many(request, resent.count)
        for refusal in resent.refusals[:SHOWN_REFUSALS]:
            self.message_user(request, refusal, messages.WARNING)
        if (more := len(resent.refusals) - SHOWN_REFUSALS) > 0:
            told = gettext("%(count)d more could not be sent again.") % {"count": more}
            self.message_user(request, told, messages.WARNING)
        return HttpResponseRedirect(back_url)

    # --- all that match --------------------------------------------------------------------------

    @action(
        description=_("Send all again that match this filter"),
        icon="replay",
        url_path="resend-matching",
        permissions=["resend"],
    )
    def resend_matching(self, request: HttpRequest) -> HttpResponse:
        """Failed and unknown messages under the filters of the list, which stand in the address."""
        back_url = reverse("admin:messaging_message_changelist")
        if query := request.GET.urlencode():
            back_url += f"?{query}"
        try:
            rows = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse("admin:messaging_message_changelist"))
        if request.method == "POST":
            return self._resend_matching(request, rows, back_url=back_url)
        return self._confirm_matching(request, rows, back_url=back_url)

    def _confirm_matching(
        self, request: HttpRequest, rows: QuerySet[Message], *, back_url: str
    ) -> HttpResponse:
        asked_at = database_clock()()
        tally = resending.tally(rows.filter(resending.still_open(asked_at)))
        lines = [words.what_happens()]
        if not request.GET:
            lines.append(gettext("No filter is set: these are all there are."))
        if tally.certain + tally.doubtful > FILTER_LIMIT:
            lines.append(words.limited(FILTER_LIMIT))
        return self._ask(
            request,
            question=words.question(tally.certain),
            lines=lines,
            warning=words.may_duplicate_too(tally.doubtful) if tally.doubtful else "",
            tick=UnfoldBooleanWidget().render("may_duplicate", None) if tally.doubtful else "",
            tick_label=words.include(tally.doubtful),
            fields=[("asked_at", asked_at.isoformat())],
            button=gettext("Send again") if tally.certain or tally.doubtful else "",
            back_url=back_url,
        )

    def _resend_matching(
        self, request: HttpRequest, rows: QuerySet[Message], *, back_url: str
    ) -> HttpResponse:
        asked_at = parse_datetime(request.POST.get("asked_at", ""))
        if asked_at is None or timezone.is_naive(asked_at):
            return HttpResponseRedirect(request.get_full_path())
        may_duplicate = "may_duplicate" in request.POST
        rows = rows.filter(resending.still_open(asked_at))
        # One more than will go tells whether there is a rest.
        ids = resending.choose(rows, may_duplicate=may_duplicate, limit=FILTER_LIMIT + 1)
        chosen = ids[:FILTER_LIMIT]
        done = resending.resend_many(
            chosen,
            may_duplicate=may_duplicate,
            clock=database_clock(),
            actor_id=request.user.pk,
            seconds=FILTER_SECONDS,
        )
        self._record(request, done.count)
        self._say_how_many(request, done.count)
        if done.moved:
            self.message_user(request, words.had_moved(done.moved), messages.WARNING)
        if done.left or len(ids) > FILTER_LIMIT:
            self.message_user(request, words.there_are_more(), messages.WARNING)
        return HttpResponseRedirect(back_url)

    # --- both ------------------------------------------------------------------------------------

    def _ask(self, request: HttpRequest, **context: Any) -> HttpResponse:
        context |= {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Send again"),
        }
        return TemplateResponse(request, "core/confirm.html", context)

    def _record(self, request: HttpRequest, count: int, pks: Sequence[UUID] = ()) -> None:
        """One entry, however many: each message's own history names the operator."""
        message = Message.objects.filter(pk=pks[0]).first() if len(pks) == 1 else None
        if count:
            audit.record(
                by=audit.of_request(request),
                action=Action.RESENT,
                obj=message,
                kind=Message,
                count=count,
            )

    def _say_how_many(self, request: HttpRequest, count: int) -> None:
        self.message_user(
            request, words.on_their_way(count), messages.SUCCESS if count else messages.WARNING
        )

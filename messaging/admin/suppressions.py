"""The suppression list: look, add, remove, take in and take out."""

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from accounts.models import Application, User
from core.addresses import InvalidAddress
from core.labels import label
from core.masking import mask_addresses
from core.recipients import parse_recipient
from core.vocabulary import Channel
from messaging import suppressions
from messaging.admin.reading import ChoiceFilter, ReadOnlyAdmin
from messaging.models import Suppression
from messaging.suppression_files import Parsed, parse_csv, write_csv
from messaging.suppressions import Entry

REASON_COLORS = {"hard_bounce": "danger", "complaint": "danger", "unsubscribed": "warning"}
MAX_FILE_BYTES = 10 * 1024 * 1024
SHOWN_BAD_LINES = 20


class SuppressionReasonFilter(ChoiceFilter):
    title = _("reason")
    parameter_name = "reason"
    choices_shown = Suppression.Reason.choices

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        return rows.filter(reason=value)


class SuppressionForm(forms.ModelForm):
    """What is there already is no mistake: it is made to last as long as asked."""

    class Meta:
        model = Suppression
        fields = ["channel", "address", "application", "reason", "note", "expires_at"]
        help_texts = {
            "application": _("Empty: no application writes to it."),
            "expires_at": _("Empty: it holds until it is removed."),
        }

    def clean_address(self) -> str:
        channel = self.cleaned_data.get("channel") or Channel.EMAIL
        region = settings.DEFAULT_REGION
        try:
            return parse_recipient(channel, self.cleaned_data["address"], region=region).lower()
        except InvalidAddress as error:
            raise forms.ValidationError(str(error)) from error

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise forms.ValidationError(gettext("It must be in the future."))
        return expires_at

    def _get_validation_exclusions(self) -> set[str]:
        """Its field has checked the address, and two of the same are none too many."""
        return super()._get_validation_exclusions() | {"address"}  # type: ignore[misc]


class ImportForm(forms.Form):
    channel = forms.ChoiceField(
        label=_("Channel"),
        choices=Channel.choices,
        initial=Channel.EMAIL,
        widget=UnfoldAdminSelectWidget,
    )
    file = forms.FileField(
        label=_("CSV file"),
        widget=UnfoldAdminFileFieldWidget,
        help_text=_("In UTF-8, with the columns address, reason, note, expires_at."),
    )
    application = forms.ModelChoiceField(
        label=_("Application"),
        queryset=Application.objects.all(),
        required=False,
        widget=UnfoldAdminSelectWidget,
        empty_label=_("All of them"),
    )

    def clean_file(self) -> Parsed:
        file = self.cleaned_data["file"]
        if file.size > MAX_FILE_BYTES:
            raise forms.ValidationError(gettext("It is larger than 10 MiB: cut it into parts."))
        try:
            return parse_csv(
                file.read().decode().replace("\0", ""),
                channel=self.cleaned_data.get("channel", Channel.EMAIL),
                region=settings.DEFAULT_REGION,
            )
        except UnicodeDecodeError as error:
            raise forms.ValidationError(gettext("It is not UTF-8.")) from error


@admin.register(Suppression)
class SuppressionAdmin(ReadOnlyAdmin):
    form = SuppressionForm
    list_display = ["address", "why", "holds_for", "source", "added", "until"]
    list_select_related = ["application"]
    list_filter = [SuppressionReasonFilter]
    search_help_text = _("An address, exactly")
    autocomplete_fields = ["application"]
    fields = [
        *("channel", "address", "application", "reason", "note", "expires_at"),
        *("source", "created_at"),
    ]
    actions_list = ["take_in", "take_out"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return ModelAdmin.has_delete_permission(self, request, obj)

    def get_fields(self, request: HttpRequest, obj: Suppression | None = None) -> Any:
        return self._fit(request, self.fields) if obj is not None else self.fields[:-2]

    def get_list_display(self, request: HttpRequest) -> list[str]:
        return self._fit(request, self.list_display)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ["masked"] if obj is not None else []

    def _fit(self, request: HttpRequest, names: list[str]) -> list[str]:
        """Addresses are masked for who may not see them."""
        if request.user.has_perm("messaging.see_contents"):
            return names
        return ["masked" if name == "address" else name for name in names]

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.none() if "\0" in text else queryset.filter(address=text.lower())

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        entry = Entry(obj.address, obj.reason, obj.note, obj.expires_at)
        row, is_new = suppressions.add(
            entry,
            channel=obj.channel,
            application_id=obj.application_id,
            source=_source(request),
            now=timezone.now(),
        )
        obj.pk = row.pk
        if not is_new:
            words = gettext("It was on the list already, for as long or longer.")
            self.message_user(request, words, messages.WARNING)

    # --- columns ---------------------------------------------------------------------------------

    @display(description=_("address"))
    def masked(self, row: Suppression) -> str:
        return mask_addresses(row.address)

    @display(description=_("reason"))
    def why(self, row: Suppression) -> str:
        return label(row.get_reason_display(), REASON_COLORS.get(row.reason, ""))

    @display(description=_("holds for"))
    def holds_for(self, row: Suppression) -> str:
        return str(row.application or gettext("all applications"))

    @display(description=_("added"))
    def added(self, row: Suppression) -> str:
        return date_format(timezone.localtime(row.created_at), "Y-m-d H:i:s")

    @display(description=_("until"))
    def until(self, row: Suppression) -> str:
        if row.expires_at is None:
            return gettext("for good")
        until = date_format(timezone.localtime(row.expires_at), "Y-m-d H:i")
        return label(gettext("expired"), "") if row.expires_at <= timezone.now() else until

    # --- files -----------------------------------------------------------------------------------

    def has_take_in_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request)

    def has_take_out_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The file holds whole addresses."""
        may_see = request.user.has_perm("messaging.see_contents")
        return may_see and self.has_view_permission(request)

    @action(description=_("Import"), icon="upload", url_path="import", permissions=["take_in"])
    def take_in(self, request: HttpRequest) -> HttpResponse:
        if not self.has_take_in_permission(request):
            raise PermissionDenied
        is_post = request.method == "POST"
        form = ImportForm(request.POST if is_post else None, request.FILES if is_post else None)
        if is_post and form.is_valid():
            return self._store(request, form)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Import"),
            "form": form,
            "back_url": _list_url(),
        }
        return TemplateResponse(request, "messaging/admin/import.html", context)

    def _store(self, request: HttpRequest, form: ImportForm) -> HttpResponse:
        parsed, application = form.cleaned_data["file"], form.cleaned_data["application"]
        added = suppressions.add_many(
            parsed.entries,
            channel=form.cleaned_data["channel"],
            application_id=application.pk if application else None,
            source=_source(request),
            now=timezone.now(),
        )
        words = gettext("%(added)s added, %(known)s were there already.") % {
            "added": added,
            "known": len(parsed.entries) - added,
        }
        self.message_user(request, words, messages.SUCCESS)
        _record(request, ADDITION, f"Imported: {added} added.")
        for bad in parsed.bad[:SHOWN_BAD_LINES]:
            words = gettext("Line %(line)s was left out: %(why)s")
            self.message_user(
                request, words % {"line": bad.line, "why": bad.detail}, messages.WARNING
            )
        more = len(parsed.bad) - SHOWN_BAD_LINES
        if more > 0:
            words = gettext("%(count)s more lines were left out.") % {"count": more}
            self.message_user(request, words, messages.WARNING)
        return HttpResponseRedirect(_list_url())

    @action(description=_("Export"), icon="download", url_path="export", permissions=["take_out"])
    def take_out(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        if not self.has_take_out_permission(request):
            raise PermissionDenied
        _record(request, CHANGE, "Exported.")
        rows = Suppression.objects.order_by("pk").iterator(chunk_size=1000)
        return StreamingHttpResponse(
            write_csv(rows),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="suppressions.csv"'},
        )


def _source(request: HttpRequest) -> str:
    user: Any = request.user
    return str(user.get_username())


def _record(request: HttpRequest, flag: int, words: str) -> None:
    """In the history of the list as a whole."""
    LogEntry.objects.create(
        user=cast(User, request.user),
        content_type=ContentType.objects.get_for_model(Suppression),
        object_repr=str(Suppression._meta.verbose_name_plural)[:200],
        action_flag=flag,
        change_message=words,
    )


def _list_url() -> str:
    return reverse("admin:messaging_suppression_changelist")

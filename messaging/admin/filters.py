"""The filters of the list of messages as fields of one form. What each means says
`messaging.selection`; where there is no index, only the newest rows are looked through, and the
filter's name says so."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django import forms
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.widgets import INPUT_CLASSES, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.models import Application
from messaging.admin.bulk_words import PERIODS, TEST_WORDS
from messaging.models import ChannelChoices, Feedback, Lane, Reason, Sender, Status
from messaging.search import among_newest
from messaging.selection import AMONG_NEWEST, as_moment, condition
from templates_app.models import Template

# Of more templates the field is one to write a code into.
CHOOSABLE = 200


class MomentInput(forms.TextInput):
    input_type = "datetime-local"


class FieldFilter(SimpleListFilter):
    """One parameter of `selection` as a field."""

    template = "messaging/admin/filter_fields.html"

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return (str(cls.parameter_name),)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return []

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for name in self.names():
            if value := self.used_parameters.get(name):
                queryset = self.narrow(queryset, name, str(value))
        return queryset

    def narrow(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        if name in AMONG_NEWEST:
            rows = among_newest(rows)
        return rows.filter(condition(name, value, at=timezone.now()))

    def field(self) -> forms.Field:
        return forms.CharField(
            label=capfirst(self.title), required=False, widget=UnfoldAdminTextInputWidget
        )

    def choices(self, changelist: Any) -> Iterator[Any]:
        form = forms.Form(data=self.used_parameters)
        form.fields[str(self.parameter_name)] = self.field()
        yield {"form": form}


class ChosenFilter(FieldFilter):
    """One of `choices_shown`; what is none of them narrows nothing."""

    choices_shown: ClassVar[Any] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(value), label) for value, label in self.choices_shown]

    def narrow(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        known = {choice for choice, _ in self.lookup_choices}
        return super().narrow(rows, name, value) if value in known else rows

    def field(self) -> forms.Field:
        return _choice(self.title, self.lookup_choices)


class StatusFilter(ChosenFilter):
    title = _("status")
    parameter_name = "status"
    choices_shown = [*Status.choices, ("scheduled", _("scheduled")), ("retrying", _("retrying"))]


class ReasonFilter(ChosenFilter):
    title = _("reason")
    parameter_name = "reason"
    choices_shown = Reason.choices


class ChannelFilter(ChosenFilter):
    title = _("channel (of the newest 100,000)")
    parameter_name = "channel"
    choices_shown = ChannelChoices.choices


class LaneFilter(ChosenFilter):
    title = _("priority (of the newest 100,000)")
    parameter_name = "lane"
    choices_shown = Lane.choices


class FeedbackFilter(ChosenFilter):
    title = _("feedback (of the newest 100,000)")
    parameter_name = "feedback"
    choices_shown = Feedback.choices


class SenderFilter(ChosenFilter):
    title = _("sender (of the newest 100,000)")
    parameter_name = "sender"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(pk), name) for pk, name in Sender.objects.values_list("pk", "name")]


class ApplicationFilter(ChosenFilter):
    title = _("application")
    parameter_name = "application"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(pk), name) for pk, name in Application.objects.values_list("pk", "name")]


class TemplateFilter(FieldFilter):
    """A choice where there are few, else a field for its code."""

    title = _("template")
    parameter_name = "template"

    def field(self) -> forms.Field:
        codes = Template.objects.order_by("code").values_list("code", flat=True).distinct()
        found = list(codes[: CHOOSABLE + 1])
        if len(found) > CHOOSABLE:
            return super().field()
        return _choice(self.title, [(code, code) for code in found])


class RecipientFilter(FieldFilter):
    title = _("recipient, exactly")
    parameter_name = "recipient"


class ReferenceFilter(FieldFilter):
    title = _("reference, exactly")
    parameter_name = "reference"


class TagFilter(FieldFilter):
    title = _("tag (of the newest 100,000)")
    parameter_name = "tag"


class TestFilter(ChosenFilter):
    """With it the list says what statistics say."""

    title = _("test messages")
    parameter_name = "test"
    choices_shown = list(TEST_WORDS.items())


class BatchFilter(FieldFilter):
    """Stands there only for who comes from a batch."""

    title = _("batch")
    parameter_name = "batch"

    def has_output(self) -> bool:
        return bool(self.value())


class CreatedFilter(ChosenFilter):
    """A period that ends now, or one from and to any moment."""

    title = _("accepted at")
    parameter_name = "created"
    choices_shown = list(PERIODS.items())
    moments: ClassVar[dict[str, Any]] = {
        "created_from": _("accepted from"),
        "created_to": _("accepted before"),
    }

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.moments:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return (str(cls.parameter_name), *cls.moments)

    def expected_parameters(self) -> list[str | None]:
        return list(self.names())

    def narrow(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        if name in self.moments:
            return FieldFilter.narrow(self, rows, name, value)
        return super().narrow(rows, name, value)

    def choices(self, changelist: Any) -> Iterator[Any]:
        shown = dict(self.used_parameters)
        for name in self.moments:
            # The field takes no offset: what a link gave with one is shown in the present zone.
            if (moment := as_moment(str(shown.get(name, "")))) is not None:
                shown[name] = f"{timezone.localtime(moment):%Y-%m-%dT%H:%M}"
        form = forms.Form(data=shown)
        form.fields[str(self.parameter_name)] = self.field()
        for name, label in self.moments.items():
            widget = MomentInput(attrs={"class": " ".join(INPUT_CLASSES)})
            form.fields[name] = forms.CharField(
                label=capfirst(label), required=False, widget=widget
            )
        yield {"form": form}


def _choice(title: Any, choices: list[tuple[str, Any]]) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=capfirst(title),
        required=False,
        choices=[("", _("All")), *choices],
        widget=UnfoldAdminSelectWidget,
    )


ALL = [
    StatusFilter,
    ReasonFilter,
    CreatedFilter,
    ApplicationFilter,
    TemplateFilter,
    RecipientFilter,
    ReferenceFilter,
    ChannelFilter,
    SenderFilter,
    LaneFilter,
    FeedbackFilter,
    TagFilter,
    TestFilter,
    BatchFilter,
]

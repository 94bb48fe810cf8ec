"""How the admin asks for what keys and applications may do."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
)

from accounts.models import ApiKey, Application, Scope, validate_regions
from accounts.recipients import parse_allowed

LIMITS: tuple[Any, dict[str, Any]] = (
    _("Limits"),
    {
        "fields": [("requests_per_second", "burst"), ("messages_per_day", "time_zone")],
        "description": _("Empty: the platform's default. 0: no limit."),
    },
)
CAPS: tuple[Any, dict[str, Any]] = (
    _("Limits for one recipient"),
    {
        "fields": [
            ("recipient_per_hour", "recipient_per_day"),
            "is_recipient_cap_for_high_only",
        ],
        "description": _(
            "How much this application may send to one and the same person, so that nobody is"
            " flooded with codes. Empty: the platform's default. 0: no limit."
        ),
    },
)


class LinesField(forms.CharField):
    """A list of strings, one a line."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != (initial or []))


class RightsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Rights in the operator's language: the database has their names in English."""

    def label_from_instance(self, obj: Any) -> str:
        usual = {
            "add": gettext("may add"),
            "change": gettext("may change"),
            "delete": gettext("may delete"),
            "view": gettext("may see"),
        }
        verb, _separator, model = obj.codename.partition("_")
        is_usual = verb in usual and model == obj.content_type.model
        return f"{obj.content_type} | {usual[verb] if is_usual else gettext(obj.name)}"


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        choices=Scope.choices,
        initial=list(Scope.values),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("What it may be used for."),
    )
    allowed_networks = LinesField(
        label=_("Allowed networks"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("One a line, for example 10.0.0.0/8. Empty: from anywhere."),
    )

    class Meta:
        model = ApiKey
        fields = ["application", "name", "kind", "scopes", "allowed_networks", "expires_at"]


class ApplicationForm(forms.ModelForm):  # type: ignore[type-arg]
    """Says in each empty field what holds then, and what the number means."""

    allowed_recipients = LinesField(
        label=_("Allowed recipients"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_(
            "For staging: only these are written to. An address, @example.com or *.example.com, "
            "one a line. Empty: everybody."
        ),
    )

    allowed_countries = LinesField(
        label=_("Countries for SMS"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text=_(
            "SMS go to numbers of these only, for example CN and HK, one a line. Empty: of the "
            "country above."
        ),
    )

    class Meta:
        model = Application
        fields = [
            "name",
            "description",
            "is_active",
            "allowed_recipients",
            "default_region",
            "allowed_countries",
            "requests_per_second",
            "burst",
            "messages_per_day",
            "time_zone",
            "recipient_per_hour",
            "recipient_per_day",
            "is_recipient_cap_for_high_only",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        none = gettext("no limit")
        defaults = {
            "requests_per_second": settings.DEFAULT_REQUESTS_PER_SECOND or none,
            "burst": gettext("as many as a second's"),
            "messages_per_day": settings.DEFAULT_MESSAGES_PER_DAY or none,
            "time_zone": settings.TIME_ZONE,
            "default_region": settings.DEFAULT_REGION,
            "recipient_per_hour": settings.DEFAULT_RECIPIENT_PER_HOUR or none,
            "recipient_per_day": settings.DEFAULT_RECIPIENT_PER_DAY or none,
        }
        for name, default in defaults.items():
            # Who may only look at the page has no fields.
            if name in self.fields:
                self.fields[name].widget.attrs["placeholder"] = str(default)

    def clean_default_region(self) -> str:
        return str(self.cleaned_data["default_region"]).strip().upper()

    def clean_allowed_countries(self) -> list[str]:
        countries = [line.upper() for line in self.cleaned_data["allowed_countries"]]
        validate_regions(countries)
        return countries

    def clean_allowed_recipients(self) -> list[str]:
        try:
            return [parse_allowed(line) for line in self.cleaned_data["allowed_recipients"]]
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

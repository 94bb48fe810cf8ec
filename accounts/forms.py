"""How the admin asks for what keys and applications may do."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
)

from accounts.models import ApiKey, Application, Scope
from accounts.recipients import parse_allowed


class LinesField(forms.CharField):
    """A list of strings, one a line."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != (initial or []))


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
    allowed_recipients = LinesField(
        label=_("Allowed recipients"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_(
            "For staging: only these are written to. An address, @example.com or *.example.com, "
            "one a line. Empty: everybody."
        ),
    )

    class Meta:
        model = Application
        fields = ["name", "description", "is_active", "allowed_recipients"]

    def clean_allowed_recipients(self) -> list[str]:
        try:
            return [parse_allowed(line) for line in self.cleaned_data["allowed_recipients"]]
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

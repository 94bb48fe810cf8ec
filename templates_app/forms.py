"""The form of a draft. It keeps what was written, with errors or not: it is only a draft."""

import json
from typing import Any

from django import forms
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext_lazy as _

from core.vocabulary import Channel
from templates_app.looking import follow_text
from templates_app.models import BodyFormat, Template, TemplateVersion, no_variables
from templates_app.publishing import Draft
from templates_app.source import BODY_FORMATS, Source

# What a version of each channel consists of.
FIELDS: dict[str, tuple[str, ...]] = {
    Channel.EMAIL: ("subject", "body_format", "body", "text", "variables"),
    Channel.SMS: (
        *("provider_template_id", "provider_signature", "body"),
        *("provider_parameters", "variables"),
    ),
    Channel.WECHAT: ("subject", "body_format", "body", "variables"),
    Channel.WECHAT_OFFICIAL: (
        *("provider_template_id", "provider_kind", "provider_parameters"),
        *("body", "variables"),
    ),
    Channel.CHAT: ("subject", "body_format", "body", "variables"),
}
KINDS = [("template", _("template message")), ("subscribe", _("subscribe notice"))]
# As long as what it may become.
MAX_PART = 512_000


class ObjectField(forms.JSONField):
    """A JSON object, however deep."""

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value) if value else self.nothing()
        except RecursionError:
            found = None
        if not isinstance(found, dict):
            raise forms.ValidationError(_("It must be a JSON object."), code="invalid")
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What is nested too deeply goes back into the page as it came."""
        try:
            return super().bound_data(data, initial)
        except RecursionError:
            return InvalidJSONInput(data)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return super().has_changed(initial, data)
        except RecursionError:
            return True

    def nothing(self) -> dict[str, Any]:
        """What an empty field is."""
        return {}

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return json.dumps(value, indent=2, ensure_ascii=False)
        return super().prepare_value(value)


class SchemaField(ObjectField):
    """A JSON schema."""

    def nothing(self) -> dict[str, Any]:
        return no_variables()


class ParametersField(ObjectField):
    """Texts by names."""

    def to_python(self, value: Any) -> Any:
        found = super().to_python(value)
        if not all(isinstance(text, str) for text in found.values()):
            raise forms.ValidationError(_("Its values must be texts."), code="invalid")
        return found

    def prepare_value(self, value: Any) -> Any:
        return super().prepare_value(value) if value else ""


def _area(classes: str = "te-input") -> forms.Textarea:
    return forms.Textarea(attrs={"class": classes, "spellcheck": "false", "autocomplete": "off"})


def _line() -> forms.TextInput:
    return forms.TextInput(attrs={"class": "te-input", "autocomplete": "off"})


class DraftForm(forms.ModelForm):  # type: ignore[type-arg]
    variables = SchemaField(required=False, widget=_area("te-input te-small"))
    provider_parameters = ParametersField(required=False, widget=_area("te-input te-small"))
    provider_kind = forms.ChoiceField(
        choices=KINDS, required=False, widget=forms.Select(attrs={"class": "te-input"})
    )
    revision = forms.CharField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = TemplateVersion
        fields = sorted({name for names in FIELDS.values() for name in names})
        widgets = {
            "subject": _line(),
            "body": _area(),
            "text": _area(),
            "body_format": forms.Select(attrs={"class": "te-input"}),
            "provider_template_id": _line(),
            "provider_signature": _line(),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Blanks at the ends are part of a text.
        for name in ("body", "text"):
            field: Any = self.fields[name]
            field.strip, field.max_length = False, MAX_PART
        channel = self.instance.template.channel
        formats = BODY_FORMATS[channel]
        chosen: Any = self.fields["body_format"]
        chosen.choices = [choice for choice in BodyFormat.choices if choice[0] in formats]
        kept = {*fields_of(channel), "revision"}
        for name in set(self.fields) - kept:
            del self.fields[name]

    def validate_constraints(self) -> None:
        """They are about what is no field here."""

    def _post_clean(self) -> None:
        """The instance stays as it is stored: `publishing` writes it."""

    def draft(self) -> Draft:
        data = self.cleaned_data
        source = source_of(self.instance.template, data)
        return Draft(
            source=source,
            variables=follow_text(source, data["variables"]),
            provider_template_id=data.get("provider_template_id", ""),
            provider_signature=data.get("provider_signature", ""),
            provider_kind=data.get("provider_kind", ""),
            change_note=self.instance.change_note,
        )


def fields_of(channel: str) -> tuple[str, ...]:
    """What a version of this channel consists of."""
    return FIELDS[channel]


def source_of(template: Template, data: dict[str, Any]) -> Source:
    """`data` may be as it is typed: its parameters are a text then, perhaps none yet."""
    parameters = data.get("provider_parameters") or {}
    if isinstance(parameters, str):
        try:
            parameters = ParametersField(required=False).clean(parameters)
        except forms.ValidationError:
            parameters = {}
    return Source(
        subject=data.get("subject", ""),
        body=(data.get("body") or "").replace("\r\n", "\n"),
        body_format=data.get("body_format") or BODY_FORMATS[template.channel][0],
        text=(data.get("text") or "").replace("\r\n", "\n"),
        channel=template.channel,
        parameters=parameters,
    )


class DuplicateForm(forms.ModelForm):  # type: ignore[type-arg]
    """Where a copy is to live."""

    class Meta:
        model = Template
        fields = ["code", "locale", "application"]
        widgets = {
            "code": _line(),
            "locale": _line(),
            "application": forms.Select(attrs={"class": "te-input"}),
        }

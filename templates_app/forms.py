"""The form of a draft. It keeps what was written, with errors or not: it is only a draft."""

import json
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from core.vocabulary import Channel
from templates_app.looking import follow_text
from templates_app.models import Template, TemplateVersion, no_variables
from templates_app.publishing import Draft
from templates_app.source import Source

FIELDS = ("subject", "body_format", "body", "text", "variables")
PROVIDER_FIELDS = ("provider_template_id", "provider_signature", "variables")
# As long as what it may become.
MAX_PART = 512_000


class SchemaField(forms.JSONField):
    """A JSON object; an empty field is an empty one."""

    def to_python(self, value: Any) -> Any:
        schema = super().to_python(value) if value else no_variables()
        if not isinstance(schema, dict):
            raise forms.ValidationError(_("It must be a JSON object."), code="invalid")
        return schema

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return json.dumps(value, indent=2, ensure_ascii=False)
        return super().prepare_value(value)


def _area(classes: str = "te-input") -> forms.Textarea:
    return forms.Textarea(attrs={"class": classes, "spellcheck": "false", "autocomplete": "off"})


def _line() -> forms.TextInput:
    return forms.TextInput(attrs={"class": "te-input", "autocomplete": "off"})


class DraftForm(forms.ModelForm):  # type: ignore[type-arg]
    variables = SchemaField(required=False, widget=_area("te-input te-small"))
    revision = forms.CharField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = TemplateVersion
        fields = [*FIELDS, *PROVIDER_FIELDS[:2]]
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
        kept = {*fields_of(self.instance.template.channel), "revision"}
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
            change_note=self.instance.change_note,
        )


def fields_of(channel: str) -> tuple[str, ...]:
    """What a version of this channel consists of."""
    return FIELDS if channel == Channel.EMAIL else PROVIDER_FIELDS


def source_of(template: Template, data: dict[str, Any]) -> Source:
    return Source(
        subject=data.get("subject", ""),
        body=(data.get("body") or "").replace("\r\n", "\n"),
        body_format=data.get("body_format") or "html",
        text=(data.get("text") or "").replace("\r\n", "\n"),
        channel=template.channel,
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

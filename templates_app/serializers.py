from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import MAX_DEDUPE_SECONDS
from core.schema_rules import NEVER
from core.serializers import ErrorSerializer, StrictBooleanField, StrictCharField, StrictSerializer
from core.vocabulary import Channel, Lane, Policy
from templates_app.fields import CodeField, LocaleField, ParametersField, VariablesField
from templates_app.markup import MAX_BODY
from templates_app.models import HANDLING, MAX_LIFETIME, BodyFormat, Template, TemplateVersion
from templates_app.publishing import Draft, as_field_errors, problems_of
from templates_app.source import (
    MAX_SUBJECT_SOURCE,
    Source,
)

PREVIEW_IS_A_PATH = "preview"


@extend_schema_field({"type": "object", "additionalProperties": True})
class SchemaField(VariablesField):
    """A JSON schema of type object."""


class TextRequest(StrictSerializer):
    """The text of a version."""

    subject = StrictCharField(required=False, max_length=MAX_SUBJECT_SOURCE, allow_blank=True)
    body = StrictCharField(
        required=False, max_length=MAX_BODY, allow_blank=True, trim_whitespace=False
    )
    body_format = serializers.ChoiceField(
        choices=BodyFormat.choices,
        required=False,
        help_text="By default `html`; of other channels than e-mail `text`.",
    )
    text = StrictCharField(
        required=False,
        max_length=MAX_BODY,
        allow_blank=True,
        trim_whitespace=False,
        help_text="The plain text beside an HTML body. Empty: made from it.",
    )
    provider_parameters = ParametersField(
        required=False,
        help_text="SMS and WeChat Official Account: what is put where in the provider's template. "
        "Without, of SMS the variables of the body by their names.",
    )

    def as_source(self, channel: str, before: Source | None = None) -> Source:
        """What is given, and `before` for the rest."""
        data, before = self.validated_data, before or Source.empty(channel)
        return Source(
            subject=data.get("subject", before.subject),
            body=data.get("body", before.body),
            body_format=data.get("body_format", before.body_format),
            text=data.get("text", before.text),
            channel=channel,
            parameters=data.get("provider_parameters", before.parameters),
        )


class DraftRequest(TextRequest):
    variables = SchemaField(
        required=False,
        help_text="What callers have to give, as a JSON schema (2020-12) of type object. Without, "
        "it follows the text.",
    )
    change_note = StrictCharField(required=False, max_length=500, allow_blank=True)
    provider_template_id = StrictCharField(required=False, max_length=100, allow_blank=True)
    provider_signature = StrictCharField(required=False, max_length=100, allow_blank=True)
    provider_kind = serializers.ChoiceField(
        choices=["template", "subscribe"],
        required=False,
        help_text="WeChat Official Account: a template message, or a subscribe notice.",
    )

    def draft(self, channel: str, before: Draft | None = None) -> Draft:
        data = self.validated_data
        source = self.as_source(channel, before.source if before else None)
        before = before or Draft(source)
        return Draft(
            source=source,
            variables=data.get("variables", before.variables),
            provider_template_id=data.get("provider_template_id", before.provider_template_id),
            provider_signature=data.get("provider_signature", before.provider_signature),
            provider_kind=data.get("provider_kind", before.provider_kind),
            change_note=data.get("change_note", before.change_note),
        )


class VersionRequest(DraftRequest):
    """A new version: all of its text. Only a WeChat Official Account's may have no body."""

    schema_conditions = {"anyOf": [{"required": ["body"]}, {"required": ["provider_parameters"]}]}

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if "body" not in data and "provider_parameters" not in data:
            words = "This field is required."
            raise serializers.ValidationError(
                {"body": [serializers.ErrorDetail(words, code="required")]}
            )
        return data


class HandlingFields(StrictSerializer):
    """How the messages of a template are handled, unless a request says otherwise."""

    name = StrictCharField(required=False, max_length=100)
    description = StrictCharField(required=False, max_length=2000, allow_blank=True)
    priority = serializers.ChoiceField(choices=Lane.choices, required=False)
    policy = serializers.ChoiceField(choices=Policy.choices, required=False)
    lifetime_seconds = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=MAX_LIFETIME,
        help_text="Its messages are not sent after so long. Null: 72 hours.",
    )
    dedupe_seconds = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=MAX_DEDUPE_SECONDS,
        help_text="The same message again within it is not sent twice; 0 switches that off. Null: "
        "as the application is set.",
    )


class TemplateChange(HandlingFields):
    archived = StrictBooleanField(required=False, help_text="False brings an archived one back.")


class TemplateRequest(HandlingFields, DraftRequest):
    """A template with the text of its first version, which is a draft."""

    code = CodeField()
    locale = LocaleField(required=False, help_text="Empty: for every language without its own.")
    channel = serializers.ChoiceField(choices=Channel.choices, default=Channel.EMAIL)

    def validate_code(self, code: str) -> str:
        if code == PREVIEW_IS_A_PATH:
            raise serializers.ValidationError("This name is taken.", code="invalid_code")
        return code

    def template(self, application_id: int) -> Template:
        data = self.validated_data
        chosen = ("description", *HANDLING)
        return Template(
            application_id=application_id,
            code=data["code"],
            locale=data.get("locale", ""),
            channel=data["channel"],
            name=data.get("name", data["code"]),
            **{name: data[name] for name in chosen if name in data},
        )

    def first_draft(self) -> Draft | None:
        data = self.validated_data
        has_text = any(name in data for name in _OF_FIRST)
        return self.draft(data["channel"]) if has_text else None


_OF_FIRST = ("subject", "body", "text", "variables", "provider_template_id", "provider_parameters")


class PublishRequest(StrictSerializer):
    change_note = StrictCharField(required=False, default="", max_length=500, allow_blank=True)
    confirm = StrictBooleanField(
        default=False,
        help_text="Publish although recent callers do not send what it newly requires.",
    )


class RollbackRequest(StrictSerializer):
    version = serializers.IntegerField(min_value=1, help_text="A published one, not the current.")
    change_note = StrictCharField(
        required=False,
        default="",
        max_length=500,
        allow_blank=True,
        help_text="By default `Back to version 1.`",
    )


_TEXTS = ("subject", "body", "body_format", "text", "provider_parameters", "channel")


class PreviewRequest(TextRequest):
    schema_conditions = {
        "oneOf": [
            {
                "required": ["body"],
                "properties": {"template_code": NEVER, "template_version": NEVER},
            },
            {
                "required": ["template_code"],
                "properties": dict.fromkeys(_TEXTS, NEVER),
            },
        ]
    }

    template_code = CodeField(required=False, help_text="A stored template; else give the text.")
    template_version = serializers.IntegerField(
        required=False, min_value=1, help_text="A draft too. By default the current one."
    )
    locale = LocaleField(required=False)
    variables = VariablesField(required=False)
    channel = serializers.ChoiceField(
        choices=Channel.choices, required=False, help_text="Of a text; by default e-mail."
    )

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        texts = [name for name in _TEXTS if name in data]
        errors: dict[str, Any] = {}
        if "template_code" in data:
            for name in texts:
                errors[name] = ("It does not go with template_code, which says it.", "conflict")
        else:
            if "body" not in data:
                words = "Give a body, or the template_code of a stored template."
                errors["body"] = (words, "required")
            if "template_version" in data:
                errors["template_version"] = ("It goes with template_code only.", "conflict")
        if errors:
            raise serializers.ValidationError(
                {name: [serializers.ErrorDetail(*error)] for name, error in errors.items()}
            )
        return data


class TemplateQuery(StrictSerializer):
    """The filters of the list."""

    code = CodeField(required=False)
    channel = serializers.ChoiceField(choices=Channel.choices, required=False)
    locale = LocaleField(required=False)
    archived = serializers.BooleanField(default=False)


class LocaleQuery(StrictSerializer):
    locale = LocaleField(
        default="", help_text="Of the template; exactly, and by default the one without any."
    )


class VersionSummary(serializers.ModelSerializer[TemplateVersion]):
    version = serializers.IntegerField(source="number")
    status = serializers.CharField(help_text="`draft` or `published`.")
    is_current = serializers.SerializerMethodField()
    author = serializers.CharField(source="author_name")

    class Meta:
        model = TemplateVersion
        fields = [
            *("version", "status", "is_current", "subject", "body_format", "change_note"),
            *("author", "published_at", "created_at", "updated_at"),
        ]

    def get_is_current(self, version: TemplateVersion) -> bool:
        return version.template.current_version_id == version.pk


class VersionDetail(VersionSummary):
    variables = SchemaField()
    problems = serializers.SerializerMethodField(help_text="Why a draft cannot be published yet.")

    class Meta(VersionSummary.Meta):
        fields = [
            *VersionSummary.Meta.fields,
            *("body", "text", "variables", "provider_template_id", "provider_signature"),
            *("provider_kind", "provider_parameters", "problems"),
        ]

    @extend_schema_field(ErrorSerializer(many=True))
    def get_problems(self, version: TemplateVersion) -> Any:
        if version.is_published:
            return []
        return ErrorSerializer(as_field_errors(problems_of(version)), many=True).data


class TemplateSummary(serializers.ModelSerializer[Template]):
    is_shared = serializers.SerializerMethodField(help_text="Of all applications; read only here.")
    current_version = serializers.IntegerField(source="current_version.number", allow_null=True)

    class Meta:
        model = Template
        fields = [
            *("code", "locale", "channel", "name", "description", "is_shared", "archived_at"),
            *("current_version", *HANDLING, "created_at", "updated_at"),
        ]

    def get_is_shared(self, template: Template) -> bool:
        return template.application_id is None


class TemplateDetail(TemplateSummary):
    current = serializers.SerializerMethodField(help_text="What is sent now; null before that.")
    latest_version = serializers.SerializerMethodField(help_text="The newest, also as a draft.")

    class Meta(TemplateSummary.Meta):
        fields = [*TemplateSummary.Meta.fields, "current", "latest_version"]

    @extend_schema_field(
        {"oneOf": [{"$ref": "#/components/schemas/VersionDetail"}, {"type": "null"}]}
    )
    def get_current(self, template: Template) -> Any:
        version = template.current_version
        if version is None:
            return None
        version.template = template
        return VersionDetail(version).data

    @extend_schema_field({"type": ["integer", "null"]})
    def get_latest_version(self, template: Template) -> int | None:
        return template.versions.order_by("-number").values_list("number", flat=True).first()


class FoundVariableSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="`user.name`, `items[].price`.")
    type = serializers.CharField()
    is_required = serializers.BooleanField()
    parts = serializers.ListField(child=serializers.CharField())


class Preview(serializers.Serializer[Any]):
    subject = serializers.CharField(source="rendered.subject")
    html = serializers.CharField(source="rendered.html")
    text = serializers.CharField(source="rendered.text")
    variables = FoundVariableSerializer(many=True)
    parameters = serializers.DictField(
        source="rendered.parameters",
        child=serializers.CharField(),
        help_text="Of the provider's template.",
    )
    warnings = ErrorSerializer(many=True)

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.serializers import ErrorSerializer, SharedFields, StrictCharField, StrictSerializer
from messaging import intake, simulation
from messaging.channels.base import EmailContent
from messaging.fields import (
    MAX_RECIPIENTS,
    AddressesField,
    LineField,
    MetadataField,
    MomentField,
    TagsField,
)
from messaging.intake import Handling
from messaging.models import ChannelChoices, Lane, Message, Policy, Reason
from messaging.story import SHOWN_STATUSES, shown_status, tell
from templates_app.fields import CodeField, LocaleField, VariablesField
from templates_app.sending import Wanted

MAX_CONTENT = 512_000


class HandlingRequest(StrictSerializer):
    """What every channel's send call takes."""

    priority = serializers.ChoiceField(
        choices=Lane.choices,
        required=False,
        help_text="`high` is for codes and alarms. By default the template's, or `normal`.",
    )
    policy = serializers.ChoiceField(
        choices=Policy.choices,
        required=False,
        help_text="What happens when a provider gave no answer: `at_least_once` sends once more. "
        "By default the template's, or `at_least_once`.",
    )
    expires_at = MomentField(
        required=False,
        help_text="It is not sent after this. By default the template's lifetime, or 72 hours.",
    )
    reference = LineField(
        required=False, max_length=200, default="", help_text="Your own name for it."
    )
    metadata = MetadataField(required=False, default=dict, help_text="Comes back as it is.")
    tags = TagsField(required=False, default=list)

    def validate_expires_at(self, value: datetime) -> datetime:
        seconds = (value - timezone.now()).total_seconds()
        if not 0 < seconds <= 366 * 86_400:
            raise serializers.ValidationError(
                "It must be in the future, and within a year.", code="invalid_moment"
            )
        return value

    def handling(self) -> Handling:
        data = self.validated_data
        return Handling(
            lane=data.get("priority", ""),
            policy=data.get("policy", ""),
            expires_at=data.get("expires_at"),
            reference=data["reference"],
            metadata=data["metadata"],
            tags=data["tags"],
        )


class EmailRequest(HandlingRequest):
    to = AddressesField()
    cc = AddressesField(required=False)
    bcc = AddressesField(required=False)
    reply_to = AddressesField(required=False)
    subject = LineField(
        required=False, max_length=255, trim_whitespace=False, help_text="Unless by a template."
    )
    content = StrictCharField(
        required=False,
        max_length=MAX_CONTENT,
        trim_whitespace=False,
        help_text="Unless by a template.",
    )
    content_type = serializers.ChoiceField(
        choices=["html", "text"], required=False, help_text="Of `content`; by default `html`."
    )
    text = StrictCharField(
        required=False,
        max_length=MAX_CONTENT,
        trim_whitespace=False,
        help_text="The plain text beside an HTML `content`.",
    )
    template_code = CodeField(
        required=False, help_text="Sends by a template, instead of `subject` and `content`."
    )
    template_version = serializers.IntegerField(
        required=False, min_value=1, help_text="A published one; by default the current one."
    )
    locale = LocaleField(
        required=False,
        help_text="For example `zh-hans-cn`: the nearest language that there is, and its dates "
        "and numbers.",
    )
    variables = VariablesField(required=False)
    template_variables = VariablesField(
        required=False, help_text="An older spelling of `variables`."
    )
    strict = serializers.BooleanField(
        required=False, help_text="Refuse variables that the template does not know."
    )

    def to_internal_value(self, data: Any) -> Any:
        """What does not go together is named with everything else that is wrong."""
        misfits = _misfits(data) if isinstance(data, dict) else {}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**misfits, **error.detail}) from None  # type: ignore[dict-item]
        if misfits:
            raise serializers.ValidationError(misfits)
        return value

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        total = sum(len(data.get(role, ())) for role in ("to", "cc", "bcc"))
        if total > MAX_RECIPIENTS:
            words = f"to, cc and bcc hold {total} addresses together; at most {MAX_RECIPIENTS}."
            raise serializers.ValidationError(
                {"to": [serializers.ErrorDetail(words, code="too_many")]}
            )
        return data

    def email_content(self) -> EmailContent:
        """Without its text where a template gives it."""
        data = self.validated_data
        is_html = data.get("content_type", "html") == "html"
        content = data.get("content", "")
        return EmailContent(
            to=data["to"],
            cc=data.get("cc", []),
            bcc=data.get("bcc", []),
            reply_to=data.get("reply_to", []),
            subject=data.get("subject", ""),
            html=content if is_html else "",
            text=data.get("text", "") if is_html else content,
        )

    def wanted_template(self) -> Wanted | None:
        data = self.validated_data
        if "template_code" not in data:
            return None
        return Wanted(
            code=data["template_code"],
            variables=data.get("variables", data.get("template_variables", {})),
            version=data.get("template_version"),
            locale=data.get("locale", ""),
            is_strict=data.get("strict", False),
        )


_OF_TEMPLATES = ("template_version", "locale", "variables", "template_variables", "strict")


def _misfits(data: dict[str, Any]) -> dict[str, list[serializers.ErrorDetail]]:
    """A mail has a text of its own or a template's, and the fields that go with it."""
    found: dict[str, tuple[str, str]] = {}
    if "template_code" in data:
        for name in ("subject", "content", "content_type", "text"):
            if name in data:
                found[name] = ("It does not go with template_code, which says it.", "conflict")
        if "variables" in data and "template_variables" in data:
            found["template_variables"] = ("It is an older spelling of variables.", "conflict")
    else:
        for name in ("subject", "content"):
            if name not in data:
                words = "This field is required, unless a template_code is given."
                found[name] = (words, "required")
        for name in _OF_TEMPLATES:
            if name in data:
                found[name] = ("It goes with template_code only.", "conflict")
        if data.get("content_type") == "text" and "text" in data:
            words = "It goes with content_type html only; here content is the text."
            found["text"] = (words, "conflict")
    return {
        name: [serializers.ErrorDetail(words, code=code)] for name, (words, code) in found.items()
    }


class MessageQuery(StrictSerializer):
    """The filters of the list."""

    status = serializers.ChoiceField(choices=SHOWN_STATUSES, required=False)
    channel = serializers.ChoiceField(choices=ChannelChoices.choices, required=False)
    recipient = StrictCharField(
        required=False, max_length=254, help_text="An address, exactly; any of to, cc and bcc."
    )
    reference = StrictCharField(required=False, max_length=200)
    template = CodeField(required=False, help_text="The code of a template, any version.")
    created_after = MomentField(required=False, help_text="From this moment on.")
    created_before = MomentField(required=False, help_text="Before this moment.")


class Accepted(SharedFields):
    id = serializers.UUIDField(source="message.id")
    status = serializers.CharField(source="message.status")
    created_at = serializers.DateTimeField(source="message.created_at")
    warnings = ErrorSerializer(
        many=True, help_text="What was passed over: variables that the template does not know, …"
    )

    def to_representation(self, accepted: intake.Accepted) -> dict[str, Any]:
        """What the fields say, past them: it is the answer to every send."""
        message = accepted.message
        created_at = self.fields["created_at"].to_representation(message.created_at)
        return {
            "id": str(message.pk),
            "status": message.status,
            "created_at": created_at,
            "warnings": [asdict(warning) for warning in accepted.warnings],
        }


class TemplateUsed(serializers.Serializer[Any]):
    """What a message was rendered from."""

    code = serializers.CharField(source="template.code")
    version = serializers.IntegerField(source="number")
    locale = serializers.CharField(source="template.locale")


class StepSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()
    at = serializers.DateTimeField()
    detail = serializers.CharField()
    sender = serializers.CharField()


class MessageSummary(serializers.ModelSerializer[Message]):
    status = serializers.SerializerMethodField()
    priority = serializers.CharField(source="lane")
    sender = serializers.SerializerMethodField(help_text="Who took it, or who tried last.")
    test = serializers.SerializerMethodField(
        help_text="Went into the simulator: nothing was sent to anybody."
    )
    subject = serializers.SerializerMethodField()
    reason = serializers.ChoiceField(choices=Reason.choices, allow_blank=True)
    template = TemplateUsed(source="template_version", allow_null=True)

    class Meta:
        model = Message
        fields = [
            "id",
            "channel",
            "status",
            "reason",
            "reason_detail",
            "feedback",
            "recipient",
            "subject",
            "template",
            "priority",
            "policy",
            "sender",
            "test",
            "reference",
            "metadata",
            "tags",
            "request_id",
            "created_at",
            "due_at",
            "expires_at",
            "finished_at",
        ]

    @extend_schema_field({"type": "string", "enum": list(SHOWN_STATUSES)})
    def get_status(self, message: Message) -> str:
        return shown_status(message, now=timezone.now())

    def get_sender(self, message: Message) -> str | None:
        return message.sender.name if message.sender is not None else None

    def get_test(self, message: Message) -> bool:
        return simulation.is_test(message)

    def get_subject(self, message: Message) -> str:
        return str(getattr(message, "subject", None) or message.content.get("subject", ""))


class MessageDetail(MessageSummary):
    to = serializers.SerializerMethodField()
    cc = serializers.SerializerMethodField()
    bcc = serializers.SerializerMethodField()
    reply_to = serializers.SerializerMethodField()
    html = serializers.SerializerMethodField()
    text = serializers.SerializerMethodField()
    history = serializers.SerializerMethodField(help_text="Every state and since when.")

    class Meta(MessageSummary.Meta):
        fields = [
            *MessageSummary.Meta.fields,
            "to",
            "cc",
            "bcc",
            "reply_to",
            "html",
            "text",
            "history",
        ]

    def get_to(self, message: Message) -> list[str]:
        return _written(message.content.get("to", ()))

    def get_cc(self, message: Message) -> list[str]:
        return _written(message.content.get("cc", ()))

    def get_bcc(self, message: Message) -> list[str]:
        return _written(message.content.get("bcc", ()))

    def get_reply_to(self, message: Message) -> list[str]:
        return _written(message.content.get("reply_to", ()))

    def get_html(self, message: Message) -> str:
        return str(message.content.get("html", ""))

    def get_text(self, message: Message) -> str:
        return str(message.content.get("text", ""))

    @extend_schema_field(StepSerializer(many=True))
    def get_history(self, message: Message) -> Any:
        return StepSerializer(tell(message), many=True).data


def _written(people: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name} <{address}>" if name else address for name, address in people]

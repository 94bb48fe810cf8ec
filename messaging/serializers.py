import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.addresses import CONTROL, InvalidAddress, parse_address
from core.serializers import SharedFields, StrictCharField, StrictSerializer
from messaging.channels.base import EmailContent
from messaging.intake import Handling
from messaging.models import ChannelChoices, Lane, Message, Policy, Reason
from messaging.story import SHOWN_STATUSES, shown_status, tell

MAX_RECIPIENTS = 50
MAX_CONTENT = 512_000
TAG = re.compile(r"[A-Za-z0-9._:-]{1,50}")


class LineField(StrictCharField):
    """Text that ends up in a header: one line, no control characters, no turned directions."""

    default_error_messages = {
        "control_characters": "It holds line breaks, control characters or direction overrides."
    }

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, str) and CONTROL.search(data):
            self.fail("control_characters")
        return super().to_internal_value(data)


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "examples": ["ann@example.com"]},
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 50},
        ]
    }
)
class AddressesField(serializers.Field[Any, Any, Any, Any]):
    """An address or a list of them, each `a@b.c` or `Name <a@b.c>`; read as (name, address)."""

    default_error_messages = {
        "invalid": "Give an address, or a list of addresses.",
        "empty": "Give at least one address.",
        "too_many": f"At most {MAX_RECIPIENTS} addresses.",
    }

    def to_internal_value(self, data: Any) -> list[tuple[str, str]]:
        if isinstance(data, str):
            return [self._parse(data)]
        if not isinstance(data, list):
            self.fail("invalid")
        if not data:
            self.fail("empty")
        if len(data) > MAX_RECIPIENTS:
            self.fail("too_many")
        found: list[tuple[str, str]] = []
        errors: dict[str, Any] = {}
        for index, item in enumerate(data):
            try:
                found.append(self._parse(item))
            except serializers.ValidationError as error:
                errors[str(index)] = error.detail
        if errors:
            raise serializers.ValidationError(errors)
        return found

    def _parse(self, item: Any) -> tuple[str, str]:
        if not isinstance(item, str):
            raise serializers.ValidationError("It must be a string.", code="invalid")
        try:
            parsed = parse_address(item)
        except InvalidAddress as error:
            raise serializers.ValidationError(str(error), code=error.code) from error
        return parsed.name, parsed.address


@extend_schema_field({"type": "string", "format": "date-time"})
class MomentField(serializers.Field[datetime, str, str, Any]):
    """RFC 3339 with an offset; a time without one would mean something else on every server."""

    default_error_messages = {
        "invalid": "It must be a time with an offset, for example 2026-11-22T09:30:00+08:00."
    }

    def to_internal_value(self, data: Any) -> datetime:
        # In a URL the plus of an offset arrives as a space.
        text = re.sub(r" (?=\d\d:\d\d$)", "+", data) if isinstance(data, str) else ""
        try:
            moment = parse_datetime(text)
            if moment is None or moment.tzinfo is None:
                self.fail("invalid")
            return moment.astimezone(timezone.get_default_timezone())
        except (ValueError, OverflowError):
            self.fail("invalid")


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class MetadataField(serializers.Field[Any, Any, Any, Any]):
    default_error_messages = {
        "invalid": "It must be an object of at most 20 strings: names up to 50, values up to 500 "
        "characters.",
    }

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if (
            not isinstance(data, dict)
            or len(data) > 20
            or not all(
                isinstance(value, str) and 0 < len(name) <= 50 and len(value) <= 500
                for name, value in data.items()
            )
        ):
            self.fail("invalid")
        return data


@extend_schema_field({"type": "array", "items": {"type": "string"}, "maxItems": 10})
class TagsField(serializers.Field[Any, Any, Any, Any]):
    default_error_messages = {
        "invalid": "It must be a list of at most 10 tags, each of 1 to 50 letters, digits and "
        "the characters . _ : -",
    }

    def to_internal_value(self, data: Any) -> list[str]:
        if (
            not isinstance(data, list)
            or len(data) > 10
            or not all(isinstance(tag, str) and TAG.fullmatch(tag) for tag in data)
        ):
            self.fail("invalid")
        return list(dict.fromkeys(data))


class HandlingRequest(StrictSerializer):
    """What every channel's send call takes."""

    priority = serializers.ChoiceField(
        choices=Lane.choices, default=Lane.NORMAL, help_text="`high` is for codes and alarms."
    )
    policy = serializers.ChoiceField(
        choices=Policy.choices,
        default=Policy.AT_LEAST_ONCE,
        help_text="What happens when a provider gave no answer: `at_least_once` sends once more.",
    )
    expires_at = MomentField(
        required=False, help_text="It is not sent after this. By default in 72 hours."
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
            lane=data["priority"],
            policy=data["policy"],
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
    subject = LineField(max_length=255, trim_whitespace=False)
    content = StrictCharField(max_length=MAX_CONTENT, trim_whitespace=False)
    content_type = serializers.ChoiceField(choices=["html", "text"], default="html")
    text = StrictCharField(
        required=False,
        max_length=MAX_CONTENT,
        trim_whitespace=False,
        help_text="The plain text beside an HTML `content`.",
    )

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        errors: dict[str, Any] = {}
        total = sum(len(data.get(role, ())) for role in ("to", "cc", "bcc"))
        if total > MAX_RECIPIENTS:
            errors["to"] = serializers.ErrorDetail(
                f"to, cc and bcc hold {total} addresses together; at most {MAX_RECIPIENTS}.",
                code="too_many",
            )
        if data["content_type"] == "text" and "text" in data:
            errors["text"] = serializers.ErrorDetail(
                "It goes with content_type html only; here content is the text.", code="conflict"
            )
        if errors:
            raise serializers.ValidationError({name: [error] for name, error in errors.items()})
        return data

    def email_content(self) -> EmailContent:
        data = self.validated_data
        is_html = data["content_type"] == "html"
        return EmailContent(
            to=data["to"],
            cc=data.get("cc", []),
            bcc=data.get("bcc", []),
            reply_to=data.get("reply_to", []),
            subject=data["subject"],
            html=data["content"] if is_html else "",
            text=data.get("text", "") if is_html else data["content"],
        )


class MessageQuery(StrictSerializer):
    """The filters of the list."""

    status = serializers.ChoiceField(choices=SHOWN_STATUSES, required=False)
    channel = serializers.ChoiceField(choices=ChannelChoices.choices, required=False)
    recipient = StrictCharField(
        required=False, max_length=254, help_text="An address, exactly; any of to, cc and bcc."
    )
    reference = StrictCharField(required=False, max_length=200)
    created_after = MomentField(required=False, help_text="From this moment on.")
    created_before = MomentField(required=False, help_text="Before this moment.")


class Accepted(SharedFields):
    id = serializers.UUIDField()
    status = serializers.CharField()
    created_at = serializers.DateTimeField()


class StepSerializer(serializers.Serializer[Any]):
    status = serializers.CharField()
    at = serializers.DateTimeField()
    detail = serializers.CharField()
    sender = serializers.CharField()


class MessageSummary(serializers.ModelSerializer[Message]):
    status = serializers.SerializerMethodField()
    priority = serializers.CharField(source="lane")
    sender = serializers.SerializerMethodField(help_text="Who took it, or who tried last.")
    subject = serializers.SerializerMethodField()
    reason = serializers.ChoiceField(choices=Reason.choices, allow_blank=True)

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
            "priority",
            "policy",
            "sender",
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

"""How messages are asked for and shown."""

from collections.abc import Iterable
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.serializers import (
    StrictBooleanField,
    StrictCharField,
    StrictSerializer,
    StrictUUIDField,
)
from messaging import simulation
from messaging.fields import MomentField
from messaging.models import Attempt, ChannelChoices, Event, Message, Reason
from messaging.serializers import conditions
from messaging.serializers.attachments import AttachedSerializer, attached
from messaging.serializers.sending import SendTimeRequest
from messaging.story import SHOWN_STATUSES, shown_status, tell
from templates_app.fields import CodeField

MAX_IDS = 100


class MessageQuery(StrictSerializer):
    """The filters of the list."""

    status = serializers.ChoiceField(choices=SHOWN_STATUSES, required=False)
    channel = serializers.ChoiceField(choices=ChannelChoices.choices, required=False)
    recipient = StrictCharField(
        required=False,
        max_length=254,
        help_text="An address or number, exactly; any of to, cc and bcc.",
    )
    reference = StrictCharField(required=False, max_length=200)
    batch_id = serializers.UUIDField(required=False)
    template = CodeField(required=False, help_text="The code of a template, any version.")
    created_after = MomentField(required=False, help_text="From this moment on.")
    created_before = MomentField(required=False, help_text="Before this moment.")


class RescheduleRequest(SendTimeRequest):
    """At another time; one of both."""

    schema_conditions = conditions.RESCHEDULE

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if "send_at" not in data and "delay_seconds" not in data:
            words = "Give either send_at or delay_seconds."
            raise serializers.ValidationError(
                {"send_at": [serializers.ErrorDetail(words, code="required")]}
            )
        return data


class ResendRequest(StrictSerializer):
    may_duplicate = StrictBooleanField(
        required=False,
        default=False,
        help_text="Also what may have arrived already, because no answer came.",
    )


class IdsRequest(StrictSerializer):
    ids = serializers.ListField(
        child=StrictUUIDField(), min_length=1, max_length=MAX_IDS, help_text="Of messages."
    )


class TemplateUsed(serializers.Serializer[Any]):
    """What a message was rendered from."""

    code = serializers.CharField(source="template.code")
    version = serializers.IntegerField(source="number")
    locale = serializers.CharField(source="template.locale")


class ProviderTemplateSerializer(serializers.Serializer[Any]):
    """A provider's own template, and what was put into it."""

    id = serializers.CharField(source="template_id")
    signature = serializers.CharField()
    kind = serializers.CharField()
    parameters = serializers.DictField(child=serializers.CharField())

    def to_representation(self, content: Any) -> Any:
        if "template_id" not in content:
            return None
        empty = {"signature": "", "kind": "", "parameters": {}}
        return super().to_representation(empty | content)


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
            "batch_id",
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
    headers = serializers.SerializerMethodField(help_text="Those that were given with it.")
    html = serializers.SerializerMethodField()
    text = serializers.SerializerMethodField()
    attachments = serializers.SerializerMethodField()
    format = serializers.SerializerMethodField(
        help_text="Of WeChat Work and chats: how the text is written; else empty."
    )
    provider_template = ProviderTemplateSerializer(
        source="content",
        help_text="Of SMS and WeChat Official Account: what was filled in; else null.",
        allow_null=True,
    )
    segments = serializers.SerializerMethodField(
        help_text="Of SMS: how many are charged, as far as can be told; else null."
    )
    history = serializers.SerializerMethodField(help_text="Every state and since when.")

    class Meta(MessageSummary.Meta):
        fields = [
            *MessageSummary.Meta.fields,
            "to",
            "cc",
            "bcc",
            "reply_to",
            "headers",
            "html",
            "text",
            "attachments",
            "format",
            "provider_template",
            "segments",
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

    def get_headers(self, message: Message) -> dict[str, str]:
        headers: dict[str, str] = message.content.get("headers", {})
        return headers

    def get_html(self, message: Message) -> str:
        return str(message.content.get("html", ""))

    def get_text(self, message: Message) -> str:
        return str(message.content.get("text", ""))

    def get_format(self, message: Message) -> str:
        return str(message.content.get("format", ""))

    @extend_schema_field({"type": ["integer", "null"]})
    def get_segments(self, message: Message) -> int | None:
        segments: int | None = message.content.get("segments")
        return segments

    @extend_schema_field(AttachedSerializer(many=True))
    def get_attachments(self, message: Message) -> Any:
        return attached(message)

    @extend_schema_field(StepSerializer(many=True))
    def get_history(self, message: Message) -> Any:
        return StepSerializer(tell(message), many=True).data


def _written(people: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name} <{address}>" if name else address for name, address in people]


class AttemptSerializer(serializers.Serializer[Any]):
    """One hand-over to one sender, with the pool's decision."""

    id = serializers.UUIDField()
    sender = serializers.CharField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    unknown_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when nobody knows whether the provider has it."
    )
    outcome = serializers.ChoiceField(choices=["open", *filter(None, Attempt.Outcome.values)])
    kind = serializers.CharField(help_text="Our word for a failure.")
    phase = serializers.CharField(help_text="How far it came.")
    provider_code = serializers.CharField()
    provider_words = serializers.CharField(help_text="Addresses in them are masked.")
    provider_message_id = serializers.CharField()
    refused = serializers.ListField(
        child=serializers.DictField(child=serializers.CharField()),
        help_text="Recipients that were refused while others were taken, by their position.",
    )
    candidates = serializers.ListField(
        child=serializers.CharField(), help_text="Senders that could have had it."
    )
    excluded = serializers.DictField(
        child=serializers.CharField(), help_text="Senders that were left out, and why."
    )


class EntrySerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(choices=["accepted", "attempt", "feedback", *Event.Kind.values])
    status = serializers.CharField(help_text="What it became by this; empty if it stayed.")
    detail = serializers.CharField(help_text="For people.")
    attempt = AttemptSerializer(allow_null=True)
    details = serializers.DictField(child=serializers.CharField())


class TimelineSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="message.pk")
    status = serializers.SerializerMethodField()
    next_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When it is sent or tried next, and of an `unknown` one when that is decided; "
        "null when it is over or under way.",
    )
    entries = EntrySerializer(many=True)

    @extend_schema_field({"type": "string", "enum": list(SHOWN_STATUSES)})
    def get_status(self, timeline: Any) -> str:
        return shown_status(timeline.message, now=timezone.now())


class FoundSerializer(serializers.Serializer[Any]):
    """In the order in which they were asked for."""

    results = MessageSummary(many=True)
    missing = serializers.ListField(
        child=serializers.UUIDField(), help_text="There are none, or they are another's."
    )

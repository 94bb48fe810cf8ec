"""What is answered to a send."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.serializers import ErrorSerializer, SharedFields
from messaging import intake
from messaging.story import SHOWN_STATUSES, shown_status

# What is told elsewhere, or to nobody.
_NOT_SHOWN = frozenset({"to", "cc", "bcc", "reply_to", "headers", "attachments"})


class Rehearsed(serializers.Serializer[Any]):
    """The answer to a dry run: what a send with this body would be now."""

    dry_run = serializers.BooleanField(default=True)
    due_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(source="ready.message.expires_at")
    priority = serializers.CharField(source="ready.message.lane")
    policy = serializers.CharField(source="ready.message.policy")
    content = serializers.SerializerMethodField(help_text="As it would be stored.")
    sender = serializers.CharField(
        source="decision.chosen", allow_null=True, help_text="Who would take it now."
    )
    excluded = serializers.DictField(
        source="decision.excluded",
        child=serializers.CharField(),
        help_text="Senders that would not, and why.",
    )
    duplicate_of = serializers.UUIDField(
        allow_null=True, help_text="The message that would be answered instead of a new one."
    )
    warnings = ErrorSerializer(source="ready.warnings", many=True)

    @extend_schema_field({"type": "object", "additionalProperties": True})
    def get_content(self, rehearsal: Any) -> dict[str, Any]:
        content: dict[str, Any] = rehearsal.ready.message.content
        shown = {name: value for name, value in content.items() if name not in _NOT_SHOWN}
        return dict.fromkeys(("subject", "html", "text"), "") | shown


class Accepted(SharedFields):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=SHOWN_STATUSES)
    created_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(help_text="From when on it is sent.")
    deduplicated = serializers.BooleanField(
        help_text="The same was accepted before, and this is that message."
    )
    warnings = ErrorSerializer(
        many=True, help_text="What was passed over: variables that the template does not know, …"
    )

    def to_representation(self, accepted: intake.Accepted) -> dict[str, Any]:
        """What the fields say, past them: it is the answer to every send."""
        message = accepted.message
        written = self.fields["created_at"].to_representation
        return {
            "id": str(message.pk),
            "status": shown_status(message, now=timezone.now()),
            "created_at": written(message.created_at),
            "due_at": written(message.due_at),
            "deduplicated": accepted.is_duplicate,
            "warnings": [asdict(warning) for warning in accepted.warnings],
        }

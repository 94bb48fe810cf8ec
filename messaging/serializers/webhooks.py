from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.outgoing_addresses import MAX_URL
from core.serializers import StrictBooleanField, StrictCharField, StrictSerializer
from messaging.callbacks.endpoints import LONGEST_OVERLAP, OVERLAP
from messaging.fields import LineField, MomentField
from messaging.models import PING, WebhookDelivery, WebhookEndpoint, WebhookEvent

EVENTS_HELP = "What it is told of; by default everything there is now."
# A replay of a ping is one, too.
DELIVERY_EVENTS = [*WebhookEvent.choices, (PING, "asked for by a test")]


def _events(**options: Any) -> serializers.ListField:
    """A list of events, at least one."""
    child = serializers.ChoiceField(choices=WebhookEvent.choices)
    most = len(WebhookEvent.values)
    return serializers.ListField(
        child=child, required=False, min_length=1, max_length=most, **options
    )


@extend_schema_field(
    # The format is ours: what may be called, no pattern says.
    {
        "type": "string",
        "format": "webhook-url",
        "minLength": 10,
        "maxLength": MAX_URL,
        "examples": ["https://hooks.example.com/notifications"],
    }
)
class UrlField(StrictCharField):
    """Judged by `callbacks.endpoints.check_url`."""


class EndpointRequest(StrictSerializer):
    url = UrlField(
        max_length=MAX_URL,
        help_text="https, at a public address; the port is 443 or from 1024 on.",
    )
    description = LineField(required=False, max_length=200, default="", allow_blank=True)
    events = _events(help_text=EVENTS_HELP)


class EndpointChange(StrictSerializer):
    url = UrlField(required=False, max_length=MAX_URL)
    description = LineField(required=False, max_length=200, allow_blank=True)
    events = _events()
    is_active = StrictBooleanField(
        required=False,
        help_text="`false`: it is told nothing new, and what waits for it waits. `true`: that "
        "goes out, and its failures are forgotten.",
    )


class RotationRequest(StrictSerializer):
    overlap_seconds = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=int(LONGEST_OVERLAP.total_seconds()),
        default=int(OVERLAP.total_seconds()),
        help_text="How long the secret before signs too.",
    )

    def overlap(self) -> timedelta:
        return timedelta(seconds=self.validated_data["overlap_seconds"])


class DeliveryQuery(StrictSerializer):
    """The filters of the log."""

    status = serializers.ChoiceField(choices=WebhookDelivery.State.choices, required=False)
    event = serializers.ChoiceField(choices=DELIVERY_EVENTS, required=False)
    message_id = serializers.UUIDField(required=False)
    created_after = MomentField(required=False, help_text="From this moment on.")
    created_before = MomentField(required=False, help_text="Before this moment.")


class Endpoint(serializers.ModelSerializer[WebhookEndpoint]):
    events = serializers.ListField(child=serializers.ChoiceField(choices=WebhookEvent.choices))
    disabled_reason = serializers.ChoiceField(
        choices=WebhookEndpoint.DisabledReason.choices, allow_blank=True
    )

    class Meta:
        model = WebhookEndpoint
        fields = [
            "id",
            "url",
            "description",
            "events",
            "is_active",
            "disabled_at",
            "disabled_reason",
            "failing_since",
            "last_success_at",
            "old_secret_until",
            "created_at",
        ]
        read_only_fields = fields


class EndpointWithSecret(Endpoint):
    secret = serializers.SerializerMethodField(help_text="Shown this once. Keep it.")

    class Meta(Endpoint.Meta):
        fields = [*Endpoint.Meta.fields, "secret"]
        read_only_fields = fields

    def get_secret(self, endpoint: WebhookEndpoint) -> str:
        return str(self.context["secret"])


class TrySerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    code = serializers.IntegerField(allow_null=True, help_text="The HTTP status, if one came.")
    words = serializers.CharField(allow_blank=True)
    milliseconds = serializers.IntegerField()


class Delivery(serializers.ModelSerializer[WebhookDelivery]):
    status = serializers.ChoiceField(source="state", choices=WebhookDelivery.State.choices)
    event = serializers.ChoiceField(choices=DELIVERY_EVENTS)
    event_id = serializers.UUIDField(help_text="The `webhook-id` of all its calls.")
    payload = serializers.DictField(help_text="The body.")
    due_at = serializers.SerializerMethodField(help_text="When it is called next; null if not.")
    history = TrySerializer(many=True, help_text="The latest 20 tries, oldest first.")

    class Meta:
        model = WebhookDelivery
        fields = [
            "id",
            "event_id",
            "event",
            "message_id",
            "status",
            "tries",
            "due_at",
            "last_code",
            "last_words",
            "history",
            "payload",
            "created_at",
            "finished_at",
        ]
        read_only_fields = fields

    @extend_schema_field({"type": ["string", "null"], "format": "date-time"})
    def get_due_at(self, delivery: WebhookDelivery) -> Any:
        if delivery.state != WebhookDelivery.State.PENDING:
            return None
        return serializers.DateTimeField().to_representation(delivery.due_at)

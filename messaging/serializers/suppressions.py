from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.addresses import InvalidAddress
from core.recipients import parse_recipient
from core.serializers import SharedFields, StrictSerializer
from messaging.fields import LineField, MomentField
from messaging.models import ChannelChoices, Suppression
from messaging.suppressions import Entry


@extend_schema_field(
    {
        "type": "string",
        "format": "address",
        "minLength": 1,
        "maxLength": 254,
        "examples": ["ann@example.com", "+8613800138000"],
    }
)
class AddressField(LineField):
    """An address, number or id without anything around it; which, its `channel` says."""


class _OfChannel(StrictSerializer):
    """Reads `context["caller"]`, for telephone numbers without a country."""

    address = AddressField(max_length=254)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if "address" in data:
            channel = data.get("channel", ChannelChoices.EMAIL)
            region = self.context["caller"].default_region
            try:
                data["address"] = parse_recipient(channel, data["address"], region=region).lower()
            except InvalidAddress as error:
                detail = serializers.ErrorDetail(str(error), code=error.code)
                raise serializers.ValidationError({"address": [detail]}) from error
        return data


class SuppressionRequest(_OfChannel):
    address = AddressField(
        max_length=254,
        help_text="As the channel has it: an e-mail address, a telephone number, a member's id, an "
        "OpenID. Upper and lower case are the same.",
    )
    channel = serializers.ChoiceField(
        choices=ChannelChoices.choices, required=False, default=ChannelChoices.EMAIL
    )
    reason = serializers.ChoiceField(
        choices=Suppression.Reason.choices, required=False, default=Suppression.Reason.MANUAL
    )
    note = LineField(required=False, max_length=200, default="", allow_blank=True)
    expires_at = MomentField(
        required=False, help_text="It holds until then. Without it, until it is removed."
    )

    def validate_expires_at(self, value: datetime) -> datetime:
        if value <= timezone.now():
            raise serializers.ValidationError("It must be in the future.", code="invalid_moment")
        return value

    def entry(self) -> Entry:
        data = self.validated_data
        return Entry(
            address=data["address"],
            reason=data["reason"],
            note=data["note"],
            expires_at=data.get("expires_at"),
        )


class SuppressionSerializer(serializers.ModelSerializer[Suppression]):
    is_shared = serializers.SerializerMethodField(
        help_text="It holds for all applications; only operators remove it."
    )
    source = serializers.CharField(  # type: ignore[assignment]
        help_text="`api`, `import`, an operator, or the sender whose provider reported it."
    )

    class Meta:
        model = Suppression
        fields = [
            *("id", "channel", "address", "reason", "note", "source", "is_shared"),
            *("created_at", "expires_at"),
        ]

    def get_is_shared(self, row: Suppression) -> bool:
        return row.application_id is None


class SuppressionQuery(_OfChannel):
    """The filters of the list."""

    address = AddressField(required=False, max_length=254, help_text="Exactly.")
    channel = serializers.ChoiceField(choices=ChannelChoices.choices, required=False)
    reason = serializers.ChoiceField(choices=Suppression.Reason.choices, required=False)


class SuppressionImportQuery(StrictSerializer):
    channel = serializers.ChoiceField(
        choices=ChannelChoices.choices,
        default=ChannelChoices.EMAIL,
        help_text="Of all recipients of the list.",
    )


class BadLineSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="From 1; in JSON the items.")
    code = serializers.CharField()
    detail = serializers.CharField()


class ImportAnswer(SharedFields):
    added = serializers.IntegerField(help_text="New, or made to last longer.")
    unchanged = serializers.IntegerField(help_text="They were there already.")
    rejected = BadLineSerializer(many=True, help_text="Nothing was stored of these.")


# What the import takes as JSON. An item that is wrong is named in the answer, like a line of CSV.
IMPORT_LIST = {
    "type": "array",
    "items": {
        "oneOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {
                    "address": {"type": "string"},
                    "reason": {"type": "string", "enum": Suppression.Reason.values},
                    "note": {"type": "string", "maxLength": 200},
                    "expires_at": {"type": "string", "format": "date-time"},
                },
                "required": ["address"],
                "additionalProperties": False,
            },
        ]
    },
}

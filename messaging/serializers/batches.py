"""Batches: what is asked for, and what is answered."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.authentication import Caller
from core.errors import Code, DomainError, FieldError
from core.serializers import (
    ErrorSerializer,
    StrictBooleanField,
    StrictSerializer,
)
from messaging.batches import MAX_ITEMS, counts_of
from messaging.fields import KeyField
from messaging.models import Batch, ChannelChoices
from messaging.serializers.channels import REQUESTS
from messaging.serializers.headers import merged_headers
from messaging.serializers.sending import SendRequest
from messaging.story import SHOWN_STATUSES
from templates_app.fields import CodeField

PARTIAL, ALL_OR_NOTHING = "partial", "all_or_nothing"
# Objects of the defaults that an item adds to, instead of putting its own in their place.
MERGED = ("variables", "metadata")
# Of the whole request, not of an item.
OF_THE_BATCH = ("idempotency_key", "dry_run")


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": True,
        "description": "Fields of a single send, for every item that does not say otherwise.",
    }
)
class DefaultsField(serializers.DictField):
    pass


@extend_schema_field(
    {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_ITEMS,
        "items": {"type": "object", "additionalProperties": True},
        "description": "Each with the fields of a single send. `variables`, `metadata` and "
        "`headers` are added to those of `defaults`.",
    }
)
class ItemsField(serializers.ListField):
    """What is wrong inside an item is said in its result; that each is an object, here."""

    def to_internal_value(self, data: Any) -> list[Any]:
        items = super().to_internal_value(data)
        words = "An item is an object with the fields of a send."
        wrong: dict[str, Any] = {
            str(index): [serializers.ErrorDetail(words, code="invalid")]
            for index, item in enumerate(items)
            if not isinstance(item, dict)
        }
        if wrong:
            raise serializers.ValidationError(wrong)
        return items


class BatchRequest(StrictSerializer):
    """Up to 1,000 messages. What is wrong with an item is said in its result."""

    channel = serializers.ChoiceField(choices=ChannelChoices.choices, default="email")
    template_code = CodeField(required=False, help_text="As in `defaults`.")
    defaults = DefaultsField(required=False, default=dict)
    items = ItemsField(min_length=1, max_length=MAX_ITEMS)
    mode = serializers.ChoiceField(
        choices=[PARTIAL, ALL_OR_NOTHING],
        default=PARTIAL,
        help_text="`partial` accepts what is right; `all_or_nothing` refuses all if one is wrong.",
    )
    idempotency_key = KeyField(
        required=False, max_length=255, help_text="As the header `Idempotency-Key`."
    )
    dry_run = StrictBooleanField(required=False, help_text="Check every item, and store nothing.")

    def validate_defaults(self, value: dict[str, Any]) -> dict[str, Any]:
        for name in OF_THE_BATCH:
            if name in value:
                raise serializers.ValidationError(
                    f"{name} goes beside defaults: it is the batch's.", code="conflict"
                )
        return value

    def wishes(self, *, caller: Caller) -> list[SendRequest | DomainError]:
        """Each item with the defaults, to be validated; an error for what is no item at all."""
        data = self.validated_data
        common = dict(data["defaults"])
        if "template_code" in data:
            common.setdefault("template_code", data["template_code"])
        request = REQUESTS[data["channel"]]
        context = {"caller": caller}
        found: list[SendRequest | DomainError] = []
        for item in data["items"]:
            merged = _merged(common, item)
            if isinstance(merged, DomainError):
                found.append(merged)
            else:
                found.append(request(data=merged, context=context))
        return found


def _merged(common: dict[str, Any], item: dict[str, Any]) -> dict[str, Any] | DomainError:
    misplaced = [name for name in OF_THE_BATCH if name in item]
    if misplaced:
        words = f"{misplaced[0]} goes beside items: it is the batch's."
        wrong = FieldError(f"/{misplaced[0]}", "conflict", words)
        return DomainError(Code.INVALID_REQUEST, words, errors=(wrong,))
    merged = common | item
    for name in MERGED:
        ours, theirs = common.get(name), item.get(name)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            merged[name] = ours | theirs
    ours, theirs = common.get("headers"), item.get("headers")
    if isinstance(ours, dict) and isinstance(theirs, dict):
        merged["headers"] = merged_headers(ours, theirs)
    return merged


class BatchProblem(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = ErrorSerializer(many=True, help_text="Pointers are into the item.")  # type: ignore[assignment]


class BatchResult(serializers.Serializer[Any]):
    """What became of one item."""

    index = serializers.IntegerField()
    status = serializers.ChoiceField(choices=["accepted", "rejected"])
    id = serializers.UUIDField(required=False, help_text="Of its message, if it was accepted.")
    deduplicated = serializers.BooleanField(
        required=False, help_text="The same was accepted before, and `id` is that message."
    )
    warnings = ErrorSerializer(many=True, required=False)
    error = BatchProblem(required=False)


class BatchAccepted(serializers.Serializer[Any]):
    batch_id = serializers.UUIDField(allow_null=True, help_text="Null for a dry run.")
    accepted = serializers.IntegerField()
    deduplicated = serializers.IntegerField()
    rejected = serializers.IntegerField()
    results = BatchResult(many=True, help_text="One for each item, in their order.")


class BatchSummary(serializers.ModelSerializer[Batch]):
    class Meta:
        model = Batch
        fields = [
            *("id", "channel", "accepted", "deduplicated", "rejected"),
            *("request_id", "created_at", "cancelled_at"),
        ]


class BatchDetail(BatchSummary):
    messages = serializers.SerializerMethodField(help_text="How many have each status now.")

    class Meta(BatchSummary.Meta):
        fields = [*BatchSummary.Meta.fields, "messages"]

    @extend_schema_field(
        {
            "type": "object",
            "properties": {status: {"type": "integer"} for status in SHOWN_STATUSES},
            "additionalProperties": False,
        }
    )
    def get_messages(self, batch: Batch) -> dict[str, int]:
        return counts_of(batch, now=timezone.now())


class BatchCancelled(BatchDetail):
    cancelled = serializers.SerializerMethodField(help_text="How many this request cancelled.")

    class Meta(BatchDetail.Meta):
        fields = [*BatchDetail.Meta.fields, "cancelled"]

    def get_cancelled(self, batch: Batch) -> int:
        return int(self.context.get("cancelled", 0))

"""What requests are made of: lines, addresses, moments, labels."""

import re
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.addresses import CONTROL, InvalidAddress, parse_address
from core.serializers import StrictCharField

MAX_RECIPIENTS = 50
TAG = re.compile(r"[A-Za-z0-9._:-]{1,50}")
# An idempotency key.
VISIBLE = "^[!-~]{1,255}$"
# For the OpenAPI document. The format is ours: a pattern for international domains says too little
# or too much.
MAILBOX = {"type": "string", "format": "mailbox", "minLength": 3, "maxLength": 500}


class KeyField(StrictCharField):
    """An idempotency key; the header's and this one are read and refused together, in
    `messaging.viewsets.answering`."""

    schema_pattern = VISIBLE


class LineField(StrictCharField):
    """Text that ends up in a header: one line, no control characters, no turned directions."""

    # `CONTROL`, as patterns of JSON Schema write it. Halves of surrogate pairs are in no JSON.
    refused_characters = (
        r"\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
    )
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
            MAILBOX | {"examples": ["ann@example.com"]},
            {"type": "array", "items": MAILBOX, "minItems": 1, "maxItems": MAX_RECIPIENTS},
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


@extend_schema_field(
    {
        "type": "object",
        "maxProperties": 20,
        "propertyNames": {"minLength": 1, "maxLength": 50},
        "additionalProperties": {"type": "string", "maxLength": 500},
    }
)
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


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "pattern": rf"^{TAG.pattern}$"},
        "maxItems": 10,
    }
)
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

"""Further headers of a mail, as a caller gives them."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from messaging.channels.mail_headers import LISTED, is_plain, is_taken, spelled
from messaging.fields import LineField

MAX_HEADERS = 20
MAX_VALUE = 900
_NAMES = "|".join(LISTED)
_REFUSED = LineField.refused_characters


@extend_schema_field(
    {
        "type": "object",
        "maxProperties": MAX_HEADERS,
        "propertyNames": {"pattern": f"^(?:{_NAMES}|[Xx]-[A-Za-z0-9][A-Za-z0-9-]{{0,57}})$"},
        "additionalProperties": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_VALUE,
            "pattern": rf"^[^{_REFUSED}]*[^\s{_REFUSED}][^{_REFUSED}]*$",
        },
        "examples": [{"List-Unsubscribe": "<https://example.com/unsubscribe/4711>"}],
    }
)
class HeadersField(serializers.Field[Any, Any, Any, Any]):
    """Read as names in their usual spelling and values without space around them. What is wrong is
    said of each header."""

    default_error_messages = {
        "invalid": "Give an object of header names and their values.",
        "too_many": f"At most {MAX_HEADERS} headers.",
    }

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict):
            self.fail("invalid")
        if len(data) > MAX_HEADERS:
            self.fail("too_many")
        found: dict[str, str] = {}
        errors: dict[str, Any] = {}
        seen: set[str] = set()
        for name, value in data.items():
            try:
                found[_name(name, seen)] = _value(name, value)
            except serializers.ValidationError as error:
                errors[name] = error.detail
            seen.add(name.lower())
        if errors:
            raise serializers.ValidationError(errors)
        return found


def merged_headers(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Both; of a header that stands in both, however it is spelled, the one in `own`."""
    replaced = _lowered(own)
    return {name: value for name, value in common.items() if name.lower() not in replaced} | own


def _lowered(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}


def _name(name: str, seen: set[str]) -> str:
    known = spelled(name)
    if known is None:
        raise serializers.ValidationError(
            f"It is none of {', '.join(LISTED)}, and no name of your own: X- and at most 58 "
            "letters, digits and dashes.",
            code="header_not_allowed",
        )
    if is_taken(name):
        raise serializers.ValidationError(
            "This name belongs to the platform, a provider or mail servers. Choose another.",
            code="header_not_allowed",
        )
    if name.lower() in seen:
        raise serializers.ValidationError(
            "It is given twice: upper and lower case are the same.", code="duplicate"
        )
    return known


_LINE = LineField(max_length=MAX_VALUE)


def _value(name: str, value: Any) -> str:
    text: str = _LINE.run_validation(value)
    if spelled(name) in LISTED and not is_plain(text):
        raise serializers.ValidationError(
            "The value of this header is ASCII: mail programs read no other.", code="not_ascii"
        )
    return text

"""What our own fields and serializers refuse, said in JSON Schema: the document promises no more
than the API keeps, and no less."""

from typing import Any

from core.serializers import StrictCharField, StrictSerializer

# What nothing fits: a field that may not be given. The package stumbles over a plain `false`.
NEVER: dict[str, Any] = {"not": {}}


def tighten_object(schema: dict[str, Any], serializer: object) -> dict[str, Any]:
    """Unknown fields are refused; which fields go together a serializer says by
    `schema_conditions`, a schema beside its own."""
    if not isinstance(serializer, StrictSerializer):
        return schema
    return schema | {"additionalProperties": False} | serializer.schema_conditions


def is_something_required(serializer: Any) -> bool:
    """Whether its conditions ask for a field, though none is required alone."""
    conditions = getattr(serializer, "schema_conditions", {})
    choices = [*conditions.get("oneOf", ()), *conditions.get("anyOf", ())]
    return any("required" in choice for choice in choices)


def tighten_field(schema: dict[str, Any], field: Any) -> None:
    """After the package's own rules, in place."""
    either = schema.get("oneOf")
    if either and {"type": "string", "maxLength": 0} in either:
        # The empty string may match the pattern beside it as well: that is no fault.
        schema["anyOf"] = schema.pop("oneOf")
    if schema.get("type") == "string" and isinstance(field, StrictCharField):
        _tighten_string(schema, field)


def _tighten_string(schema: dict[str, Any], field: StrictCharField) -> None:
    if not field.allow_blank:
        schema.setdefault("minLength", 1)
    refused = field.refused_characters
    if field.schema_pattern:
        schema.setdefault("pattern", field.schema_pattern)
    elif refused and field.trim_whitespace and not field.allow_blank:
        schema.setdefault("pattern", rf"^[^{refused}]*[^\s{refused}][^{refused}]*$")
    elif refused:
        schema.setdefault("pattern", f"^[^{refused}]*$")
    elif field.trim_whitespace and not field.allow_blank:
        schema.setdefault("pattern", r"\S")

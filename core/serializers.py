import re
from functools import cache, cached_property
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.utils.serializer_helpers import BindingDict
from rest_framework.validators import ProhibitSurrogateCharactersValidator

SURROGATE = re.compile("[\ud800-\udfff]")


# Fields are made once for the class; REST framework copies all of them for every request. For
# serializers at the top of a body or an answer whose fields ask nothing of their context. (No
# docstring: it would become the description of every subclass in the API's schema.)
class SharedFields(serializers.Serializer[Any]):
    @cached_property
    def fields(self) -> BindingDict:
        return _fields_of(type(self))


@cache
def _fields_of(kind: type[SharedFields]) -> BindingDict:
    owner = kind()
    made = BindingDict(owner)
    for name, field in owner.get_fields().items():
        made[name] = field
    return made


class StrictSerializer(SharedFields):
    """Refuses fields it does not know, by name, together with everything else that is wrong."""

    default_error_messages: ClassVar[Any] = {
        "invalid": "It must be a JSON object: names and values."
    }
    # For the OpenAPI document: which fields go together, as a JSON schema beside the fields.
    schema_conditions: ClassVar[dict[str, Any]] = {}

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        for field in fields.values():
            _name_choices(getattr(field, "child", field))
        return fields

    def to_internal_value(self, data: Any) -> Any:
        unknown = (
            {
                name: [serializers.ErrorDetail("There is no such field.", code="unknown_field")]
                for name in data
                if name not in self.fields
            }
            if isinstance(data, dict)
            else {}
        )
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**error.detail, **unknown}) from None  # type: ignore[dict-item]
        if unknown:
            raise serializers.ValidationError(unknown)
        return value


def _name_choices(field: Any) -> None:
    """Whoever chose what there is not is told what there is."""
    if isinstance(field, serializers.ChoiceField):
        choices = ", ".join(str(choice) for choice in field.choices if choice != "")
        field.error_messages["invalid_choice"] = f"It must be one of: {choices}."


class _ProhibitSurrogates(ProhibitSurrogateCharactersValidator):
    """REST framework looks at every character in Python, 0.3 ms for a mail: search first."""

    def __call__(self, value: Any) -> None:
        if SURROGATE.search(value):
            super().__call__(value)


class StrictCharField(serializers.CharField):
    """A string, and nothing that could be made into one."""

    # For the OpenAPI document: what a character class of a pattern holds, and a whole pattern where
    # the field has a form of its own.
    refused_characters: ClassVar[str] = ""
    schema_pattern: ClassVar[str] = ""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.validators = [
            _ProhibitSurrogates()
            if isinstance(validator, ProhibitSurrogateCharactersValidator)
            else validator
            for validator in self.validators
        ]

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictBooleanField(serializers.BooleanField):
    """True or false, and no words for them."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictUUIDField(serializers.UUIDField):
    """A string: numbers and booleans would be ids too."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class ErrorSerializer(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="JSON pointer into the body, or `?name`.")
    code = serializers.CharField()
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457. Decide by `code`; show `detail` to people."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    request_id = serializers.CharField()
    errors = ErrorSerializer(many=True)  # type: ignore[assignment]

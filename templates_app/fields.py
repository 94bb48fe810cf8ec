"""What requests about templates are made of."""

import re
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.serializers import StrictCharField
from templates_app.models import CODE, LOCALE
from templates_app.source import MAX_PARAMETER, MAX_PARAMETERS, PARAMETER


class CodeField(StrictCharField):
    schema_pattern = CODE.replace(r"\Z", "$")
    default_error_messages = {
        "invalid_code": "It must be 1 to 100 lower-case letters, digits and the characters . _ -, "
        "beginning with a letter or digit."
    }

    def to_internal_value(self, data: Any) -> str:
        code = super().to_internal_value(data)
        if not re.fullmatch(CODE, code):
            self.fail("invalid_code")
        return code


class LocaleField(StrictCharField):
    """`zh_Hans_CN` and `zh-Hans-CN` are `zh-hans-cn`. Empty: the default."""

    schema_pattern = r"^([A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4})?$"

    default_error_messages = {"invalid_locale": "It must be a language such as en or zh-hans."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_blank": True, "max_length": 35, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        locale = super().to_internal_value(data).lower().replace("_", "-")
        if not re.fullmatch(LOCALE, locale):
            self.fail("invalid_locale")
        return locale


@extend_schema_field({"type": "object", "additionalProperties": True})
class VariablesField(serializers.Field[Any, Any, Any, Any]):
    """An object of JSON values; what each must be is the template's to say."""

    default_error_messages = {"invalid": "It must be an object: names and their values."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(
    {
        "type": "object",
        "maxProperties": MAX_PARAMETERS,
        "propertyNames": {"pattern": f"^{PARAMETER.pattern}$"},
        "additionalProperties": {"type": "string", "maxLength": MAX_PARAMETER},
        "examples": [{"code": "{{ code }}", "minutes": "{{ minutes }}"}],
    }
)
class ParametersField(VariablesField):
    """Texts with tags, by the names of the provider's template."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        found: dict[str, Any] = super().to_internal_value(data)
        wrong = {
            name: [serializers.ErrorDetail("It must be a string.", code="invalid")]
            for name, text in found.items()
            if not isinstance(text, str)
        }
        if wrong:
            raise serializers.ValidationError(wrong)
        return found

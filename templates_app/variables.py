"""What a version says of its variables: a JSON schema (2020-12) of type object, and no more of that
language than is quick to check and easy to show: no references, no patterns."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.validators import extend

from core.errors import FieldError
from core.problems import escape_pointer
from templates_app.discovery import FoundVariable

KEYWORDS = frozenset(
    {
        *("type", "properties", "required", "items", "enum", "minLength", "maxLength", "minimum"),
        *("maximum", "minItems", "maxItems", "title", "description", "examples", "default"),
        *("format", "$schema", "additionalProperties"),
    }
)
TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_NUMERIC = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
MAX_DEPTH = 8
# By `format`.
SAMPLES = {
    "currency": "EUR",
    "date": "2026-11-22",
    "date-time": "2026-11-22T09:30:00+08:00",
    "email": "ann@example.com",
    "timezone": "Asia/Shanghai",
    "uri": "https://example.com",
}
MAX_PROPERTIES = 300
# What the checks of jsonschema are called in our answers.
_CODES = {
    "required": "required",
    "type": "invalid_type",
    "enum": "invalid_choice",
    "maxLength": "max_length",
    "minLength": "min_length",
    "additionalProperties": "unknown_variable",
}


def _is_text(_: Any, value: Any) -> bool:
    """A number prints as it stands, so it is taken where a text is wanted: order 4711."""
    return isinstance(value, str) or (isinstance(value, int | float) and not _is_flag(value))


def _is_number(_: Any, value: Any) -> bool:
    """Money comes as "19.90" from who knows better than to make it a float."""
    if isinstance(value, str):
        return _NUMERIC.fullmatch(value) is not None
    return isinstance(value, int | float) and not _is_flag(value)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"string": _is_text, "number": _is_number}
    ),
)


class Checker:
    """Checks variables against one schema; made once for a version."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.properties: Mapping[str, Any] = schema.get("properties", {})
        self.required = frozenset(schema.get("required", ()))
        self._validator = _Validator(schema)

    def check(self, variables: Mapping[str, Any], *, at: str = "/variables") -> list[FieldError]:
        """Everything that is missing or wrong, by JSON pointer."""
        errors: list[FieldError] = []
        for error in self._validator.iter_errors(variables):
            errors += _as_field_errors(error, at)
            if len(errors) >= 100:
                break
        return sorted(errors, key=lambda error: error.pointer)

    def without_nulls(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """A null is as good as nothing where nothing is needed."""
        if None not in variables.values():
            return variables
        return {
            name: value
            for name, value in variables.items()
            if value is not None or name in self.required
        }

    def unknown(self, variables: Mapping[str, Any]) -> list[str]:
        return [name for name in variables if name not in self.properties]


def _as_field_errors(error: ValidationError, at: str) -> Iterator[FieldError]:
    pointer = at + "".join(f"/{escape_pointer(str(step))}" for step in error.absolute_path)
    code = _CODES.get(str(error.validator), "invalid")
    if error.validator == "required":
        given: Any = error.instance
        wanted: Any = error.validator_value
        name = next((n for n in wanted if repr(n) in error.message), "")
        # One error for each missing name, and jsonschema names one in each.
        if name not in given:
            yield FieldError(
                f"{pointer}/{escape_pointer(name)}", code, "The template needs this variable."
            )
    elif error.validator == "type":
        wanted = error.validator_value
        kinds = " or ".join(wanted) if isinstance(wanted, list) else str(wanted)
        yield FieldError(pointer, code, f"It must be of type {kinds}.")
    elif error.validator == "enum":
        wanted = error.validator_value
        choices = ", ".join(map(str, wanted))[:200]
        yield FieldError(pointer, code, f"It must be one of: {choices}.")
    else:
        yield FieldError(
            pointer, code, f"It does not keep to {error.validator}: {error.validator_value}."
        )


# --- schemas -------------------------------------------------------------------------------------


def problems_of_schema(schema: Any) -> list[FieldError]:
    """Why `schema` cannot be used, by JSON pointer into it; empty if it can."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return [FieldError("", "invalid_schema", "It must be a JSON schema of type object.")]
    errors = list(_unwanted(schema, "", 0))
    if not errors and _count(schema) > MAX_PROPERTIES:
        errors.append(
            FieldError("", "too_large", f"At most {MAX_PROPERTIES} variables, fields included.")
        )
    if errors:
        return errors
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        pointer = "".join(f"/{escape_pointer(str(step))}" for step in error.absolute_path)
        return [FieldError(pointer, "invalid_schema", error.message[:200])]
    return []


def _unwanted(schema: Any, at: str, depth: int) -> Iterator[FieldError]:
    if not isinstance(schema, dict):
        yield FieldError(at, "invalid_schema", "It must be an object.")
        return
    if depth > MAX_DEPTH:
        yield FieldError(at, "invalid_schema", f"It is nested deeper than {MAX_DEPTH} levels.")
        return
    for keyword in schema.keys() - KEYWORDS:
        if not keyword.startswith("x-"):
            yield FieldError(
                f"{at}/{escape_pointer(keyword)}",
                "invalid_schema",
                f"{keyword[:50]} is not supported. These are: {', '.join(sorted(KEYWORDS))}.",
            )
    kinds = schema.get("type", [])
    if not set(kinds if isinstance(kinds, list) else [kinds]) <= TYPES:
        yield FieldError(f"{at}/type", "invalid_schema", f"One of: {', '.join(sorted(TYPES))}.")
    properties = schema.get("properties", {})
    if isinstance(properties, dict):
        for name, below in properties.items():
            yield from _unwanted(below, f"{at}/properties/{escape_pointer(name)}", depth + 1)
    if "items" in schema:
        yield from _unwanted(schema["items"], f"{at}/items", depth + 1)


def _count(schema: Mapping[str, Any]) -> int:
    below = [
        *schema.get("properties", {}).values(),
        *([schema["items"]] if "items" in schema else []),
    ]
    return len(schema.get("properties", {})) + sum(map(_count, below))


def suggest_schema(
    found: Sequence[FoundVariable], known: Mapping[str, Any], *, keep_unused: bool = False
) -> dict[str, Any]:
    """`known`, a version's `variables`, following what was `found` in its text: new ones are added,
    those that are gone are dropped, what was set for the others is kept."""
    schema = _copy(known) or {"type": "object", "properties": {}, "required": []}
    used: dict[int, set[str]] = {}
    for variable in found:
        parent, name = _parent(schema, variable.name, used)
        properties = parent.setdefault("properties", {})
        required = parent.setdefault("required", [])
        used.setdefault(id(parent), set()).add(name)
        if name not in properties:
            properties[name] = {"type": variable.type}
            if variable.type == "array":
                properties[name]["items"] = {}
            if variable.is_required:
                required.append(name)
        _add_format(properties[name], variable)
    if not keep_unused:
        _drop_unused(schema, used)
    return schema


def _add_format(schema: Any, variable: FoundVariable) -> None:
    """Where nothing says yet what its texts look like. Callers are not held to it: it is for the
    sample, and tells them what to give."""
    if variable.type == "array" and isinstance(schema.get("items"), dict) and not schema["items"]:
        schema = schema["items"]
    elif variable.type == "array" or schema.get("type") not in (None, "string"):
        return
    if variable.format and not schema.keys() & {"format", "examples", "default", "enum"}:
        schema |= {"type": "string", "format": variable.format}


def _parent(
    schema: dict[str, Any], path: str, used: dict[int, set[str]]
) -> tuple[dict[str, Any], str]:
    """The object in which `path` lies, made where it is missing, and its last name."""
    *steps, last = path.split(".")
    parent = schema
    for step in steps:
        name = step.replace("[]", "")
        parent = parent.setdefault("properties", {}).setdefault(name, {"type": "object"})
        for _ in range(step.count("[]")):
            if not isinstance(parent.get("items"), dict):
                parent["items"] = {}
            parent = parent["items"]
        if step.count("[]"):
            parent.setdefault("type", "object")
    return parent, last.replace("[]", "")


def _drop_unused(schema: dict[str, Any], used: dict[int, set[str]]) -> None:
    """Of the variables themselves only: what their fields are is the editor's business."""
    kept = used.get(id(schema), set())
    schema["properties"] = {
        name: below for name, below in schema.get("properties", {}).items() if name in kept
    }
    schema["required"] = [name for name in schema.get("required", []) if name in kept]


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copy(below) for name, below in value.items()}
    return [_copy(below) for below in value] if isinstance(value, list) else value


def example_of(schema: Mapping[str, Any], name: str = "") -> Any:
    """A value to look at a template with: the first example, the default, or one made up."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {n: example_of(below, n) for n, below in schema.get("properties", {}).items()}
    if kind == "array":
        return [example_of(schema.get("items") or {}, name)]
    if kind == "string" and schema.get("format") in SAMPLES:
        return SAMPLES[schema["format"]]
    made_up: dict[str, Any] = {"number": 42, "integer": 42, "boolean": True}
    return made_up.get(kind, name or "text")

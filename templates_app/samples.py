"""Values to look at a template with: the examples of its variables, and something plausible where
there are none. Pure."""

import re
from collections.abc import Mapping
from typing import Any

# How deep a sample goes. Schemas come from editors: they may be of any shape.
MAX_DEPTH = 8
MOMENT = "2026-11-25T09:30:00+00:00"
NAMES_A_MOMENT = re.compile(r"(^|_)(at|date|time|day)$")


def sample_of(schema: Mapping[str, Any], *, name: str = "", depth: int = 0) -> Any:
    """One value that `schema`, a JSON schema, describes; an object for a version's `variables`."""
    for word in ("examples", "enum"):
        if isinstance(given := schema.get(word), list) and given:
            return given[0]
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    kind = _type_of(schema)
    if depth >= MAX_DEPTH:
        return {"object": {}, "array": []}.get(kind, "")
    if kind == "object":
        below = _mapping(schema.get("properties"))
        return {
            key: sample_of(_mapping(value), name=key, depth=depth + 1)
            for key, value in below.items()
        }
    if kind == "array":
        items = _mapping(schema.get("items"))
        return [sample_of(items, name=name.removesuffix("s"), depth=depth + 1)] * 2
    return _plain_value(kind, schema, name)


def _plain_value(kind: str, schema: Mapping[str, Any], name: str) -> Any:
    if kind in ("number", "integer"):
        least = schema.get("minimum")
        return least if isinstance(least, int | float) else 42
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    if schema.get("format") in ("date", "date-time") or NAMES_A_MOMENT.search(name):
        return MOMENT[:10] if schema.get("format") == "date" else MOMENT
    if schema.get("format") in ("uri", "url") or name.endswith(("url", "link", "href")):
        return f"https://example.com/{name}"
    longest = schema.get("maxLength")
    return name[:longest] if isinstance(longest, int) and longest >= 0 else name


def _type_of(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

"""The strings of `naughty_strings.json`, by category, and where they can be put."""

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "naughty_strings.json"

# Puts a string into a body that is right without it.
Placing = Callable[[dict[str, Any], str], dict[str, Any]]


@cache
def strings() -> dict[str, list[str]]:
    """Long ones are written as `{"text": …, "times": …, "end": …}`."""
    return {
        category: [
            item if isinstance(item, str) else item["text"] * item["times"] + item.get("end", "")
            for item in items
        ]
        for category, items in json.loads(_FILE.read_text()).items()
    }


def every_string() -> Iterator[str]:
    for items in strings().values():
        yield from items


def share_of(number: int, *, fields: int = 3) -> list[str]:
    """A share of them, for the field of this number among so many of a route: they see all of them
    together, each of them a third to an eighth. Every one for every field takes minutes:
    NAUGHTY=all."""
    found = list(every_string())
    if os.environ.get("NAUGHTY") == "all":
        return found
    step = max(3, min(8, fields))
    # The longest cost seconds each: once for each route.
    return [text for text in found[number % step :: step] if number < step or len(text) <= 20_000]


def places(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Placing]:
    """Every field of a body that takes text, by how it is called, and how to fill it."""
    found: dict[str, Placing] = {}
    for name, field in _resolved(schema, components).get("properties", {}).items():
        field = _resolved(field, components)
        choices = [_resolved(one, components) for one in field.get("oneOf", field.get("anyOf", []))]
        for kind in [field, *choices]:
            found |= {f"{name}{tail}": place for tail, place in _of_kind(name, kind)}
    return found


def _of_kind(name: str, kind: dict[str, Any]) -> Iterator[tuple[str, Placing]]:
    types = kind.get("type", [])
    types = types if isinstance(types, list) else [types]
    if kind.get("format") == "mailbox":
        yield " (name)", lambda body, text: body | {name: f"{text} <ann@example.com>"}
        yield " (address)", lambda body, text: body | {name: f"{text}@example.com"}
    if "string" in types and "enum" not in kind:
        yield "", lambda body, text: body | {name: text}
    if "array" in types:
        yield "[]", lambda body, text: body | {name: [text]}
    if "object" in types:
        yield "{name}", lambda body, text: body | {name: {text: "value"}}
        yield "{value}", lambda body, text: body | {name: {"name": text}}


def _resolved(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return _resolved(components[schema["$ref"].rpartition("/")[2]], components)
    parts = schema.get("allOf", [])
    return {**schema, **{k: v for part in parts for k, v in _resolved(part, components).items()}}

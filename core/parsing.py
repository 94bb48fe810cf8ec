"""Strict JSON: what the database can store and Python can read, and nothing else."""

import json
import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from core.errors import Code, FieldError
from core.problems import ProblemError, escape_pointer


class StrictJSONParser(BaseParser):
    """JSON that PostgreSQL can store and Python can read: bounded in size and depth, UTF-8, no NUL,
    no lone surrogates, no NaN, no name given twice."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        view = (parser_context or {}).get("view")
        limit = getattr(settings, getattr(view, "max_body_setting", "MAX_BODY_BYTES"))
        try:
            body = stream.read(limit + 1)
            if len(body) > limit:
                # Take in some more of it, or the client gets a reset instead of our answer.
                for _ in range(15):
                    if not stream.read(settings.MAX_BODY_BYTES):
                        break
        except OSError as error:
            raise ProblemError(
                Code.MALFORMED_JSON, "The connection broke while the body was being read."
            ) from error
        return parse_json(body, limit)


def parse_json(body: bytes, limit: int) -> Any:
    """Raises `ProblemError`: 400 for what is no JSON, 413 for size, 422 naming the field that holds
    characters which cannot be stored."""
    if len(body) > limit:
        raise ProblemError(Code.PAYLOAD_TOO_LARGE, f"The body is larger than {limit} bytes.")
    try:
        value = json.loads(
            body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_unique
        )
        if body.count(b"[") + body.count(b"{") > settings.MAX_JSON_DEPTH:
            _refuse_depth(value)
    except UnicodeDecodeError as error:
        raise ProblemError(
            Code.MALFORMED_JSON, f"The body is not UTF-8 (byte {error.start})."
        ) from error
    except RecursionError as error:
        raise _too_deep() from error
    except json.JSONDecodeError as error:
        raise ProblemError(
            Code.MALFORMED_JSON,
            f"The body is not JSON: {error.msg}, line {error.lineno}, column {error.colno}.",
        ) from error
    except ValueError as error:
        raise ProblemError(Code.MALFORMED_JSON, f"The body is not usable JSON: {error}.") from error
    if UNSTORABLE_ESCAPE.search(body):
        errors = tuple(_unstorable(value, ""))
        if errors:
            raise ProblemError(Code.INVALID_REQUEST, errors=errors)
    return value


# Only escapes can smuggle these in: JSON forbids them raw, and UTF-8 has no surrogates.
UNSTORABLE_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {json.dumps(twice)[:80]} stands twice in one object")
    return found


def _refuse_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > settings.MAX_JSON_DEPTH + 1:
            raise _too_deep()
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]


def _too_deep() -> ProblemError:
    words = f"The body is nested deeper than {settings.MAX_JSON_DEPTH} levels."
    return ProblemError(Code.MALFORMED_JSON, words)


def _unstorable(value: Any, pointer: str) -> Iterator[FieldError]:
    if isinstance(value, str) and UNSTORABLE.search(value):
        yield FieldError(
            pointer, "unstorable_character", "It holds a NUL character or half a surrogate pair."
        )
    elif isinstance(value, dict):
        for name, child in value.items():
            if UNSTORABLE.search(name):
                yield FieldError(
                    pointer, "unstorable_character", "A name in it holds a NUL or a lone surrogate."
                )
            else:
                yield from _unstorable(child, f"{pointer}/{escape_pointer(name)}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _unstorable(child, f"{pointer}/{index}")

"""The committed OpenAPI document, and its operations beside the routes of `access.ROUTES`."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).resolve().parent.parent.parent / "docs" / "openapi.yaml"
METHODS = ("get", "post", "put", "patch", "delete")


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def components() -> dict[str, Any]:
    found: dict[str, Any] = document()["components"]["schemas"]
    return found


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """By path, without names of parameters, and method: `messages/{}`, `get`."""
    return {
        (_anonymous(path.removeprefix("/api/v1/")), method): item[method]
        for path, item in document()["paths"].items()
        for method in METHODS
        if method in item
    }


def operation_of(route: str, method: str) -> dict[str, Any]:
    """Of a route as Django writes it: `messages/<uuid:pk>`."""
    return operations()[anonymous_route(route), method]


def anonymous_route(route: str) -> str:
    return re.sub("<[^>]*>", "{}", route)


def body_schema(operation: dict[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    found: dict[str, Any] = content.get("application/json", {}).get("schema", {})
    return found


def examples() -> list[tuple[str, str, str, Any]]:
    """Of bodies: path, method, media type and value. Paths are without names of parameters."""
    return [
        (path, method, kind, example["value"])
        for (path, method), operation in operations().items()
        for kind, media in operation.get("requestBody", {}).get("content", {}).items()
        for example in media.get("examples", {}).values()
    ]


def _anonymous(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)

"""Headers of answers, for the OpenAPI document."""

from typing import Any

_TEXT = {"type": "string"}
_SECONDS = {"type": "integer", "minimum": 0}

# By name; `required` where an answer of that status never lacks it.
HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {
        "schema": _TEXT,
        "required": True,
        "description": "The request's id: yours, if you sent a usable one. Operators find the "
        "request and its messages by it.",
    },
    "WWW-Authenticate": {
        "schema": _TEXT,
        "required": True,
        "description": "`Bearer`, and with a token that was refused why.",
    },
    "Retry-After": {
        "schema": _SECONDS,
        "required": True,
        "description": "Seconds after which the request may be repeated.",
    },
    "RateLimit-Policy": {
        "schema": _TEXT,
        "description": "The limits of your application, if it has any: `q` in `w` seconds.",
    },
    "RateLimit": {
        "schema": _TEXT,
        "description": "How they stand: `r` is left, all of it again in `t` seconds.",
    },
}
_OF_STATUS = {"401": ["WWW-Authenticate"], "429": ["Retry-After"], "503": ["Retry-After"]}


def headers_of(status: str, *, is_limited: bool) -> dict[str, dict[str, str]]:
    """References by name. `is_limited`: the operation counts towards limits."""
    names = ["X-Request-ID", *_OF_STATUS.get(status, ())]
    if is_limited:
        names += ["RateLimit-Policy", "RateLimit"]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}

"""What answers carry, for the OpenAPI document."""

HEADERS = {
    "X-Request-ID": {"description": "Quote it to the operators.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}},
    "RateLimit-Policy": {
        "description": "The limits of your application, if it has any: `q` in `w` seconds.",
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "How they stand: `r` is left, all of it again in `t` seconds.",
        "schema": {"type": "string"},
    },
}

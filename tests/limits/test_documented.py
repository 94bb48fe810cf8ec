"""The OpenAPI document says of every operation what limits may answer."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
OPERATIONS = [
    (f"{method} {path}", operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]


@pytest.mark.parametrize(("name", "operation"), OPERATIONS, ids=[name for name, _ in OPERATIONS])
def test_every_operation_has_429_and_the_headers(name, operation):
    answers = operation["responses"]
    is_open = name == "post /api/v1/auth/token"

    assert {"429", "414", "400"} <= set(answers)
    assert "Retry-After" in answers["429"]["headers"]
    for answer in answers.values():
        assert "X-Request-ID" in answer["headers"]
        assert ("RateLimit" in answer["headers"]) == (not is_open)
        assert ("RateLimit-Policy" in answer["headers"]) == (not is_open)


def test_the_headers_are_described():
    headers = DOCUMENT["components"]["headers"]

    assert {"X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy"} <= set(headers)


def test_every_setting_is_documented():
    page = (ROOT / "docs" / "limits.md").read_text()
    example = (ROOT / ".env.example").read_text()

    for name in (
        *("DEFAULT_REQUESTS_PER_SECOND", "DEFAULT_MESSAGES_PER_DAY"),
        *("DEFAULT_RECIPIENT_PER_HOUR", "DEFAULT_RECIPIENT_PER_DAY"),
        *("TOKEN_FAILURES_PER_NETWORK", "TOKEN_FAILURES_PER_KEY"),
        *("MAX_BODY_BYTES", "MAX_JSON_DEPTH", "MAX_URL_BYTES", "PAGE_SIZE", "MAX_PAGE_SIZE"),
        *("MAX_FORM_BYTES", "MAX_FORM_FIELDS"),
    ):
        assert f"`{name}`" in page
        assert f"#{name}=" in example

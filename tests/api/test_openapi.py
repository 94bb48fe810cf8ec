"""The OpenAPI document is true: its examples are accepted, real answers fit their schemas, and it
has every route."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from rest_framework.test import APIClient

from accounts.models import Scope
from tests.api.access import ROUTES
from tests.api.document import document, operation_of, operations
from tests.api.test_access_matrix import IN_TABLE, OPEN, VIEWS, ask, prepared, scope_of
from tests.conftest import client_for
from tests.factories import make_api_key, make_issued_key, make_template, make_version

pytestmark = pytest.mark.django_db

EXAMPLES = [
    (path, method, name)
    for path, method in sorted(IN_TABLE | OPEN)
    for media in operation_of(path, method).get("requestBody", {}).get("content", {}).values()
    for name in media.get("examples", {})
]
MATRIX = pytest.mark.parametrize(("path", "method"), sorted(IN_TABLE), ids=lambda part: part)


def test_every_route_is_in_the_document_and_every_path_is_a_route():
    routes = {(re.sub("<[^>]*>", "{}", path), method) for path, method in VIEWS}

    assert set(operations()) == routes


def test_every_operation_says_what_it_is_and_how_it_refuses():
    for (path, method), operation in operations().items():
        statuses = set(operation["responses"])

        assert operation["summary"], (path, method)
        assert operation["operationId"], (path, method)
        assert operation["tags"], (path, method)
        assert statuses & {"200", "201", "202", "204"}, (path, method)
        assert {"401", "403", "406", "422", "500", "503"} <= statuses, (path, method)
        assert "{}" not in path or "404" in statuses, (path, method)
        assert "requestBody" not in operation or {"400", "413", "415"} <= statuses, (path, method)
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"], (path, method, status)
            kinds = set(response.get("content", {}))
            assert status < "400" or kinds == {"application/problem+json"}, (path, method, status)


@pytest.mark.parametrize(("path", "method", "name"), EXAMPLES)
def test_every_example_is_accepted_and_its_answer_fits(path, method, name):
    if (path, method) in OPEN:
        issued = make_issued_key()
        client, url = APIClient(), path
        replaced = {"YOUR_API_KEY": issued.key.key_id, "YOUR_API_SECRET": issued.secret}
    else:
        key = make_api_key()
        client, url, replaced = client_for(key), ROUTES[path][method](key).path, {}
    welcome = make_template(code="welcome", locale="zh-hans")
    make_version(template=welcome, status="published")
    content = operation_of(path, method)["requestBody"]["content"]["application/json"]
    body = {
        field: replaced.get(value, value) if isinstance(value, str) else value
        for field, value in content["examples"][name]["value"].items()
    }

    answer = getattr(client, method)(f"/api/v1/{url}", body, format="json")

    assert 200 <= answer.status_code < 300, answer.content
    assert_fits(path, method, answer)


@MATRIX
def test_a_real_answer_fits_its_schema_and_has_its_headers(path, method):
    key, asked = prepared(path, method)

    answer = ask(client_for(key), method, asked)

    assert 200 <= answer.status_code < 300
    assert_fits(path, method, answer)


@MATRIX
def test_refusals_fit_the_schema_of_problems(path, method):
    key, asked = prepared(path, method)
    others = [scope for scope in Scope.values if scope != scope_of(path, method)]
    narrow = client_for(make_api_key(application=key.application, scopes=others))
    foreign, own = client_for(make_api_key()), client_for(key)
    send = getattr(own, method)
    url = f"/api/v1/{asked.path}"

    answers = [ask(APIClient(), method, asked), ask(narrow, method, asked)]
    if asked.foreign == "missing":
        answers.append(ask(foreign, method, asked))
    answers.append(send(url, headers={"Accept": "image/png"}))
    if "requestBody" in operation_of(path, method):
        answers.append(send(url, {"nothing": 1}, format="json"))
        answers.append(send(url, "{", content_type="application/json"))
        answers.append(send(url, "x", content_type="text/plain"))
        answers.append(send(url, f'["{"x" * 1_100_000}"]', content_type="application/json"))

    for answer in answers:
        assert 400 <= answer.status_code < 500, answer.content
        assert_fits(path, method, answer)


def assert_fits(path: str, method: str, answer: Any) -> None:
    """The status is documented, and so are the type, the headers and the body."""
    where = (path, method, answer.status_code)
    responses = operation_of(path, method)["responses"]
    assert str(answer.status_code) in responses, (where, answer.content)
    documented = responses[str(answer.status_code)]
    for name, reference in documented.get("headers", {}).items():
        header = resolved(reference)
        assert name in answer.headers or not header.get("required"), (where, name)
        if name in answer.headers and header["schema"]["type"] == "integer":
            assert answer.headers[name].isdigit(), (where, name)
    if "content" not in documented:
        assert not answer.content, where
        return
    kind = answer.headers["Content-Type"].partition(";")[0]
    assert kind in documented["content"], where
    schema = documented["content"][kind]["schema"] | {"components": document()["components"]}
    errors = list(
        Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(answer.json())
    )
    assert not errors, (where, [error.message for error in errors])


def resolved(reference: dict[str, Any]) -> dict[str, Any]:
    found: Any = document()
    for step in reference["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)

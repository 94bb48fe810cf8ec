"""The OpenAPI document is true: its examples are accepted, real answers fit their schemas, and it
has every route."""

import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from jsonschema import Draft202012Validator, FormatChecker
from rest_framework.test import APIClient

from accounts.models import Scope
from tests.api.access import ROUTES
from tests.api.document import anonymous_route, document, examples, operation_of, operations
from tests.api.test_access_matrix import (
    IN_TABLE,
    OPEN,
    VIEWS,
    ask,
    prepared,
    scope_of,
    text_of,
)
from tests.conftest import client_for
from tests.factories import make_api_key, make_issued_key, make_sender

pytestmark = pytest.mark.django_db

ROUTE_OF = {(anonymous_route(path), method): path for path, method in IN_TABLE | OPEN}
MATRIX = pytest.mark.parametrize(("path", "method"), sorted(IN_TABLE), ids=lambda part: part)


def test_every_route_is_in_the_document_and_every_path_is_a_route():
    assert set(operations()) == {(anonymous_route(path), method) for path, method in VIEWS}


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


def test_every_operation_with_a_body_has_an_example_of_each_kind_but_of_files():
    with_example = {(path, method, kind) for path, method, kind, _ in examples()}

    missing = {
        (path, method, kind)
        for (path, method), operation in operations().items()
        for kind in operation.get("requestBody", {}).get("content", {})
    } - with_example

    assert missing == {("attachments", "post", "multipart/form-data")}


@pytest.mark.parametrize(("anonymous", "method", "kind", "body"), examples())
def test_every_example_is_accepted_and_its_answer_fits(anonymous, method, kind, body):
    path = ROUTE_OF[anonymous, method]
    if (path, method) in OPEN:
        issued = make_issued_key()
        client, url = APIClient(), path
        body = {"api_key": issued.key.key_id, "api_secret": issued.secret}
    else:
        key = make_api_key()
        client, url = client_for(key), ROUTES[path][method](key).path
    call_command("import_templates", "--publish", stdout=io.StringIO())
    # Places that examples name.
    make_sender(channel="wechat", adapter="wecom_robot", from_address="", name="ops-robot")
    make_sender(channel="chat", adapter="apprise", from_address="", name="ops-chat")
    raw = body if kind == "text/csv" else json.dumps(body)

    answer = getattr(client, method)(f"/api/v1/{url}", raw, content_type=kind)

    assert 200 <= answer.status_code < 300, answer.content
    if answer.content:
        found = answer.json()
        assert not found.get("rejected"), found
        assert not any(
            result["warnings"] for result in found.get("results", ()) if "index" in result
        )
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
    assert str(answer.status_code) in responses, (where, text_of(answer))
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
    found = answer.json() if kind.endswith("json") else text_of(answer)
    errors = list(Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(found))
    assert not errors, (where, [error.message for error in errors])


def resolved(reference: dict[str, Any]) -> dict[str, Any]:
    found: Any = document()
    for step in reference["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)

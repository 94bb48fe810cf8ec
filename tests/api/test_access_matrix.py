"""Every route and method of the API × every kind of caller. The routes are those that Django
resolves, so that a new one fails here until it says how to be asked."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.keys import revoke_key
from accounts.models import ApiKey, Scope
from accounts.permissions import HasScope
from core.ids import uuid7
from messaging.models import Message, Suppression
from messaging.simulation import is_test
from tests.api.access import (
    LETTER,
    MISSING,
    ROUTES,
    UNKNOWN,
    UNSEEN,
    WITHOUT_TOKEN,
    Asked,
    attachment,
)
from tests.conftest import client_for
from tests.factories import make_api_key, reloaded

pytestmark = pytest.mark.django_db
PREFIX = "api/v1/"
# Where a message is moved that was made by a live key.
OF_LIVE_KEYS = {
    "messages/<uuid:pk>/cancel",
    "messages/<uuid:pk>/reschedule",
    "messages/<uuid:pk>/resend",
    "batches/<uuid:pk>/cancel",
}


def resolved(patterns: Any = None, prefix: str = "") -> Any:
    for pattern in patterns or get_resolver().url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from resolved(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and path.startswith(PREFIX):
            view: Any = pattern.callback
            for method, action in getattr(view, "actions", {}).items():
                if method != "head":
                    yield path.removeprefix(PREFIX), method, action, view.cls


# (route, method) → what answers it, and the scope it asks for.
VIEWS = {(path, method): (view, action) for path, method, action, view in resolved()}
IN_TABLE = {(path, method) for path, methods in ROUTES.items() for method in methods}
OPEN = {(path, method) for path, methods in WITHOUT_TOKEN.items() for method in methods}
MATRIX = pytest.mark.parametrize(
    ("path", "method"), sorted(IN_TABLE & set(VIEWS)), ids=lambda part: part
)


def scope_of(path: str, method: str) -> str:
    view, action = VIEWS[path, method]
    return str(view.required_scopes[action])


def ask(client: APIClient, method: str, asked: Asked) -> Any:
    url = f"/{PREFIX}{asked.path}"
    if method == "get":
        return client.get(url, asked.parameters)
    return getattr(client, method)(url, asked.body, format=asked.format)


def text_of(answer: Any) -> str:
    return (answer.getvalue() if answer.streaming else answer.content).decode()


def prepared(path: str, method: str) -> tuple[ApiKey, Asked]:
    key = make_api_key()
    return key, ROUTES[path][method](key)


def test_every_route_is_in_the_matrix():
    missing = sorted(set(VIEWS) - IN_TABLE - OPEN)
    gone = sorted((IN_TABLE | OPEN) - set(VIEWS))

    assert not missing, (
        f"Add a line to ROUTES in tests/api/access.py for each of {missing}: how to make an object "
        "of the key's application and ask for it. Foreign keys must get 404."
    )
    assert not gone, f"Take {gone} out of tests/api/access.py: there is no such route any more."


def test_every_route_but_those_asks_for_a_scope():
    bare = [
        route
        for route, (view, action) in VIEWS.items()
        if route not in OPEN
        and (
            not any(issubclass(kind, HasScope) for kind in view.permission_classes)
            or view.required_scopes.get(action) not in Scope.values
        )
    ]

    assert not bare


@MATRIX
def test_the_owner_is_answered(path, method):
    key, asked = prepared(path, method)

    answer = ask(client_for(key), method, asked)

    assert 200 <= answer.status_code < 300, text_of(answer)
    if asked.foreign == UNSEEN:
        assert asked.mark in text_of(answer)


@MATRIX
def test_a_foreign_key_finds_nothing_and_changes_nothing(path, method):
    _, asked = prepared(path, method)
    before = _values(asked)

    answer = ask(client_for(make_api_key()), method, asked)

    if asked.foreign == MISSING:
        assert answer.status_code == 404, answer.content
        assert answer.json()["status"] == 404
    elif asked.foreign == UNKNOWN:
        assert answer.status_code == 422, answer.content
    else:
        assert 200 <= answer.status_code < 300, text_of(answer)
    if asked.mark:
        assert asked.mark not in text_of(answer)
    assert _values(asked) == before


@MATRIX
def test_without_a_token_the_answer_is_401(path, method):
    _, asked = prepared(path, method)

    answer = ask(APIClient(), method, asked)

    assert_refused(answer, 401, "authentication_required", asked)


def revoked(key: ApiKey) -> None:
    revoke_key(key=key, now=timezone.now())


def switched_off(key: ApiKey) -> None:
    key.application.is_active = False
    key.application.save()


def expired(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


@MATRIX
@pytest.mark.parametrize("end", [revoked, switched_off, expired])
def test_a_key_that_is_not_valid_any_more_is_401(path, method, end):
    key, asked = prepared(path, method)
    client = client_for(key)
    end(key)

    answer = ask(client, method, asked)

    assert_refused(answer, 401, "invalid_token", asked)


@MATRIX
def test_every_scope_but_the_right_one_is_403(path, method):
    key, asked = prepared(path, method)
    others = [scope for scope in Scope.values if scope != scope_of(path, method)]
    narrow = make_api_key(application=key.application, scopes=others)

    answer = ask(client_for(narrow), method, asked)

    assert_refused(answer, 403, "missing_scope", asked)
    assert scope_of(path, method) in answer.json()["detail"]


@MATRIX
def test_the_right_scope_alone_is_enough(path, method):
    key, asked = prepared(path, method)
    narrow = make_api_key(application=key.application, scopes=[scope_of(path, method)])

    answer = ask(client_for(narrow), method, asked)

    assert 200 <= answer.status_code < 300, text_of(answer)


@MATRIX
def test_a_foreign_test_key_finds_nothing_either(path, method):
    _, asked = prepared(path, method)
    before = _values(asked)

    answer = ask(client_for(make_api_key(kind=ApiKey.Kind.TEST)), method, asked)

    assert answer.status_code < 500
    if asked.foreign == MISSING:
        assert answer.status_code == 404
    elif asked.foreign == UNKNOWN:
        assert answer.status_code == 422
    if asked.mark:
        assert asked.mark not in text_of(answer)
    assert _values(asked) == before


@MATRIX
def test_a_test_key_of_the_application_is_answered_like_the_live_one_but_moves_no_live_message(
    path, method
):
    key, asked = prepared(path, method)
    before = _values(asked)
    tester = make_api_key(application=key.application, kind=ApiKey.Kind.TEST)

    answer = ask(client_for(tester), method, asked)

    if path in OF_LIVE_KEYS:
        assert_refused(answer, 403, "forbidden", asked)
        assert _values(asked) == before
    else:
        assert 200 <= answer.status_code < 300, text_of(answer)


@pytest.mark.parametrize("path", ["messages/email/send", "messages/batch"])
def test_what_a_test_key_sends_goes_to_the_simulator(path):
    key, asked = prepared(path, "post")
    tester = make_api_key(application=key.application, kind=ApiKey.Kind.TEST)

    ask(client_for(tester), "post", asked)

    sent = list(Message.objects.select_related("only_sender"))
    assert sent
    assert all(is_test(message) for message in sent)


@pytest.mark.parametrize("path", ["messages/email/send", "messages/batch"])
def test_a_foreign_attachment_is_refused_like_one_that_there_is_not(api, path):
    theirs, nobodys = str(attachment(make_api_key()).pk), str(uuid7())
    answers = []

    for asked in (theirs, nobodys):
        letter = LETTER | {"attachment_ids": [asked]}
        if path == "messages/batch":
            letter = {"items": [letter], "mode": "all_or_nothing"}
        answer = api.post(f"/{PREFIX}{path}", letter, format="json")
        answers.append((answer.status_code, answer.content.decode().replace(asked, "ID")))

    assert {status for status, _ in answers} == {422}
    assert len({without_request_id(text) for _, text in answers}) == 1


def without_request_id(problem: str) -> str:
    return re.sub(r'"request_id": ?"[^"]*"', "", problem)


@pytest.mark.parametrize("path", ["suppressions/import", "suppressions"])
def test_what_one_application_suppresses_holds_for_it_alone(path):
    mine, other = make_api_key(), make_api_key()
    asked = ROUTES[path]["post"](mine)
    ask(client_for(mine), "post", asked)

    answer = client_for(other).post(f"/{PREFIX}messages/email/send", LETTER, format="json")

    assert answer.status_code == 202
    assert not Suppression.objects.exclude(application=mine.application).exists()


@MATRIX
def test_a_key_outside_its_networks_is_403(path, method):
    key, asked = prepared(path, method)
    ApiKey.objects.filter(pk=key.pk).update(allowed_networks=["10.0.0.0/8"])

    answer = ask(client_for(key), method, asked)

    assert_refused(answer, 403, "network_not_allowed", asked)


@pytest.mark.parametrize("path", sorted({path for path, _ in VIEWS}))
def test_other_methods_are_405_and_allow_names_the_right_ones(path):
    methods = {method for route, method in VIEWS if route == path}
    client = client_for(make_api_key())
    url = "/" + PREFIX + re.sub("<uuid:[a-z_]+>", "01a20000-0000-7000-8000-000000000000", path)
    url = re.sub("<int:[a-z]+>", "1", url.replace("<str:code>", "welcome"))
    url = url.replace("<slug:name>", "account-1")

    for method in {"get", "post", "put", "patch", "delete", "options"} - methods:
        answer = getattr(client, method)(url)

        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        allowed = {name.strip().lower() for name in answer.headers["Allow"].split(",")}
        assert allowed - {"head", "options"} == methods


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_a_path_that_there_is_not_is_a_problem_for_every_method(method):
    client = APIClient(enforce_csrf_checks=True)

    answer = getattr(client, method)("/api/v1/nothing", {}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def assert_refused(answer: Any, status: int, code: str, asked: Asked) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    if asked.mark:
        assert asked.mark not in text_of(answer)


def _values(asked: Asked) -> dict[str, Any]:
    if asked.row is None:
        return {}
    now = reloaded(asked.row)
    return {name.attname: getattr(now, name.attname) for name in now._meta.concrete_fields}

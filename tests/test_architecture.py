"""What no linter knows."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import Scope
from core.errors import MEANINGS, STATUS, Code
from core.vocabulary import Channel
from messaging.channels.registry import ADAPTERS
from messaging.models import Reason
from messaging.serializers.channels import REQUESTS

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "accounts", "templates_app", "messaging", "reporting", "notification_platform")
SOURCES = [
    file
    for package in (*PACKAGES, "bench", "tests")
    for file in (ROOT / package).rglob("*.py")
    if "migrations" not in file.parts
]
OURS = [file for file in SOURCES if file.relative_to(ROOT).parts[0] in PACKAGES]

# Which scope each route of the API needs; None is open to everyone.
ACCESS: dict[str, dict[str, str | None]] = {
    "api/v1/auth/token": {"post": None},
    "api/v1/messages/email/send": {"post": Scope.MESSAGES_SEND},
    "api/v1/messages/sms/send": {"post": Scope.MESSAGES_SEND},
    "api/v1/messages/wechat/send": {"post": Scope.MESSAGES_SEND},
    "api/v1/messages/wechat-official/send": {"post": Scope.MESSAGES_SEND},
    "api/v1/messages/chat/send": {"post": Scope.MESSAGES_SEND},
    "api/v1/messages": {"get": Scope.MESSAGES_READ},
    "api/v1/messages/batch": {"post": Scope.MESSAGES_SEND},
    "api/v1/batches": {"get": Scope.MESSAGES_READ},
    "api/v1/batches/<uuid:pk>": {"get": Scope.MESSAGES_READ},
    "api/v1/batches/<uuid:pk>/cancel": {"post": Scope.MESSAGES_SEND},
    "api/v1/messages/batch/query": {"post": Scope.MESSAGES_READ},
    "api/v1/messages/<uuid:pk>": {"get": Scope.MESSAGES_READ},
    "api/v1/senders": {"get": Scope.SENDERS_READ},
    "api/v1/senders/<slug:name>": {"get": Scope.SENDERS_READ},
    "api/v1/statistics/summary": {"get": Scope.STATISTICS_READ},
    "api/v1/statistics/timeseries": {"get": Scope.STATISTICS_READ},
    "api/v1/suppressions": {"get": Scope.SUPPRESSIONS_READ, "post": Scope.SUPPRESSIONS_WRITE},
    "api/v1/suppressions/import": {"post": Scope.SUPPRESSIONS_WRITE},
    "api/v1/suppressions/export": {"get": Scope.SUPPRESSIONS_READ},
    "api/v1/suppressions/<int:pk>": {"delete": Scope.SUPPRESSIONS_WRITE},
    "api/v1/messages/<uuid:pk>/timeline": {"get": Scope.MESSAGES_READ},
    "api/v1/messages/<uuid:pk>/cancel": {"post": Scope.MESSAGES_SEND},
    "api/v1/messages/<uuid:pk>/reschedule": {"post": Scope.MESSAGES_SEND},
    "api/v1/messages/<uuid:pk>/resend": {"post": Scope.MESSAGES_SEND},
    "api/v1/attachments": {"post": Scope.MESSAGES_SEND},
    "api/v1/attachments/<uuid:pk>": {"get": Scope.MESSAGES_READ, "delete": Scope.MESSAGES_SEND},
    "api/v1/templates": {"get": Scope.TEMPLATES_READ, "post": Scope.TEMPLATES_WRITE},
    "api/v1/templates/preview": {"post": Scope.TEMPLATES_READ},
    "api/v1/templates/<str:code>": {
        "get": Scope.TEMPLATES_READ,
        "patch": Scope.TEMPLATES_WRITE,
        "delete": Scope.TEMPLATES_WRITE,
    },
    "api/v1/templates/<str:code>/rollback": {"post": Scope.TEMPLATES_WRITE},
    "api/v1/templates/<str:code>/versions": {
        "get": Scope.TEMPLATES_READ,
        "post": Scope.TEMPLATES_WRITE,
    },
    "api/v1/templates/<str:code>/versions/<int:number>": {
        "get": Scope.TEMPLATES_READ,
        "patch": Scope.TEMPLATES_WRITE,
        "delete": Scope.TEMPLATES_WRITE,
    },
    "api/v1/templates/<str:code>/versions/<int:number>/publish": {"post": Scope.TEMPLATES_WRITE},
    "api/v1/webhooks": {"get": Scope.WEBHOOKS_MANAGE, "post": Scope.WEBHOOKS_MANAGE},
    "api/v1/webhooks/<uuid:pk>": {
        "get": Scope.WEBHOOKS_MANAGE,
        "patch": Scope.WEBHOOKS_MANAGE,
        "delete": Scope.WEBHOOKS_MANAGE,
    },
    "api/v1/webhooks/<uuid:pk>/rotate-secret": {"post": Scope.WEBHOOKS_MANAGE},
    "api/v1/webhooks/<uuid:pk>/test": {"post": Scope.WEBHOOKS_MANAGE},
    "api/v1/webhooks/<uuid:pk>/deliveries": {"get": Scope.WEBHOOKS_MANAGE},
    "api/v1/webhooks/<uuid:pk>/deliveries/<uuid:delivery_pk>/replay": {
        "post": Scope.WEBHOOKS_MANAGE
    },
}


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_no_file_is_longer_than_400_lines(file):
    assert len(file.read_text().splitlines()) <= 400 or file.name == "0001_initial.py"


@pytest.mark.parametrize("file", OURS, ids=name_of)
def test_only_states_writes_the_status_of_a_message(file):
    tree = ast.parse(file.read_text())
    writes = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "attr", "") in {"update", "create", "update_or_create"}
        and any(keyword.arg == "status" for keyword in node.keywords)
    ]
    assigns = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and any(getattr(target, "attr", "") == "status" for target in node.targets)
    ]

    assert name_of(file).startswith("messaging/states/") or not writes + assigns


@pytest.mark.parametrize("file", OURS, ids=name_of)
def test_files_are_named_for_their_job(file):
    assert file.stem not in {"utils", "helpers", "common", "services", "misc"}


def routes(patterns=None, prefix=""):
    for pattern in patterns or get_resolver().url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield path, pattern.callback


def test_every_api_route_is_in_the_access_matrix_and_asks_for_its_scope():
    api = {path: view for path, view in routes() if path.startswith("api/v1/")}

    assert set(api) == set(ACCESS)
    for path, view in api.items():
        assert set(view.actions) - {"head"} == set(ACCESS[path])
        for method, scope in ACCESS[path].items():
            if scope is None:
                assert view.cls.permission_classes == ()
            else:
                assert view.cls.required_scopes[view.actions[method]] == scope


def test_every_channel_has_queues_and_a_way_to_be_asked_for():
    assert set(settings.CHANNEL_FAMILIES) == set(Channel.values)
    assert set(REQUESTS) == set(Channel.values)
    assert {adapter.channel for adapter in ADAPTERS.values()} == set(Channel)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "method"),
    [(path, method) for path, methods in ACCESS.items() for method in methods if methods[method]],
)
def test_no_route_answers_without_a_token(client, path, method):
    url = "/" + re.sub("<uuid:[a-z_]+>", "01a20000-0000-7000-8000-000000000000", path)
    url = url.replace("<str:code>", "welcome").replace("<int:number>", "1")
    url = url.replace("<int:pk>", "1").replace("<slug:name>", "account-1")

    response = getattr(client, method)(url)

    assert response.status_code == 401
    assert response.json()["code"] == "authentication_required"


def test_every_error_code_has_a_status_a_meaning_and_a_line_in_the_docs():
    page = (ROOT / "docs" / "errors.md").read_text()

    assert set(STATUS) == set(MEANINGS) == set(Code)
    for code in Code:
        assert f"| `{code}` | {STATUS[code]} | {MEANINGS[code]} |" in page


def test_every_reason_has_a_line_in_the_docs():
    page = (ROOT / "docs" / "errors.md").read_text()

    for reason in Reason:
        assert f"| `{reason}` |" in page


def test_every_decision_is_listed():
    listed = (ROOT / "docs" / "adr" / "README.md").read_text()

    for file in (ROOT / "docs" / "adr").glob("0*.md"):
        assert file.name in listed


def test_the_readmes_calls_are_those_that_were_promised():
    readme = (ROOT / "README.md").read_text()

    assert re.search(r"curl -X POST http://localhost:8000/api/v1/auth/token", readme)
    assert re.search(r"curl -X POST http://localhost:8000/api/v1/messages/email/send", readme)
    assert re.search(r"messages\?status=success&page=1&page_size=10", readme)

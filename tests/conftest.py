import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient

from accounts.authentication import issue_token
from accounts.models import AuditEntry
from core import tallies
from messaging import delivery, doorbell, lines, outbox, suppressions
from messaging.channels import registry
from templates_app.sending import ready_version
from tests.factories import make_api_key, make_operator
from tests.fakes import FAKES, FakeEmail
from tests.published_rows import empty_all_tables

# Slow, and the database is no part of what they show, or not much: of the suite's two runs these
# are in one.
WITH_POSTGRESQL = (
    *("tests/browser/", "tests/api/"),
    "tests/messaging/test_state_machine.py",
)
WITH_SQLITE = (
    *("tests/bench/", "tests/test_architecture.py"),
    *(f"tests/templates_app/test_{name}.py" for name in ("hostile", "safe_places", "language")),
    *("tests/templates_app/test_markup.py", "tests/limits/test_tallies.py"),
    *("tests/messaging/channels/", "tests/deployment/"),
    *("tests/test_translations.py", "tests/test_admin_in_chinese.py"),
)
ELSEWHERE = {"sqlite": WITH_POSTGRESQL, "postgresql": WITH_SQLITE}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """SUITE_RUN is set by `run_suite`; without it everything runs."""
    elsewhere = ELSEWHERE.get(os.environ.get("SUITE_RUN", ""), ())
    for item in items:
        if elsewhere and item.nodeid.startswith(elsewhere):
            item.add_marker(pytest.mark.skip(reason="is in the suite's other run"))


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    tmp_path_factory: pytest.TempPathFactory, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """On SQLite the tests use a file, as the platform does: threads need their own connections."""
    if settings.SQLITE:
        folder: Path = tmp_path_factory.mktemp("database")
        settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = str(folder / "test.sqlite3")


@pytest.fixture(autouse=True)
def bells(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What would have been published: (channel, lane)."""
    rung: list[tuple[str, str]] = []

    class Recorder:
        def ring(self, bell: tuple[str, str]) -> None:
            rung.append(bell)

    monkeypatch.setattr(doorbell, "_ringer", Recorder)
    return rung


@pytest.fixture(autouse=True)
def _clean_process() -> Iterator[None]:
    """Nothing of one test is left in the process for the next."""
    cache.clear()
    tallies.forget()
    # A rolled back test leaves its ids to the next one.
    ready_version.cache_clear()
    outbox.forget()
    delivery.stopping.clear()
    suppressions.forget_emptiness()
    yield
    registry.connections().close_idle(older_than=0)
    lines.PACE.clear()
    delivery.stopping.clear()


@pytest.fixture(autouse=True)
def _fast_pages(settings: Any) -> None:
    """Static files keep their names, since nobody ran `collectstatic` here; passwords are hashed
    fast."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(autouse=True)
def _audit_log_can_go(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests that commit end by emptying all tables, which the triggers of SQLite refuse."""
    marker = request.node.get_closest_marker("django_db")
    if not (settings.SQLITE and marker and marker.kwargs.get("transaction")):
        yield
        return
    request.getfixturevalue("transactional_db")
    yield
    if AuditEntry.objects.exists():
        empty_all_tables()


@pytest.fixture
def operator(db: None) -> Client:
    """A browser in which a superuser is logged in; `operator.user` is who."""
    return browser_of(make_operator())


def browser_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    client.user = user  # type: ignore[attr-defined]
    return client


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> type[FakeEmail]:
    """The adapters of `fakes`, which send nowhere and fail as they are told; see `FakeEmail`."""
    for fake in FAKES:
        monkeypatch.setitem(registry.ADAPTERS, fake.name, fake)
    FakeEmail.reset()
    return FakeEmail


@pytest.fixture
def api(db: None) -> APIClient:
    """A client with a valid token of a fresh application; `api.key` is its key."""
    return client_for(make_api_key())


def client_for(key: Any) -> APIClient:
    client: Any = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_token(key)}")
    client.key = key
    return client

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from messaging.channels import anymail_email, smtp
from messaging.channels.anymail_email import AnymailEmail
from messaging.channels.smtp import SmtpEmail
from tests.imitations.certificates import make_certificate
from tests.imitations.http_provider import HttpProvider
from tests.imitations.smtp import SmtpServer
from tests.messaging.channels.outbound import provider_account, smtp_account

SHORT = 0.25


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, trusted by nobody; see `trusted`."""
    return make_certificate(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`certificate`, as its own authority in this process."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return certificate


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    """In the clear, takes everything from everyone."""
    with SmtpServer() as running:
        yield running


@pytest.fixture
def smtp_email(server: SmtpServer) -> Iterator[SmtpEmail]:
    """An account at `server`."""
    adapter = SmtpEmail(smtp_account(server))
    yield adapter
    adapter.close()


@pytest.fixture
def open_smtp() -> Iterator[Callable[..., SmtpEmail]]:
    """Makes adapters for accounts with options of the test's own, and closes them after it."""
    with ExitStack() as closing:

        def make(server: SmtpServer, **options: Any) -> SmtpEmail:
            adapter = SmtpEmail(smtp_account(server, **options))
            closing.callback(adapter.close)
            return adapter

        yield make


@pytest.fixture
def start_provider() -> Iterator[Callable[..., tuple[HttpProvider, AnymailEmail]]]:
    """Starts a provider of some kind, with an account that it knows."""
    with ExitStack() as closing:

        def start(kind: str, **settings: Any) -> tuple[HttpProvider, AnymailEmail]:
            provider = closing.enter_context(HttpProvider(kind, **settings))
            adapter = AnymailEmail(provider_account(provider))
            closing.callback(adapter.close)
            return provider, adapter

        yield start


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of a fraction of a second."""
    for name in ("CONNECT", "COMMAND", "DATA", "FINAL_DOT"):
        monkeypatch.setattr(smtp, name, SHORT)
    monkeypatch.setattr(anymail_email, "TIMEOUT", (SHORT, SHORT))

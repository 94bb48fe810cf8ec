"""Where chats may go, and what is told of them."""

import logging
import subprocess
import sys

import pytest

from core.logging import logging_config
from messaging.channels import apprise_http
from messaging.channels.apprise_chat import AppriseChat
from messaging.channels.base import (
    Account,
    SenderFailure,
)
from messaging.channels.registry import ADAPTERS
from notification_platform.embedded.providers.chat import ChatServer
from tests.imitations.ports import free_port
from tests.messaging.channels.chats import (
    GOTIFY,
    TEXT,
    TOKEN,
    adapter_for,
    allow,
    failure,
    ntfy,
    shorten_deadlines,
)
from tests.messaging.channels.http_contract import outbound_of


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch):
    shorten_deadlines(monkeypatch)
    allow(monkeypatch, "127.0.0.0/8")


@pytest.fixture
def provider():
    with ChatServer(token=TOKEN, gotify_token=GOTIFY) as server:
        yield server


@pytest.fixture
def adapter(provider):
    return adapter_for(ntfy(provider))


# --- where it may go ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ntfys://10.1.2.3/topic", "no public address"),
        ("ntfys://169.254.169.254/topic", "no public address"),
        ("gotifys://[::1]/AbCdEfGhIjKlMn1", "no public address"),
        ("mmost://metadata.google.internal/3ccdd113474722377935511fc85d3dd4", "own secrets"),
        ("gotifys://0x7f.1/AbCdEfGhIjKlMn1", ""),
        ("gotifys://10.0.0.1:22/AbCdEfGhIjKlMn1", ""),
    ],
)
def test_an_address_inside_is_refused_when_it_is_set(url, words):
    found = AppriseChat.problems({}, {"url": url})

    assert set(found) == {"url"}
    assert words in found["url"]


def test_a_url_that_leads_nowhere_is_refused_when_it_is_set():
    found = AppriseChat.problems({}, {"url": "ntfys://"})

    assert found == {"url": "ntfy would call nobody with it: something is missing."}


def test_an_address_that_is_not_allowed_any_more_is_not_called(provider, adapter, monkeypatch):
    allow(monkeypatch)

    error = failure(adapter)

    assert (type(error), error.kind, error.phase) == (SenderFailure, "misconfigured", "connect")
    assert provider.requests == 0


def test_a_name_that_leads_inside_is_refused_at_every_send(provider, monkeypatch):
    adapter = adapter_for(f"ntfy://localhost:{provider.port}/releases")
    allow(monkeypatch)

    error = failure(adapter)

    assert "localhost leads to" in error.words
    assert provider.requests == 0


def test_plain_http_leads_into_named_networks_only(monkeypatch):
    monkeypatch.setattr(apprise_http, "resolve", lambda *_, **__: ["93.184.215.14"])

    error = failure(adapter_for("ntfy://ntfy.example.com/releases"))

    assert (type(error), error.kind) == (SenderFailure, "misconfigured")
    assert "without TLS" in error.words


def test_a_proxy_of_the_environment_is_not_used(provider, adapter, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")

    adapter.send(outbound_of(TEXT))

    assert len(provider.arrived) == 1


# --- what is told ---------------------------------------------------------------------------------


def test_nothing_of_url_and_message_is_logged(provider, adapter, capsys):
    before = logging.getLogger().level
    logging_config(level="DEBUG", form="json")
    try:
        adapter.send(outbound_of(TEXT))
        failure(adapter_for(ntfy(provider, token="tk_wrong_and_secret")))
        AppriseChat.problems({}, {"url": f"ntfys://{TOKEN}@host/?auth=none"})
        list(adapter.probe())
    finally:
        logging_config(level=logging.getLevelName(before), form="json")

    told = "".join(capsys.readouterr())
    for secret in (TOKEN, "tk_wrong_and_secret", "releases", "Version 2.1", str(provider.port)):
        assert secret not in told


def test_the_account_does_not_show_its_url(adapter):
    assert TOKEN not in repr(adapter.account)


def test_the_connection_can_be_tested_without_sending(provider, adapter):
    steps = list(adapter.probe())

    assert [(step.phase, step.is_ok) for step in steps] == [("configure", True), ("connect", True)]
    assert "send a test message" in steps[-1].words
    assert provider.requests == 0


def test_the_test_of_a_connection_says_that_nobody_listens():
    steps = list(adapter_for(f"ntfy://127.0.0.1:{free_port()}/releases").probe())

    assert [(step.phase, step.is_ok) for step in steps] == [("configure", True), ("connect", False)]


def test_the_test_of_a_connection_says_what_is_wrong_with_the_url():
    adapter = AppriseChat(Account(1, "s", {}, {"url": f"nosuch://{TOKEN}"}, "", "", "d"))

    (step,) = adapter.probe()

    assert not step.is_ok
    assert step.words == "nosuch:// is not among the services that may be used."


def test_a_sender_that_became_wrong_is_at_fault():
    adapter = AppriseChat(Account(1, "s", {}, {"url": f"nosuch://{TOKEN}"}, "", "", "d"))

    error = failure(adapter)

    assert (type(error), error.kind) == (SenderFailure, "misconfigured")


def test_it_is_an_adapter_of_the_platform_and_takes_only_what_names_it():
    assert ADAPTERS["apprise"] is AppriseChat
    assert AppriseChat.is_named


def test_apprise_is_not_loaded_before_it_is_needed():
    code = (
        "import tests.environment, django, sys; "
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'notification_platform.settings'; "
        "django.setup(); import notification_platform.urls, notification_platform.celery; "
        "import messaging.tasks; print([m for m in sys.modules if m.split('.')[0] == 'apprise'])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip().endswith("[]")

import socket
from ipaddress import ip_network
from typing import Any

import pytest
from django.utils import timezone

from messaging.callbacks import dispatch
from messaging.callbacks.endpoints import IssuedSecret, create_endpoint
from messaging.models import WebhookDelivery, WebhookEndpoint
from tests.factories import make_application
from tests.imitations.certificates import make_certificate
from tests.imitations.webhook_receiver import WebhookReceiver

HOST = "hooks.example.com"


@pytest.fixture(autouse=True)
def _fresh_paces():
    dispatch._pace.clear()
    dispatch._again.clear()


@pytest.fixture
def names(monkeypatch) -> dict[str, list[str]]:
    """Where names lead; all to loopback unless a test says otherwise."""
    known: dict[str, list[str]] = {}

    def getaddrinfo(host, port, *_: Any, **__: Any):
        found = known.get(host, ["127.0.0.1"])
        return [(socket.AF_INET, 1, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


@pytest.fixture
def certificate(tmp_path, settings, names):
    """Of our own authority, which the platform is told of, as it is of loopback."""
    path = make_certificate(tmp_path, host=HOST)
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.0/8")]
    settings.WEBHOOK_CA_FILE = str(path)
    return path


@pytest.fixture
def receiver(certificate):
    with WebhookReceiver(certificate, host=HOST) as receiver:
        yield receiver


def make_endpoint(url: str = f"https://{HOST}/", **overrides: Any) -> IssuedSecret:
    application = overrides.pop("application", None) or make_application()
    issued = create_endpoint(
        application_id=application.pk, url=url, description="", events=overrides.pop("events", None)
    )
    if overrides:
        WebhookEndpoint.objects.filter(pk=issued.endpoint.pk).update(**overrides)
        issued.endpoint.refresh_from_db()
    return issued


def make_delivery(endpoint: WebhookEndpoint, **overrides: Any) -> WebhookDelivery:
    now = timezone.now()
    fields = {"event": "ping", "payload": {"type": "ping"}, "due_at": now, "created_at": now}
    return WebhookDelivery.objects.create(endpoint=endpoint, **fields | overrides)


def call_due(**options: Any) -> int:
    options.setdefault("clock", timezone.now)
    return dispatch.dispatch(**options)

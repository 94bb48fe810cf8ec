"""What is sent in these tests, and by which accounts."""

from typing import Any

from messaging.channels.base import Account, Outbound
from messaging.channels.content import EmailContent
from tests.imitations.http_provider import DOMAIN, SECRET, HttpProvider
from tests.imitations.smtp import SmtpServer

# The credentials and options with which `HttpProvider` lets a sender in.
PROVIDER_OPTIONS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "postmark": ({}, {"server_token": SECRET}),
    "mailgun": ({"sender_domain": DOMAIN}, {"api_key": SECRET}),
    "brevo": ({}, {"api_key": SECRET}),
    "resend": ({}, {"api_key": SECRET}),
}


def make_outbound(*, attempt_id: str = "attempt-1", **content: Any) -> Outbound:
    fields: dict[str, Any] = {"to": [("Ann", "ann@example.com")], "subject": "Hello"}
    if not {"html", "text"} & content.keys():
        fields["html"] = "<p>Hello</p>"
    return Outbound(
        attempt_id=attempt_id,
        message_id="<message-1@notifications.example.com>",
        content=EmailContent(**fields | content),
    )


def make_account(options: dict[str, Any], credentials: dict[str, Any], **overrides: Any) -> Account:
    fields: dict[str, Any] = {
        "sender_id": 1,
        "name": "sender",
        "options": options,
        "credentials": credentials,
        "from_address": "sender@example.com",
        "from_name": "Sender",
        "digest": "digest",
    }
    return Account(**fields | overrides)


def smtp_account(server: SmtpServer, *, password: str = "", **options: Any) -> Account:
    """Without TLS unless told; with a password the user is `sender`."""
    settings = {"host": "127.0.0.1", "port": server.port, "security": "none"}
    if password:
        settings["username"] = "sender"
    return make_account(settings | options, {"password": password} if password else {})


def provider_account(provider: HttpProvider, **overrides: Any) -> Account:
    options, credentials = PROVIDER_OPTIONS[provider.kind]
    return make_account(
        {"backend": provider.kind, "api_url": provider.url, **options}, credentials, **overrides
    )

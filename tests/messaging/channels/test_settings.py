"""What `problems` says of an account's settings."""

from typing import Any

import pytest

from messaging.channels.anymail_email import BACKENDS, AnymailEmail
from messaging.channels.base import SenderFailure
from messaging.channels.smtp import SmtpEmail
from tests.messaging.channels.outbound import make_account, make_outbound

SMTP = {"host": "mail.example.com"}
# A value for each option that a backend may need.
VALUES = {
    "api_url": "https://api.example.com/",
    "sender_domain": "example.com",
    "project_id": "p",
    "api_key": "k",
    "secret_key": "k",
    "server_token": "k",
    "api_token": "k",
}
SECRETS = {option.name for option in AnymailEmail.options if option.is_secret}


def settings_for(backend: str) -> tuple[dict[str, Any], dict[str, Any]]:
    needed = {name: VALUES[name] for name in BACKENDS[backend][1]}
    options = {name: value for name, value in needed.items() if name not in SECRETS}
    credentials = {name: value for name, value in needed.items() if name in SECRETS}
    return {"backend": backend, **options}, credentials


@pytest.mark.parametrize(
    ("options", "credentials"),
    [
        (SMTP, {}),
        (SMTP | {"username": "ann"}, {"password": "secret"}),
        (SMTP | {"port": 465, "security": "tls", "verify_certificate": False}, {}),
        (SMTP | {"helo_name": "[127.0.0.1]", "host": "::1"}, {}),
    ],
)
def test_good_smtp_settings_have_no_problems(options, credentials):
    assert SmtpEmail.problems(options, credentials) == {}


@pytest.mark.parametrize(
    ("options", "credentials", "names"),
    [
        ({}, {}, {"host"}),
        (SMTP | {"port": 0}, {}, {"port"}),
        (SMTP | {"port": 65_536}, {}, {"port"}),
        (SMTP | {"port": "587"}, {}, {"port"}),
        (SMTP | {"port": True}, {}, {"port"}),
        (SMTP | {"security": "ssl"}, {}, {"security"}),
        (SMTP | {"username": "ann"}, {}, {"password"}),
        (SMTP, {"password": "secret"}, {"password"}),
        (SMTP | {"username": "ann"}, {"password": "pässword"}, {"password"}),
        (SMTP | {"username": "ann"}, {"password": "pass\x00word"}, {"password"}),
        (SMTP | {"username": "änn"}, {"password": "secret"}, {"username"}),
        (SMTP | {"host": "mail.example.com "}, {}, {"host"}),
        (SMTP | {"helo_name": "my host"}, {}, {"helo_name"}),
        (SMTP | {"password": "secret"}, {}, {"password"}),
        (SMTP | {"color": "red"}, {}, {"color"}),
    ],
)
def test_each_problem_of_smtp_settings_is_named(options, credentials, names):
    assert SmtpEmail.problems(options, credentials).keys() == names


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_can_be_built_with_what_it_is_said_to_need(backend):
    options, credentials = settings_for(backend)
    adapter = AnymailEmail(make_account(options, credentials))

    (step,) = adapter.probe()

    assert AnymailEmail.problems(options, credentials) == {}
    assert step.is_ok, step.words


@pytest.mark.parametrize(
    ("backend", "missing"),
    [(backend, name) for backend in BACKENDS for name in BACKENDS[backend][1]],
)
def test_what_a_backend_needs_is_named_and_really_needed(backend, missing):
    options, credentials = settings_for(backend)
    options.pop(missing, None)
    credentials.pop(missing, None)
    adapter = AnymailEmail(make_account(options, credentials))

    problems = AnymailEmail.problems(options, credentials)

    assert problems.keys() == {missing}
    # Mailgun derives its domain from the sender's address if it must.
    if (backend, missing) != ("mailgun", "sender_domain"):
        with pytest.raises(SenderFailure) as caught:
            adapter.send(make_outbound())
        assert caught.value.kind == "misconfigured"
        assert missing.upper() in caught.value.words


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_takes_an_ordinary_message(backend):
    adapter = AnymailEmail(make_account(*settings_for(backend)))
    outbound = make_outbound(
        text="Hello",
        cc=[("Cid", "cid@example.com")],
        bcc=[("", "eve@example.com")],
        reply_to=[("王小明", "desk@example.com")],
    )
    built = adapter._open()

    payload = built.build_message_payload(adapter._message(outbound), built.send_defaults)

    request = payload.get_request_params(built.api_url)
    assert "ann@example.com" in str(request)
    assert outbound.message_id in str(request)
    adapter.close()


@pytest.mark.parametrize(
    ("options", "credentials", "names"),
    [
        ({}, {}, {"backend"}),
        ({"backend": "sendgrid"}, {"api_key": "k"}, {"backend"}),
        ({"backend": "brevo"}, {"api_key": "a key"}, {"api_key"}),
        ({"backend": "brevo"}, {"api_key": "key\n"}, {"api_key"}),
        ({"backend": "brevo"}, {"api_key": "schlüssel"}, {"api_key"}),
        ({"backend": "brevo", "api_url": "api.example.com"}, {"api_key": "k"}, {"api_url"}),
        ({"backend": "brevo", "api_key": "k"}, {}, {"api_key"}),
    ],
)
def test_each_problem_of_a_providers_settings_is_named(options, credentials, names):
    assert AnymailEmail.problems(options, credentials).keys() == names

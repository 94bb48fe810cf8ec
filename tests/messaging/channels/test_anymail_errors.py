"""The error table of the providers, through real HTTP."""

import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from anymail.exceptions import (
    AnymailConfigurationError,
    AnymailInvalidAddress,
    AnymailRecipientsRefused,
    AnymailSerializationError,
    AnymailUnsupportedFeature,
)

from messaging.channels.anymail_email import AnymailEmail, judge
from messaging.channels.base import (
    DeliveryError,
    OutcomeUnknown,
    PermanentFailure,
    SenderFailure,
)
from tests.imitations.certificates import make_certificate
from tests.imitations.http_provider import IDS, Act, Answer
from tests.messaging.channels.outbound import PROVIDER_OPTIONS, make_account, make_outbound

STATUSES: list[tuple[int, type[DeliveryError], str]] = [
    (400, PermanentFailure, "rejected"),
    (401, SenderFailure, "credentials"),
    (402, SenderFailure, "quota"),
    (403, SenderFailure, "credentials"),
    (404, SenderFailure, "misconfigured"),
    (408, SenderFailure, "transient"),
    (413, PermanentFailure, "rejected"),
    (422, PermanentFailure, "rejected"),
    (429, SenderFailure, "throttled"),
    (500, OutcomeUnknown, "no_answer"),
    (502, OutcomeUnknown, "no_answer"),
    (503, SenderFailure, "throttled"),
    (504, OutcomeUnknown, "no_answer"),
]


@pytest.mark.parametrize("kind", PROVIDER_OPTIONS)
@pytest.mark.parametrize(("status", "error", "word"), STATUSES)
def test_a_status_is_judged_alike_for_every_provider(start_provider, kind, status, error, word):
    provider, adapter = start_provider(kind)
    provider.script = provider.failure(status)

    with pytest.raises(DeliveryError) as caught:
        adapter.send(make_outbound())

    assert (type(caught.value), caught.value.kind) == (error, word)
    assert (caught.value.phase, caught.value.code) == ("response", str(status))
    assert caught.value.words
    assert provider.requests == 1


def test_no_credits_are_a_quota_whatever_the_status(start_provider):
    provider, adapter = start_provider("brevo")
    provider.script = provider.failure(405)

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert caught.value.kind == "quota"


@pytest.mark.parametrize(
    ("code", "kind"),
    [(400, "identity"), (401, "identity"), (405, "quota"), (412, "blocked"), (413, "blocked")],
)
def test_postmarks_faults_of_the_account_fail_no_message(start_provider, code, kind):
    provider, adapter = start_provider("postmark")
    provider.script = Answer(422, json.dumps({"ErrorCode": code, "Message": "Not allowed."}))

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert caught.value.kind == kind


@pytest.mark.parametrize("body", ["null", "[]", '{"ErrorCode": [405]}', "<html>"])
def test_an_error_in_a_form_of_its_own_is_judged_by_its_status(start_provider, body):
    provider, adapter = start_provider("resend")
    provider.script = Answer(422, body)

    with pytest.raises(PermanentFailure) as caught:
        adapter.send(make_outbound())

    assert caught.value.kind == "rejected"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 1), ("999999", 3600), ("soon", None), ("-5", None), ("", None)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_how_long_to_wait_is_read_within_bounds(start_provider, status, header, seconds):
    provider, adapter = start_provider("resend")
    provider.script = provider.failure(status, headers={"Retry-After": header})

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert caught.value.retry_after == seconds


def test_how_long_to_wait_may_be_a_date(start_provider):
    provider, adapter = start_provider("resend")
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    provider.script = provider.failure(429, headers={"Retry-After": date})

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert caught.value.retry_after == pytest.approx(600, abs=30)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", PROVIDER_OPTIONS)
@pytest.mark.parametrize("act", Act)
def test_no_whole_answer_to_a_whole_request_leaves_it_open(start_provider, kind, act):
    provider, adapter = start_provider(kind)
    provider.script = act

    with pytest.raises(OutcomeUnknown) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("no_answer", "response")
    assert provider.requests == 1


@pytest.mark.parametrize("kind", PROVIDER_OPTIONS)
@pytest.mark.parametrize("body", ["<html>OK</html>", "{", '"OK"', "[]", "null", "{}", "[1]"])
def test_a_success_that_cannot_be_read_leaves_it_open(start_provider, kind, body):
    provider, adapter = start_provider(kind)
    provider.script = Answer(200, body)

    with pytest.raises(OutcomeUnknown):
        adapter.send(make_outbound())


def test_a_name_that_does_not_resolve_is_the_senders_failure(monkeypatch):
    def resolve(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    options = {"backend": "brevo", "api_url": "https://api.invalid/"}
    adapter = AnymailEmail(make_account(options, {"api_key": "k"}))

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("transient", "connect")


@pytest.mark.parametrize(
    ("options", "secret"),
    [
        ({}, "key\n"),
        ({}, "schlüssel密"),
        ({"api_url": "api.example.com"}, "k"),
        ({"api_url": "ftp://127.0.0.1/"}, "k"),
        ({"api_url": "http://"}, "k"),
        ({"api_url": f"http://{'a' * 70}.example.com/"}, "k"),
    ],
)
def test_settings_that_never_let_a_request_out_are_the_senders_fault(
    start_provider, options, secret
):
    provider, _ = start_provider("brevo")
    settings = {"backend": "brevo", "api_url": provider.url} | options
    adapter = AnymailEmail(make_account(settings, {"api_key": secret}))

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("misconfigured", "configure")
    assert provider.requests == 0


# --- TLS -----------------------------------------------------------------------------------------


def test_a_trusted_certificate_lets_the_message_through(start_provider, trusted):
    provider, adapter = start_provider("resend", certificate=trusted)

    adapter.send(make_outbound())

    assert len(provider.sent) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "mail.example.com"])
def test_a_wrong_certificate_is_the_senders_failure(start_provider, tmp_path, monkeypatch, host):
    certificate = make_certificate(tmp_path, host=host)
    if host != "127.0.0.1":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    provider, adapter = start_provider("resend", certificate=certificate)

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("misconfigured", "tls")
    assert provider.requests == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("act", [Act.CLOSE, Act.RESET, Act.SILENCE])
def test_a_handshake_that_comes_to_nothing_is_the_senders_failure(start_provider, trusted, act):
    provider, adapter = start_provider("resend", certificate=trusted)
    provider.handshake = act

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert caught.value.kind == "transient"
    assert caught.value.phase in {"connect", "tls"}
    assert provider.requests == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("act", Act)
def test_tls_that_breaks_after_the_request_leaves_it_open(start_provider, trusted, act):
    provider, adapter = start_provider("resend", certificate=trusted)
    provider.script = act

    with pytest.raises(OutcomeUnknown):
        adapter.send(make_outbound())

    assert provider.requests == 1


# --- recipients, ids, connections ----------------------------------------------------------------


def test_who_was_refused_is_told_by_position(start_provider):
    provider, adapter = start_provider("postmark")
    provider.inactive = {"bob@example.com", "eve@example.com"}
    outbound = make_outbound(
        to=[("", "ann@example.com"), ("", "Bob@example.com")], bcc=[("", "eve@example.com")]
    )

    receipt = adapter.send(outbound)

    assert [one.position for one in receipt.refused] == ["to/1", "bcc/0"]
    assert receipt.refused[0].words == "rejected"


@pytest.mark.parametrize("kind", PROVIDER_OPTIONS)
def test_the_providers_id_is_on_the_receipt(start_provider, kind):
    _, adapter = start_provider(kind)

    receipt = adapter.send(make_outbound())

    assert receipt.provider_message_id == IDS[kind]


@pytest.mark.parametrize("kind", PROVIDER_OPTIONS)
def test_our_ids_travel_with_the_message(start_provider, kind):
    provider, adapter = start_provider(kind)
    outbound = make_outbound()

    adapter.send(outbound)

    (request,) = provider.sent
    assert outbound.message_id in str(request)
    assert outbound.attempt_id in str(request)


@pytest.mark.parametrize("kind", PROVIDER_OPTIONS)
def test_unicode_names_subjects_and_bodies_arrive(start_provider, kind):
    provider, adapter = start_provider(kind)

    adapter.send(
        make_outbound(
            to=[("王, 小明", "ann@example.com")], subject="订单 🎉", html="<p>你好", text="世界"
        )
    )

    text = json.dumps(provider.sent[0], ensure_ascii=False)
    assert all(part in text for part in ("订单 🎉", "<p>你好", "世界", "ann@example.com"))


def test_a_connection_that_the_provider_closed_is_reopened_without_a_word(start_provider):
    provider, adapter = start_provider("brevo")
    adapter.send(make_outbound())
    provider.drop_connections()

    adapter.send(make_outbound())

    assert (len(provider.sent), provider.connections) == (2, 2)


def test_errors_leave_the_connection_usable(start_provider):
    provider, adapter = start_provider("brevo")
    provider.once.extend([provider.failure(400), provider.failure(429), provider.failure(500)])
    for _ in range(3):
        with pytest.raises(DeliveryError):
            adapter.send(make_outbound())

    adapter.send(make_outbound())

    assert (provider.requests, provider.connections) == (4, 1)


@pytest.mark.parametrize(
    ("error", "judged", "kind"),
    [
        (AnymailRecipientsRefused(), PermanentFailure, "hard_bounce"),
        (AnymailInvalidAddress("no address"), PermanentFailure, "hard_bounce"),
        (AnymailSerializationError("no JSON"), PermanentFailure, "rejected"),
        (AnymailUnsupportedFeature("two Reply-To"), PermanentFailure, "rejected"),
        (AnymailConfigurationError("no key"), SenderFailure, "misconfigured"),
    ],
)
def test_what_anymail_itself_says_is_judged(error, judged, kind):
    result = judge(error)

    assert (type(result), result.kind) == (judged, kind)

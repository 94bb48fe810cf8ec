"""Calls over real connections, at receivers that behave and at those that do not."""

import socket
import ssl
import threading
import time
from ipaddress import ip_network

import pytest

from core import outgoing
from core.outgoing import Answer as Got
from core.outgoing import CallFailed, Rules, post
from core.outgoing_addresses import ForbiddenUrl
from tests.imitations.canary import resolve_to
from tests.imitations.certificates import make_certificate
from tests.imitations.webhook_receiver import Act, Answer, WebhookReceiver

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]


def call(url, *, rules=Rules(), seconds=2.0) -> Got:  # noqa: B008
    return post(url, b"{}", headers={"X-Test": "1"}, rules=rules, seconds=seconds)


@pytest.fixture
def certificate(tmp_path):
    return make_certificate(tmp_path, host="hooks.example.com")


@pytest.fixture
def rules(certificate):
    return Rules(networks=LOOPBACK, ca_file=str(certificate))


@pytest.fixture
def receiver(certificate, monkeypatch):
    resolve_to(monkeypatch, ["127.0.0.1"])
    with WebhookReceiver(certificate, host="hooks.example.com") as receiver:
        yield receiver


def test_a_call_arrives_with_the_urls_host_and_path(receiver, rules):
    got = call(receiver.url, rules=rules)

    (heard,) = receiver.heard
    assert got.status == 204
    assert heard.path == "/hooks?from=us"
    assert heard.body == b"{}"
    assert heard.headers["host"] == f"hooks.example.com:{receiver.port}"
    assert heard.headers["x-test"] == "1"


def test_a_certificate_for_another_name_is_not_accepted(receiver, rules):
    with pytest.raises(CallFailed, match="certificate is not valid"):
        call(receiver.url.replace("hooks.", "other."), rules=rules)

    assert receiver.heard == []


def test_a_certificate_of_an_unknown_authority_is_not_accepted(receiver):
    with pytest.raises(CallFailed, match="certificate is not valid"):
        call(receiver.url, rules=Rules(networks=LOOPBACK))

    assert receiver.heard == []


def test_the_next_address_is_tried_when_one_does_not_answer(receiver, rules, monkeypatch):
    resolve_to(monkeypatch, ["::1", "127.0.0.1"])

    assert call(receiver.url, rules=rules).status == 204


def test_no_proxy_of_the_environment_is_asked(receiver, rules, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert call(receiver.url, rules=rules).status == 204


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_followed(receiver, rules, canary, status):
    receiver.script = [Answer(status, headers={"Location": f"http://127.0.0.1:{canary.port}/"})]

    assert call(receiver.url, rules=rules).status == status
    assert len(receiver.heard) == 1


@pytest.mark.parametrize("act", [Act.SILENCE, Act.DRIP_HEADERS, Act.CONTINUE_FOR_EVER])
def test_a_call_ends_in_time_however_slowly_the_answer_comes(receiver, rules, act):
    receiver.script = [act]
    started = time.monotonic()

    with pytest.raises(CallFailed, match=r"within 0\.5 s"):
        call(receiver.url, rules=rules, seconds=0.5)

    assert time.monotonic() - started < 1.5


def test_a_body_that_drips_does_not_hold_the_call_longer(receiver, rules):
    receiver.script = [Act.DRIP_BODY]
    started = time.monotonic()

    got = call(receiver.url, rules=rules, seconds=0.5)

    assert got.status == 500
    assert time.monotonic() - started < 1.5


def test_a_good_answer_is_not_waited_out(receiver, rules, monkeypatch):
    monkeypatch.setattr(outgoing, "GOOD_ANSWER_SECONDS", 0.2)
    receiver.script = [Act.DRIP_GOOD_BODY]
    started = time.monotonic()

    got = call(receiver.url, rules=rules, seconds=10)

    assert got.status == 200
    assert time.monotonic() - started < 2


def test_of_an_endless_body_64_kb_are_read(receiver, rules):
    receiver.script = [Act.FLOOD]

    got = call(receiver.url, rules=rules)

    assert len(got.body) == 65_536


def test_whoever_hangs_up_gave_no_answer(receiver, rules):
    receiver.script = [Act.CLOSE]

    with pytest.raises(CallFailed, match="broke off"):
        call(receiver.url, rules=rules)


def test_a_server_that_is_silent_during_the_handshake_is_given_up(monkeypatch, rules):
    resolve_to(monkeypatch, ["127.0.0.1"])
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        with pytest.raises(CallFailed, match="No TLS connection: it took too long"):
            call(f"https://hooks.example.com:{port}/", rules=rules, seconds=0.3)

    assert time.monotonic() - started < 1.5


def test_a_name_server_that_is_silent_is_given_up(monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(5) and [])
    started = time.monotonic()

    with pytest.raises(CallFailed, match="could not be resolved within"):
        call("https://hooks.example.com/", seconds=0.2)

    assert time.monotonic() - started < 1
    answered.set()


def test_a_name_that_is_not_there_says_so(monkeypatch):
    def getaddrinfo(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    with pytest.raises(CallFailed, match="Name or service not known"):
        call("https://hooks.example.com/")


def test_old_tls_is_not_spoken(rules, certificate, monkeypatch):
    resolve_to(monkeypatch, ["127.0.0.1"])

    assert outgoing._context(str(certificate)).minimum_version >= ssl.TLSVersion.TLSv1_2


def test_plain_http_needs_to_be_allowed(monkeypatch):
    resolve_to(monkeypatch, ["127.0.0.1"])
    with WebhookReceiver() as receiver:
        got = call(receiver.url, rules=Rules(networks=LOOPBACK, allows_http=True))

        with pytest.raises(ForbiddenUrl, match="https"):
            call(receiver.url, rules=Rules(networks=LOOPBACK))

    assert got.status == 204
    assert len(receiver.heard) == 1

"""Chats through the real Apprise, against an imitation of ntfy and Gotify."""

import logging
import subprocess
import sys
from ipaddress import ip_network

import pytest

from core.logging import logging_config
from messaging.channels import apprise_http, http_api
from messaging.channels.apprise_answers import CODES, MAX_TRIES, WELL
from messaging.channels.apprise_chat import AppriseChat
from messaging.channels.base import (
    Account,
    DeliveryError,
    OutcomeUnknown,
    PermanentFailure,
    SenderFailure,
    TemporaryFailure,
)
from messaging.channels.content import TextContent
from messaging.channels.registry import ADAPTERS
from notification_platform.embedded.providers.chat import ChatServer
from notification_platform.embedded.providers.server import Act, Answer
from tests.imitations.ports import free_port
from tests.messaging.channels.http_contract import SHORT, account_of, outbound_of

TOKEN = "tk_0123456789abcdefghijklmnopqrs"
GOTIFY = "AbCdEfGhIjKlMn1"
TEXT = TextContent(to=[("", "team")], subject="发布完成", text="Version 2.1 is live. 已上线")


@pytest.fixture(autouse=True)
def loopback_is_allowed(monkeypatch):
    monkeypatch.setattr(http_api, "TIMEOUT", (SHORT, SHORT))
    monkeypatch.setattr(http_api, "ANSWER_SECONDS", SHORT)
    allow(monkeypatch, "127.0.0.0/8")


def allow(monkeypatch, *networks):
    found = [ip_network(network) for network in networks]
    monkeypatch.setattr(apprise_http, "_networks", lambda: found)


@pytest.fixture
def provider():
    with ChatServer(token=TOKEN, gotify_token=GOTIFY) as server:
        yield server


def ntfy(provider, token=TOKEN, topic="releases", arguments="?auth=token"):
    return f"ntfy://{token}@127.0.0.1:{provider.port}/{topic}{arguments}"


def adapter_for(url):
    return AppriseChat(account_of(AppriseChat, options={}, credentials={"url": url}))


@pytest.fixture
def adapter(provider):
    return adapter_for(ntfy(provider))


def failure(adapter, content=TEXT, **further):
    with pytest.raises(DeliveryError) as caught:
        adapter.send(outbound_of(content, **further))
    told = f"{caught.value!r} {caught.value} {caught.value.words}"
    assert TOKEN not in told
    assert GOTIFY not in told
    assert TEXT.text not in told
    return caught.value


# --- what arrives ---------------------------------------------------------------------------------


def test_a_message_arrives_at_ntfy(provider, adapter):
    receipt = adapter.send(outbound_of(TEXT))

    (arrived,) = provider.arrived
    assert (arrived.to, arrived.title, arrived.text) == ("releases", TEXT.subject, TEXT.text)
    assert (receipt.code, receipt.words) == ("200", "")
    assert provider.requests == 1


def test_a_message_arrives_at_gotify(provider):
    adapter = adapter_for(f"gotify://127.0.0.1:{provider.port}/{GOTIFY}")

    adapter.send(outbound_of(TEXT))

    (arrived,) = provider.arrived
    assert (arrived.title, arrived.text) == (TEXT.subject, TEXT.text)
    assert arrived.details["service"] == "Gotify"


def test_an_open_topic_needs_no_token():
    with ChatServer() as provider:
        adapter_for(f"ntfy://127.0.0.1:{provider.port}/open").send(outbound_of(TEXT))

    assert [arrived.to for arrived in provider.arrived] == ["open"]


def test_markdown_stays_markdown_where_the_url_says_so(provider):
    adapter = adapter_for(ntfy(provider, arguments="?auth=token&format=markdown"))
    content = TextContent(to=[("", "team")], text="**Live**", format="markdown")

    adapter.send(outbound_of(content))

    (arrived,) = provider.arrived
    assert (arrived.text, arrived.details["markdown"]) == ("**Live**", True)


def test_a_subject_alone_is_the_text(provider, adapter):
    adapter.send(outbound_of(TextContent(to=[("", "team")], subject="Only this")))

    assert [(a.title, a.text) for a in provider.arrived] == [("", "Only this")]


def test_ten_messages_are_not_slowed_down(provider, adapter):
    for _ in range(10):
        adapter.send(outbound_of(TEXT))

    # Apprise alone would rest for 5.5 s between two.
    assert len(provider.arrived) == 10


def test_a_long_text_arrives_whole_or_not_at_all(provider, adapter):
    whole = "长" * 7700

    adapter.send(outbound_of(TextContent(to=[("", "team")], text=whole)))
    error = failure(adapter, TextContent(to=[("", "team")], subject="Hello", text="x" * 7800))

    assert [arrived.text for arrived in provider.arrived] == [whole]
    assert (type(error), error.kind) == (PermanentFailure, "rejected")
    assert "takes 7800 characters" in error.words


def test_a_title_that_would_be_cut_is_refused(provider):
    adapter = adapter_for(f"gotify://127.0.0.1:{provider.port}/{GOTIFY}")

    error = failure(adapter, TextContent(to=[("", "team")], subject="x" * 251, text="T"))

    assert "a title of 250 characters" in error.words
    assert provider.requests == 0


@pytest.mark.parametrize("content", [{"format": "textcard"}, {"details": {"type": "loud"}}])
def test_a_form_that_apprise_does_not_know_is_a_misfit(content):
    found = AppriseChat.misfits(TextContent(to=[("", "team")], text="T", **content))

    assert [misfit.pointer for misfit in found] == ["/content"]


# --- what is refused, and what nobody knows -------------------------------------------------------


@pytest.mark.parametrize("act", list(Act))
def test_without_an_answer_nobody_knows(provider, adapter, act):
    provider.lose.append(act)

    assert isinstance(failure(adapter), OutcomeUnknown)

    assert len(provider.arrived) == 1
    adapter.send(outbound_of(TEXT))
    assert len(provider.arrived) == 2


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_broken_gateway_leaves_it_open(provider, adapter, status):
    provider.once.append(Answer(status, "<html>Bad Gateway</html>"))

    assert isinstance(failure(adapter), OutcomeUnknown)


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_told_to_wait_waits(provider, adapter, status):
    provider.once.append(Answer(status, "{}", {"Retry-After": "7"}))

    error = failure(adapter)

    assert (type(error), error.kind, error.retry_after) == (SenderFailure, "throttled", 7.0)


def test_no_redirect_is_followed(provider, adapter):
    provider.once.append(Answer(302, "", {"Location": f"{provider.url}/elsewhere"}))

    error = failure(adapter)

    assert (type(error), error.kind) == (SenderFailure, "misconfigured")
    assert provider.requests == 1


def test_a_huge_answer_is_not_read_to_its_end(provider, adapter):
    provider.once.append(Answer(200, " " * (http_api.MAX_ANSWER + 100_000)))

    assert isinstance(failure(adapter), OutcomeUnknown)


def test_where_nobody_listens_nothing_was_taken():
    error = failure(adapter_for(f"ntfy://127.0.0.1:{free_port()}/releases"))

    assert (type(error), error.kind) == (SenderFailure, "transient")


def test_a_wrong_token_is_the_senders_fault(provider):
    error = failure(adapter_for(ntfy(provider, token="tk_wrong")))

    assert (type(error), error.kind, error.code) == (SenderFailure, "credentials", "401")
    assert "unauthorized" in error.words


def test_what_the_service_does_not_like_about_a_message_is_for_good(provider, adapter):
    provider.once.append(Answer.of({"code": 40017, "http": 400, "error": "invalid"}, 400))

    error = failure(adapter)

    assert (type(error), error.kind) == (PermanentFailure, "rejected")
    assert error.words == "40017 invalid"


def test_words_that_repeat_secrets_or_the_message_are_not_kept(provider, adapter):
    provider.once += [
        Answer.of({"error": f"unknown key {TOKEN}"}, 400),
        Answer.of({"error": f"cannot show: {TEXT.text}"}, 400),
    ]

    assert failure(adapter).words == "unknown key ***"
    assert failure(adapter).words == "It repeats the message."


ROBOTS = {
    "dingtalk": "dingtalk://secretsecret@abcdefghijkl",
    "feishu": "feishu://abcdefghijkl",
    "lark": "lark://abcdefghijkl",
}


def robot(provider, service):
    """Its adapter, which calls us instead of its service."""
    adapter = adapter_for(ROBOTS[service])
    adapter._open().notify_url = f"{provider.url}/robot/send?access_token={{token}}"
    adapter._open().webhook_url = f"{provider.url}/hook/"
    return adapter


@pytest.fixture
def dingtalk(provider):
    return robot(provider, "dingtalk")


def test_a_200_that_says_no_is_a_refusal_and_is_tried_a_few_times(provider, dingtalk):
    provider.script = Answer.of({"errcode": 310000, "errmsg": "keywords not in content"})

    first = failure(dingtalk)
    last = failure(dingtalk, tries=MAX_TRIES - 1)

    assert (type(first), first.kind) == (TemporaryFailure, "temporary")
    assert (type(last), last.kind) == (PermanentFailure, "rejected")
    assert last.words == "310000 keywords not in content"


@pytest.mark.parametrize(("service", "code"), CODES)
def test_each_code_that_says_more_than_no_has_its_class(provider, service, code):
    provider.script = Answer.of({WELL[service][0]: int(code), "msg": "no"})

    error = failure(robot(provider, service))

    assert (type(error), error.kind, error.retry_after) == CODES[service, code]


def test_a_200_that_says_yes_is_a_yes(provider, dingtalk):
    provider.script = Answer.of({"errcode": 0, "errmsg": "ok"})

    assert dingtalk.send(outbound_of(TEXT)).code == "200"


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

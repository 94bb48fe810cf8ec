"""Chats through the real Apprise, against an imitation of ntfy and Gotify."""

import pytest

from messaging.channels import http_api
from messaging.channels.apprise_answers import CODES, MAX_TRIES, WELL
from messaging.channels.apprise_chat import AppriseChat
from messaging.channels.base import (
    OutcomeUnknown,
    PermanentFailure,
    SenderFailure,
    TemporaryFailure,
)
from messaging.channels.content import TextContent
from notification_platform.embedded.providers.chat import ChatServer
from notification_platform.embedded.providers.server import Act, Answer
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


def test_a_markdown_message_without_a_title_has_one_where_it_must(provider, dingtalk):
    provider.script = Answer.of({"errcode": 0})
    heard = []
    provider.react, react = lambda asked: (heard.append(asked), react(asked))[1], provider.react

    dingtalk.send(outbound_of(TextContent(to=[("", "t")], text="**Live**", format="markdown")))

    assert heard[0].json()["markdown"] == {"title": "Notification", "text": "**Live**"}


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

"""Applications of WeChat Work, against an imitation that checks tokens, limits and repeats."""

import json
from dataclasses import replace
from itertools import count
from uuid import uuid4

import pytest

from messaging.channels import tokens
from messaging.channels.base import PermanentFailure, SenderFailure, TemporaryFailure
from messaging.channels.content import TextContent
from messaging.channels.wecom_app import WecomApp
from notification_platform.embedded.providers.server import Answer
from notification_platform.embedded.providers.wecom import WecomServer
from tests.messaging.channels.http_contract import HttpContract, account_of, outbound_of

numbers = count()


@pytest.fixture(autouse=True)
def no_tokens():
    tokens.forget()


@pytest.fixture
def provider():
    with WecomServer() as running:
        yield running


def adapter_for(provider, *, secret=None, **options):
    app = provider.apps[0]
    settings = {"corp_id": provider.corp_id, "agent_id": app.agent_id, "api_url": provider.url}
    credentials = {"secret": secret or app.secret}
    return WecomApp(account_of(WecomApp, options=settings | options, credentials=credentials))


@pytest.fixture
def adapter(provider):
    return adapter_for(provider)


def text(words="Hello", *to, **further):
    people = [("", one) for one in to or ("zhangsan",)]
    return TextContent(**{"to": people, "text": words, **further})


def says(code, words="words", **further):
    return Answer.of({"errcode": code, "errmsg": words, **further})


class TestWecomApp(HttpContract):
    SECRETS = ("app-secret-0123456789", "wrong-secret-0123456789")
    CODES = {
        "-1": (TemporaryFailure, "temporary"),
        "40001": (SenderFailure, "credentials"),
        "40013": (SenderFailure, "credentials"),
        "40056": (SenderFailure, "misconfigured"),
        "48002": (SenderFailure, "misconfigured"),
        "60020": (SenderFailure, "misconfigured"),
        "301002": (SenderFailure, "misconfigured"),
        "45009": (SenderFailure, "throttled"),
        "45033": (SenderFailure, "throttled"),
        "40003": (PermanentFailure, "hard_bounce"),
        "40031": (PermanentFailure, "hard_bounce"),
        "60111": (PermanentFailure, "hard_bounce"),
        "81013": (PermanentFailure, "hard_bounce"),
        "40008": (PermanentFailure, "rejected"),
        "40058": (PermanentFailure, "rejected"),
        "44004": (PermanentFailure, "rejected"),
        "45002": (PermanentFailure, "rejected"),
    }

    @pytest.fixture
    def provider(self, provider):
        return provider

    @pytest.fixture
    def adapter(self, adapter):
        return adapter

    @pytest.fixture
    def stranger(self, provider):
        return adapter_for(provider, secret="wrong-secret-0123456789")

    @pytest.fixture
    def outbound(self):
        return outbound_of(text())

    def another(self, outbound):
        other = super().another(outbound)
        return replace(other, content=replace(other.content, text=f"Hello {next(numbers)}"))

    def refusal(self, code):
        return says(int(code))


# --- what is sent --------------------------------------------------------------------------------


def test_members_parties_and_tags_get_one_message(provider, adapter):
    receipt = adapter.send(outbound_of(text("Hello", "zhangsan", "lisi", "party:2", "tag:7")))

    (arrival,) = provider.arrived
    assert arrival.to == "zhangsan|lisi|party:2|tag:7"
    assert (arrival.text, receipt.code, receipt.refused) == ("Hello", "0", ())


def test_everybody_is_one_recipient(provider, adapter):
    receipt = adapter.send(outbound_of(text("Hello", "@all")))

    assert provider.arrived[0].to == "lisi|wangwu|zhangsan"
    assert receipt.refused == ()


def test_a_textcard_has_its_title_link_and_button(provider, adapter):
    content = text("You have mail", subject="Post", format="textcard")

    adapter.send(
        outbound_of(replace(content, details={"url": "https://x.example", "button": "Go"}))
    )

    (arrival,) = provider.arrived
    assert (arrival.title, arrival.text) == ("Post", "You have mail")
    assert (arrival.details["url"], arrival.details["btntxt"]) == ("https://x.example", "Go")


@pytest.mark.parametrize(
    ("form", "details", "seen"),
    [
        ("markdown", {}, "**Hello**"),
        ("news", {"articles": [{"title": "T", "description": "D", "url": "https://x"}]}, "D"),
        (
            "template_card",
            {"card": {"card_type": "text_notice", "main_title": {"title": "T", "desc": "C"}}},
            "C",
        ),
    ],
)
def test_every_format_arrives(provider, adapter, form, details, seen):
    adapter.send(outbound_of(text("**Hello**", format=form, details=details)))

    assert (provider.arrived[0].text, provider.arrived[0].details["msgtype"]) == (seen, form)


def test_a_text_may_be_kept_confidential(provider, adapter, monkeypatch):
    asked = []
    answer = provider.answer
    monkeypatch.setattr(provider, "answer", lambda one: (asked.append(one), answer(one))[1])

    adapter.send(outbound_of(text("secret", details={"safe": True})))

    assert json.loads(asked[-1].body)["safe"] == 1


def test_who_is_not_there_is_refused_by_position_and_the_others_get_it(provider, adapter):
    content = text("Hello", "ZhangSan", "Nobody", "party:2", "party:99", "tag:404")

    receipt = adapter.send(outbound_of(content))

    assert provider.arrived[0].to == "zhangsan|party:2"
    assert [(one.position, one.code) for one in receipt.refused] == [
        ("to/1", "invaliduser"),
        ("to/3", "invalidparty"),
        ("to/4", "invalidtag"),
    ]


@pytest.mark.parametrize("lost", [["nobody"], ["nobody", "party:99"]])
def test_a_message_for_nobody_who_is_there_bounces(provider, adapter, lost):
    with pytest.raises(PermanentFailure) as caught:
        adapter.send(outbound_of(text("Hello", *lost)))

    assert (caught.value.kind, caught.value.code) == ("hard_bounce", "81013")


def test_an_answer_that_leaves_everybody_out_is_no_success(provider, adapter):
    adapter.send(outbound_of(text()))
    provider.once.append(says(0, "ok", msgid="1", invaliduser="zhangsan"))

    with pytest.raises(PermanentFailure) as caught:
        adapter.send(outbound_of(text()))

    assert caught.value.kind == "hard_bounce"


def test_what_is_sent_again_after_a_silence_reaches_nobody_twice(provider, adapter):
    outbound = outbound_of(text())

    first = adapter.send(outbound)
    again = adapter.send(replace(outbound, attempt_id=str(uuid4())))

    assert (len(provider.arrived), provider.duplicates) == (1, 1)
    assert again.provider_message_id == first.provider_message_id


def test_the_comparison_can_be_switched_off(provider):
    adapter = adapter_for(provider, duplicate_check_seconds=0)

    for _ in range(2):
        adapter.send(outbound_of(text()))
    adapter.close()

    assert (len(provider.arrived), provider.duplicates) == (2, 0)


def test_the_comparison_ends_after_its_seconds():
    now = [1000.0]
    with WecomServer(clock=lambda: now[0]) as provider:
        adapter = adapter_for(provider, duplicate_check_seconds=60)
        adapter.send(outbound_of(text()))
        now[0] += 61
        adapter.send(outbound_of(text()))
        adapter.close()

    assert len(provider.arrived) == 2


def test_a_robots_message_is_none_of_an_application(adapter):
    with pytest.raises(PermanentFailure):
        adapter.send(outbound_of(text("Hello", "robot:ops")))


# --- tokens --------------------------------------------------------------------------------------


def test_a_token_that_ended_early_is_renewed_once_and_the_message_is_sent(provider, adapter):
    adapter.send(outbound_of(text("one")))
    provider.invalidate_tokens()

    adapter.send(outbound_of(text("two")))
    adapter.send(outbound_of(text("three")))

    assert len(provider.arrived) == 3
    assert provider.token_fetches == 2


def test_a_token_that_is_refused_twice_is_the_accounts_fault(provider, adapter):
    adapter.send(outbound_of(text()))
    for _ in range(2):
        provider.once.extend([says(40014), says(0, access_token="t" * 40, expires_in=7200)])
    provider.once.pop()

    with pytest.raises(SenderFailure) as caught:
        adapter.send(outbound_of(text("again")))

    assert (caught.value.kind, caught.value.code) == ("credentials", "40014")


def test_a_secret_that_was_changed_in_the_console_is_refused_and_the_new_one_works(
    provider, adapter
):
    adapter.send(outbound_of(text("one")))
    new = provider.rotate_secret()

    with pytest.raises(SenderFailure) as caught:
        adapter.send(outbound_of(text("two")))
    other = adapter_for(provider, secret=new)
    other.send(outbound_of(text("two")))
    other.close()

    assert caught.value.kind == "credentials"
    assert [arrival.text for arrival in provider.arrived] == ["one", "two"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, "<html>login</html>"),
        Answer(502, ""),
        says(0),
        says(0, access_token="", expires_in=7200),
        says(0, access_token="two lines\n", expires_in=7200),
        says(0, access_token="t" * 40, expires_in="soon"),
        says(-1),
    ],
)
def test_without_a_token_nothing_was_taken(provider, adapter, answer):
    provider.once.append(answer)

    with pytest.raises(SenderFailure) as caught:
        adapter.send(outbound_of(text()))

    assert caught.value.kind == "transient"
    assert provider.arrived == []


def test_a_gateway_that_repeats_the_address_gives_no_token_away(provider, adapter, monkeypatch):
    adapter.send(outbound_of(text()))
    (token,) = provider.tokens.given
    page = f"<h1>Not Found</h1>/cgi-bin/message/send?access_token={token} on this server"
    provider.once.append(Answer(404, page))

    with pytest.raises(SenderFailure) as caught:
        adapter.send(outbound_of(text()))

    assert token not in str(caught.value)
    assert "access_token=***" in str(caught.value)


# --- the test of the connection ------------------------------------------------------------------


def test_the_test_asks_for_the_application_by_name(provider, adapter):
    steps = list(adapter.probe())

    assert [(step.phase, step.is_ok) for step in steps] == [("token", True), ("application", True)]
    assert "Notifications" in steps[-1].words


def test_the_test_finds_an_agent_id_of_another_application(provider):
    steps = list(adapter_for(provider, agent_id=1000003).probe())

    assert not steps[-1].is_ok
    assert "301002" in steps[-1].words


def test_the_test_finds_that_our_address_is_not_trusted(provider, adapter):
    provider.is_trusted = False

    steps = list(adapter.probe())

    assert not steps[-1].is_ok
    assert "60020" in steps[-1].words


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "credentials", "named"),
    [
        ({"agent_id": "1000002"}, {}, "agent_id"),
        ({"duplicate_check_seconds": 14_401}, {}, "duplicate_check_seconds"),
        ({"duplicate_check_seconds": -1}, {}, "duplicate_check_seconds"),
        ({"api_url": "qyapi.weixin.qq.com"}, {}, "api_url"),
        ({}, {"secret": "two words"}, "secret"),
        ({}, {"secret": ""}, "secret"),
    ],
)
def test_settings_that_cannot_work_are_named(options, credentials, named):
    right = {"corp_id": "ww1", "agent_id": 1000002}

    problems = WecomApp.problems(right | options, {"secret": "s"} | credentials)

    assert list(problems) == [named]


# --- what the provider would refuse --------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "pointers"),
    [
        (text("啊" * 682), []),
        (text("啊" * 683), ["/content"]),
        (text("a" * 2049, format="markdown"), ["/content"]),
        (text("d" * 513, subject="t" * 129, format="textcard"), ["/title", "/content", "/url"]),
        (text("d", format="textcard", details={"url": "u" * 2049}), ["/url"]),
        (text("d", format="textcard", details={"url": "u", "button": "12345"}), ["/button"]),
        (text(format="news"), ["/articles"]),
        (text(format="news", details={"articles": [{"title": "t"}] * 9}), ["/articles"]),
        (
            text(format="news", details={"articles": [{"title": "t"}, {"title": "t" * 129}]}),
            ["/articles/1/title"],
        ),
        (text(format="template_card", details={"card": {"card_type": "x"}}), ["/card/card_type"]),
        (text(format="voice"), ["/message_type"]),
        (text(format="markdown", details={"safe": True}), ["/safe"]),
        (text(details={"mentions": ["lisi"]}), ["/mentions"]),
        (text("Hello", "party:"), ["/to/0"]),
        (text("Hello", "zhangsan", "li|si"), ["/to/1"]),
        (text("Hello", *(f"party:{n}" for n in range(101))), ["/to"]),
        (text("啊" * 683, "robot:ops"), []),
    ],
)
def test_what_would_be_refused_or_cut_off_is_named(content, pointers):
    misfits = WecomApp.misfits(content)

    assert [misfit.pointer for misfit in misfits] == pointers
    assert all("WeChat Work" in misfit.detail for misfit in misfits)


@pytest.mark.parametrize("size", [2048, 2049])
def test_the_imitation_draws_the_line_where_we_do(provider, adapter, size):
    content = text("a" * size)
    is_taken = True

    try:
        adapter.send(outbound_of(content))
    except PermanentFailure as error:
        is_taken = error.code != "45002"

    assert is_taken == (WecomApp.misfits(content) == [])

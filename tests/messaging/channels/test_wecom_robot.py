"""Group robots of WeChat Work."""

from dataclasses import replace

import pytest
from django.core.management import call_command

from messaging.channels.base import PermanentFailure, SenderFailure
from messaging.channels.content import TextContent
from messaging.channels.registry import ADAPTERS, is_named
from messaging.channels.wecom_robot import WecomRobot
from messaging.models import Sender
from notification_platform.embedded.providers.server import Answer
from notification_platform.embedded.providers.wecom import WecomServer
from tests.messaging.channels.http_contract import HttpContract, account_of, outbound_of

WRONG = "00000000-7aaa-4bc4-97a0-0ec2sifa5aaa"


@pytest.fixture
def provider():
    with WecomServer() as running:
        yield running


def adapter_for(provider, key=None):
    options = {"api_url": provider.url}
    credentials = {"key": key or next(iter(provider.robots))}
    return WecomRobot(account_of(WecomRobot, options=options, credentials=credentials))


@pytest.fixture
def adapter(provider):
    return adapter_for(provider)


def text(words="Hello", **further):
    return TextContent(**{"to": [("", "robot:ops")], "text": words, **further})


class TestWecomRobot(HttpContract):
    SECRETS = (WRONG, "693a91f6-7aaa-4bc4-97a0-0ec2sifa5aaa")
    GIVES_IDS = False
    CODES = {
        "93000": (SenderFailure, "credentials"),
        "45009": (SenderFailure, "throttled"),
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
        return adapter_for(provider, WRONG)

    @pytest.fixture
    def outbound(self):
        return outbound_of(text())

    def refusal(self, code):
        return Answer.of({"errcode": int(code), "errmsg": "words"})


def test_a_text_names_members_and_numbers(provider, adapter):
    details = {"mentions": ["zhangsan", "@all"], "mentioned_mobiles": ["13800001111"]}

    adapter.send(outbound_of(text(details=details)))

    (arrival,) = provider.arrived
    assert (arrival.to, arrival.text) == ("Operations", "Hello")
    assert arrival.details["mentioned_list"] == ["zhangsan", "@all"]
    assert arrival.details["mentioned_mobile_list"] == ["13800001111"]


@pytest.mark.parametrize(
    ("form", "details"),
    [
        ("markdown", {}),
        ("news", {"articles": [{"title": "T", "description": "Hello", "url": "https://x"}]}),
        ("template_card", {"card": {"card_type": "news_notice", "main_title": {"desc": "Hello"}}}),
    ],
)
def test_every_format_arrives(provider, adapter, form, details):
    adapter.send(outbound_of(text(format=form, details=details)))

    assert (provider.arrived[0].text, provider.arrived[0].details["msgtype"]) == ("Hello", form)


def test_a_textcard_is_none_of_its_formats(adapter):
    with pytest.raises(PermanentFailure):
        adapter.send(outbound_of(text(format="textcard")))


def test_the_twenty_first_of_a_minute_waits_for_the_next():
    now = [1000.0]
    with WecomServer(clock=lambda: now[0]) as provider:
        adapter = adapter_for(provider)
        for number in range(20):
            adapter.send(outbound_of(text(f"{number}")))

        with pytest.raises(SenderFailure) as caught:
            adapter.send(outbound_of(text("one more")))
        now[0] += caught.value.retry_after
        adapter.send(outbound_of(text("one more")))
        adapter.close()

    assert (caught.value.kind, caught.value.retry_after) == ("throttled", 60.0)
    assert len(provider.arrived) == 21


def test_the_test_of_the_connection_says_what_it_cannot_know(provider, adapter):
    (step,) = adapter.probe()

    assert step.is_ok
    assert "Only a message shows" in step.words


@pytest.mark.parametrize(
    ("content", "pointers"),
    [
        (text("a" * 2048), []),
        (text("a" * 2049), ["/content"]),
        (text("啊" * 1365, format="markdown"), []),
        (text("啊" * 1366, format="markdown"), ["/content"]),
        (text(format="textcard"), ["/message_type"]),
        (text(format="news", details={"articles": [{"title": "啊" * 43}]}), ["/articles/0/title"]),
        (
            text(format="template_card", details={"card": {"card_type": "vote_interaction"}}),
            ["/card/card_type"],
        ),
        (text(format="markdown", details={"mentions": ["zhangsan"]}), ["/mentions"]),
        (replace(text(), to=[("", "robot:ops"), ("", "zhangsan")]), ["/to"]),
        (replace(text("a" * 2049), to=[("", "zhangsan")]), []),
    ],
)
def test_what_a_robot_would_refuse_is_named(content, pointers):
    assert [misfit.pointer for misfit in WecomRobot.misfits(content)] == pointers


# --- limits of a new sender ----------------------------------------------------------------------


def test_it_takes_only_what_names_it():
    assert is_named("wecom_robot")
    assert not is_named("wecom_app")


@pytest.mark.django_db
def test_a_new_robot_has_its_providers_limit_unless_another_is_given(monkeypatch):
    lines = iter(["key-1", "key-2", "key-3"])
    monkeypatch.setattr("messaging.management.commands.add_sender._ask", lambda name: next(lines))

    for name, further in (("ops", []), ("slow", ["--per-minute", "5"])):
        call_command(
            "add_sender", name, "--adapter", "wecom_robot", "--secret", "key", *further, verbosity=0
        )

    limits = {sender.name: sender.limits() for sender in Sender.objects.all()}
    assert limits == {"ops": {"minute": 20}, "slow": {"minute": 5}}


def test_the_form_of_a_new_robot_shows_the_limit_and_who_empties_it_has_none(operator):
    page = "/admin/messaging/sender/add/?adapter=wecom_robot"

    shown = operator.get(page)
    form = shown.context["adminform"].form

    assert form.initial["per_minute"] == 20


def test_only_what_limits_a_sender_can_be_a_usual_limit():
    named = {name for adapter in ADAPTERS.values() for name in adapter.usual_limits}

    assert named <= {"per_minute", "per_hour", "per_day"}

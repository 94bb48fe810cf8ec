"""WeChat by the API: what is taken, what is refused, and what becomes of it."""

import pytest

from messaging.models import OtherRecipient
from tests.factories import (
    drain,
    make_application,
    make_sender,
    make_template,
    make_version,
    reloaded,
)
from tests.messaging.asking import OPEN_ID, in_a_moment, refusals, send, stored

pytestmark = pytest.mark.django_db


def test_members_parties_and_tags_are_recipients(api):
    message = stored(
        send(api, "wechat", to=["ZhangSan", "party:2", "tag:7"], content="The build is green.")
    )

    assert message.recipient == "zhangsan"
    assert message.content["to"] == [["", "ZhangSan"], ["", "party:2"], ["", "tag:7"]]
    assert message.content["text"] == "The build is green."
    others = OtherRecipient.objects.order_by("pk").values_list("role", "address")
    assert list(others) == [("to", "party:2"), ("to", "tag:7")]


CARD = {"card_type": "text_notice", "main_title": {"title": "x"}}
ARTICLE = {"title": "News", "url": "https://example.com/"}


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "x"},
        {"message_type": "text", "content": "x", "safe": True},
        {"message_type": "markdown", "content": "**x**"},
        {"message_type": "textcard", "title": "x", "content": "y", "url": "https://example.com/"},
        {"message_type": "news", "articles": [ARTICLE]},
        {"message_type": "template_card", "card": CARD},
    ],
)
def test_every_kind_of_message_is_taken(api, fields):
    message = stored(send(api, "wechat", to="zhangsan", **fields))

    assert message.content["format"] == fields.get("message_type", "text")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {("/content", "required")}),
        ({"message_type": "news"}, {("/articles", "required")}),
        ({"message_type": "song", "content": "x"}, {("/message_type", "invalid_choice")}),
        ({"message_type": [], "content": "x"}, {("/message_type", "invalid_choice")}),
        (
            {"message_type": "textcard"},
            {("/title", "required"), ("/content", "required"), ("/url", "required")},
        ),
        ({"content": "x", "articles": [ARTICLE]}, {("/articles", "conflict")}),
        ({"content": "x", "title": "y"}, {("/title", "conflict")}),
        ({"content": "x", "variables": {}}, {("/variables", "conflict")}),
        (
            {"message_type": "news", "articles": [{"title": "x", "url": "javascript:1"}]},
            {("/articles/0/url", "invalid_url")},
        ),
        ({"message_type": "template_card", "card": {}}, {("/card", "invalid")}),
        (
            {"message_type": "template_card", "card": CARD | {"x": "y" * 20_001}},
            {("/card", "max_length")},
        ),
    ],
)
def test_what_does_not_go_together_is_named(api, fields, expected):
    assert refusals(send(api, "wechat", to="zhangsan", **fields)) == expected


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ([], ("/to", "empty")),
        (["zhang san"], ("/to/0", "invalid_recipient")),
        ("party:x", ("/to", "invalid_recipient")),
        (["zhangsan", "@all"], ("/to", "conflict")),
        (["zhangsan", "robot:ops"], ("/to", "conflict")),
        (["a"] * 1001, ("/to", "too_many")),
        ({"users": ["a"]}, ("/to", "invalid")),
        (["a", 7], ("/to/1", "invalid")),
        ("robot:nobody", ("/to", "unknown_sender")),
    ],
)
def test_recipients_that_are_none_are_named(api, to, expected):
    assert refusals(send(api, "wechat", to=to, content="x")) == {expected}


def test_a_robot_gets_what_names_it_and_nothing_else(api, adapter):
    members = make_sender(channel="wechat", adapter="fake-members", from_address="")
    robot = make_sender(channel="wechat", adapter="fake-robot", from_address="", name="ops")
    to_robot = stored(send(api, "wechat", to="robot:ops", content="To all of us"))
    to_member = stored(send(api, "wechat", to="zhangsan", content="To you"))

    drain(channel="wechat", now=in_a_moment())

    assert {name for name, _ in adapter.sent} == {members.name, "ops"}
    assert (reloaded(to_robot).sender, reloaded(to_member).sender) == (robot, members)


def test_without_a_sender_of_members_a_robot_is_no_help(api, adapter):
    make_sender(channel="wechat", adapter="fake-robot", from_address="", name="ops")
    message = stored(send(api, "wechat", to="zhangsan", content="To you"))

    drain(channel="wechat", now=in_a_moment())

    assert (reloaded(message).status, reloaded(message).reason) == ("pending", "no_sender")
    assert adapter.sent == []


def test_a_sender_that_is_no_robot_is_not_named(api, adapter):
    make_sender(channel="wechat", adapter="fake-members", from_address="", name="members")

    answer = send(api, "wechat", to="robot:members", content="x")

    assert refusals(answer) == {("/to", "unknown_sender")}


def test_a_robot_of_another_application_is_unknown(api, adapter):
    robot = make_sender(channel="wechat", adapter="fake-robot", from_address="", name="theirs")
    robot.applications.add(make_application())

    answer = send(api, "wechat", to="robot:theirs", content="x")

    assert refusals(answer) == {("/to", "unknown_sender")}


def test_a_template_gives_title_and_content_in_its_own_format(api):
    template = make_template(code="news", channel="wechat")
    make_version(
        template=template,
        status="published",
        body="**{{ name }}**",
        body_format="markdown",
        html="",
    )
    fields = {"template_code": "news", "variables": {"name": "Ann"}}

    plain = stored(send(api, "wechat", to="zhangsan", **fields))
    card = stored(
        send(
            api,
            "wechat",
            to="zhangsan",
            **fields,
            message_type="textcard",
            url="https://example.com/7",
        )
    )

    assert (plain.content["format"], plain.content["text"]) == ("markdown", "**Ann**")
    assert card.content["format"] == "textcard"
    assert (card.content["subject"], card.content["details"]) == (
        "Hello Ann",
        {"url": "https://example.com/7"},
    )


def test_a_notice_is_stored_as_wechat_wants_it(api, notice):
    answer = send(
        api,
        "wechat-official",
        to=OPEN_ID,
        template_code="order-paid",
        variables={"name": "Tea"},
        url="https://example.com/orders/7",
        miniprogram={"appid": "wx1", "pagepath": "pages/7"},
    )

    message = stored(answer)
    assert message.channel == "wechat_official"
    # The case of an OpenID counts.
    assert message.content["to"] == [["", OPEN_ID]]
    assert message.content["template_id"] == "TM1"
    assert message.content["kind"] == "subscribe"
    assert message.content["parameters"] == {"thing1": "Tea"}
    assert message.content["details"] == {
        "page": "https://example.com/orders/7",
        "miniprogram": {"appid": "wx1", "pagepath": "pages/7"},
    }


@pytest.mark.parametrize("to", ["short", "with space in it", "ö" * 28, [OPEN_ID]])
def test_what_is_no_open_id_is_refused(api, notice, to):
    answer = send(
        api, "wechat-official", to=to, template_code="order-paid", variables={"name": "x"}
    )

    assert {pointer for pointer, _ in refusals(answer)} == {"/to"}

"""SMS, WeChat and chats by the API: what is taken, what is refused, and what becomes of it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging import receipts
from messaging.models import Event, Message, OtherRecipient, Status
from tests.conftest import client_for
from tests.factories import (
    drain,
    make_api_key,
    make_application,
    make_sender,
    make_suppression,
    make_template,
    make_version,
    reloaded,
)

pytestmark = pytest.mark.django_db

NUMBER = "+8613800138000"
OPEN_ID = "oABCD0123456789_example-id00"


def send(client, path, **fields):
    return client.post(f"/api/v1/messages/{path}/send", fields)


def refusals(answer):
    assert answer.status_code == 422, answer.json()
    return {(error["pointer"], error["code"]) for error in answer.json()["errors"]}


def stored(answer):
    assert answer.status_code == 202, answer.json()
    return Message.objects.get(pk=answer.json()["id"])


def in_a_moment():
    return timezone.now() + timedelta(seconds=1)


@pytest.fixture
def code():
    """A template of SMS."""
    template = make_template(code="login-code", channel="sms", priority="high")
    return make_version(
        template=template,
        status="published",
        subject="",
        body="Your code is {{ name }}.",
        body_format="text",
        html="",
        provider_template_id="SMS_1",
        provider_signature="Example",
    )


@pytest.fixture
def notice():
    """A template of a WeChat Official Account."""
    template = make_template(code="order-paid", channel="wechat_official")
    return make_version(
        template=template,
        status="published",
        subject="",
        body="",
        body_format="text",
        html="",
        provider_template_id="TM1",
        provider_kind="subscribe",
        provider_parameters={"thing1": "{{ name }}"},
    )


# --- SMS -----------------------------------------------------------------------------------------


def test_an_sms_is_stored_with_the_providers_template(api, code, bells):
    answer = send(
        api, "sms", to="138 0013 8000", template_code="login-code", variables={"name": "4711"}
    )

    message = stored(answer)
    assert (message.channel, message.lane, message.recipient) == ("sms", "high", NUMBER)
    content = message.content
    assert content["to"] == [["", NUMBER]]
    assert (content["template_id"], content["signature"]) == ("SMS_1", "Example")
    assert content["parameters"] == {"name": "4711"}
    assert content["text"] == "Your code is 4711."


@pytest.mark.parametrize(
    ("to", "code_of_it"),
    [
        ("12", "invalid_number"),
        ("ann@example.com", "invalid_number"),
        ("+8613800138000 ext 5", "invalid_number"),
        # Nobody has it: mobile numbers begin with 13 to 19.
        ("+8612345678901", "invalid_number"),
        # A landline of Beijing.
        ("+861065551234", "invalid_number"),
        ("+14155552671", "country_not_allowed"),
        ("+85261234567", "country_not_allowed"),
        ("1" * 41, "max_length"),
        ("", "blank"),
        ("138\u20280013\u20288000", "invalid_number"),
        (None, "null"),
        (13800138000, "invalid"),
        ([NUMBER], "invalid"),
    ],
)
def test_a_number_that_is_none_or_not_allowed_is_said_to_be(api, code, to, code_of_it):
    answer = send(api, "sms", to=to, template_code="login-code", variables={"name": "1"})

    assert refusals(answer) == {("/to", code_of_it)}
    assert not Message.objects.exists()


def test_each_application_has_its_own_country_and_countries(code):
    application = make_application(default_region="HK", allowed_countries=["HK", "CN"])
    client = client_for(make_api_key(application=application))

    numbers = [
        stored(
            send(client, "sms", to=to, template_code="login-code", variables={"name": to})
        ).recipient
        for to in ("6123 4567", "+85261234567", NUMBER)
    ]

    assert numbers == ["+85261234567", "+85261234567", NUMBER]


def test_an_sms_without_a_template_or_with_a_text_of_its_own_is_refused(api):
    assert refusals(send(api, "sms", to=NUMBER)) == {("/template_code", "required")}
    answer = send(api, "sms", to=NUMBER, template_code="x", content="Hello")
    assert refusals(answer) == {("/content", "unknown_field")}


def test_a_code_is_capped_for_each_number(code):
    application = make_application(recipient_per_hour=1)
    client = client_for(make_api_key(application=application))
    stored(send(client, "sms", to=NUMBER, template_code="login-code", variables={"name": "1"}))

    again = send(
        client, "sms", to="13800138000", template_code="login-code", variables={"name": "2"}
    )

    assert (again.status_code, again.json()["code"]) == (429, "recipient_capped")
    assert again.json()["errors"][0]["pointer"] == "/to"


def test_a_number_on_the_suppression_list_is_not_written_to(api, code):
    make_suppression(channel="sms", address=NUMBER)
    make_suppression(channel="wechat", address="zhangsan")

    answer = send(api, "sms", to=NUMBER, template_code="login-code", variables={"name": "1"})

    assert answer.json()["code"] == "recipient_suppressed"


def test_a_number_that_was_suppressed_meanwhile_is_not_sent_to(api, code, adapter):
    make_sender(channel="sms", adapter="fake-sms", from_address="")
    message = stored(
        send(api, "sms", to=NUMBER, template_code="login-code", variables={"name": "1"})
    )
    make_suppression(channel="sms", address=NUMBER)

    drain(channel="sms", lane="high", now=in_a_moment())

    assert (reloaded(message).status, reloaded(message).reason) == ("failed", "suppressed")
    assert adapter.sent == []


def test_a_message_goes_out_by_a_sender_of_its_channel_and_no_other(api, code, adapter):
    make_sender()
    sms = make_sender(channel="sms", adapter="fake-sms", from_address="")
    message = stored(
        send(api, "sms", to=NUMBER, template_code="login-code", variables={"name": "4711"})
    )

    drain(channel="sms", lane="high", now=in_a_moment())

    [(name, outbound)] = adapter.sent
    assert name == sms.name
    assert outbound.content.parameters == {"name": "4711"}
    assert reloaded(message).status == Status.SUCCESS
    told = api.get(f"/api/v1/messages/{message.pk}").json()
    assert told["provider_template"] == {
        "id": "SMS_1",
        "signature": "Example",
        "kind": "",
        "parameters": {"name": "4711"},
    }
    assert told["to"] == [NUMBER]


def test_the_same_code_again_is_not_sent_twice_and_another_is(api, code):
    first = send(api, "sms", to=NUMBER, template_code="login-code", variables={"name": "1"})
    again = send(api, "sms", to="13800138000", template_code="login-code", variables={"name": "1"})
    other = send(api, "sms", to=NUMBER, template_code="login-code", variables={"name": "2"})

    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 202)
    assert again.json()["id"] == first.json()["id"]
    assert Event.objects.filter(kind="duplicate").count() == 1


def test_messages_are_found_by_number(api, code):
    message = stored(
        send(api, "sms", to=NUMBER, template_code="login-code", variables={"name": "1"})
    )

    found = api.get("/api/v1/messages", {"recipient": NUMBER, "channel": "sms"}).json()

    assert [row["id"] for row in found["results"]] == [str(message.pk)]


def test_a_dry_run_says_what_would_be_filled_in(api, code):
    fields = {"to": NUMBER, "template_code": "login-code", "variables": {"name": "1"}}

    told = send(api, "sms", **fields, dry_run=True).json()

    assert told["content"]["parameters"] == {"name": "1"}
    assert "to" not in told["content"]
    assert not Message.objects.exists()


# --- WeChat Work ---------------------------------------------------------------------------------


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


# --- WeChat Official Account ---------------------------------------------------------------------


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
        "url": "https://example.com/orders/7",
        "miniprogram": {"appid": "wx1", "pagepath": "pages/7"},
    }


@pytest.mark.parametrize("to", ["short", "with space in it", "ö" * 28, [OPEN_ID]])
def test_what_is_no_open_id_is_refused(api, notice, to):
    answer = send(
        api, "wechat-official", to=to, template_code="order-paid", variables={"name": "x"}
    )

    assert {pointer for pointer, _ in refusals(answer)} == {"/to"}


# --- chats ---------------------------------------------------------------------------------------


def test_a_chat_is_named_by_its_sender(api, adapter):
    make_sender(channel="chat", adapter="fake-chat", from_address="", name="others")
    make_sender(channel="chat", adapter="fake-chat", from_address="", name="Ops-Chat")
    answer = send(
        api, "chat", to="Ops-Chat", title="db-1", content="Disk is full", severity="warning"
    )
    message = stored(answer)

    drain(channel="chat", now=in_a_moment())

    [(name, outbound)] = adapter.sent
    assert name == "Ops-Chat"
    content = outbound.content
    assert (content.subject, content.text, content.format) == ("db-1", "Disk is full", "text")
    assert content.details == {"type": "warning"}
    assert reloaded(message).recipient == "ops-chat"


def test_a_chat_that_rests_is_waited_for_and_no_other_takes_its_place(api, adapter):
    make_sender(channel="chat", adapter="fake-chat", from_address="", name="others")
    make_sender(channel="chat", adapter="fake-chat", from_address="", name="ops", is_active=False)
    message = stored(send(api, "chat", to="ops", content="x"))

    drain(channel="chat", now=in_a_moment())

    assert (reloaded(message).status, reloaded(message).reason) == ("pending", "no_sender")
    assert adapter.sent == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"to": "nobody", "content": "x"}, ("/to", "unknown_sender")),
        ({"to": "a b", "content": "x"}, ("/to", "invalid_recipient")),
        ({"to": "ops"}, ("/content", "required")),
        ({"to": "ops", "content": "x", "severity": "doom"}, ("/severity", "invalid_choice")),
    ],
)
def test_a_chat_that_is_asked_for_wrongly_is_refused(api, fields, expected):
    assert refusals(send(api, "chat", **fields)) == {expected}


# --- all of them ---------------------------------------------------------------------------------


def test_a_batch_is_of_one_channel(api, code):
    answer = api.post(
        "/api/v1/messages/batch",
        {
            "channel": "sms",
            "template_code": "login-code",
            "items": [
                {"to": NUMBER, "variables": {"name": "1"}},
                {"to": "13900139000", "variables": {"name": "2"}},
                {"to": "12", "variables": {"name": "3"}},
                {"to": "ann@example.com", "subject": "x"},
            ],
        },
    )

    told = answer.json()
    assert (told["accepted"], told["rejected"]) == (2, 2)
    assert told["results"][2]["error"]["errors"][0]["code"] == "invalid_number"
    assert set(Message.objects.values_list("channel", "recipient")) == {
        ("sms", NUMBER),
        ("sms", "+8613900139000"),
    }


def test_chats_of_a_batch_are_looked_up_once_and_named_where_unknown(api, adapter):
    make_sender(channel="chat", adapter="fake-chat", from_address="", name="ops")
    items = [{"to": "ops" if n % 2 else "nobody", "content": f"{n}"} for n in range(40)]

    with CaptureQueriesContext(connection) as queries:
        told = api.post("/api/v1/messages/batch", {"channel": "chat", "items": items}).json()

    assert len([q for q in queries if 'FROM "messaging_sender"' in q["sql"]]) == 2
    assert (told["accepted"], told["rejected"]) == (20, 20)
    error = told["results"][0]["error"]["errors"][0]
    assert (error["pointer"], error["code"]) == ("/to", "unknown_sender")


@pytest.mark.parametrize(
    ("path", "channel", "fields"),
    [
        ("sms", "sms", {"template_code": "login-code", "variables": {"name": "1"}}),
        ("wechat", "wechat", {"content": "x"}),
        (
            "wechat-official",
            "wechat_official",
            {"template_code": "order-paid", "variables": {"name": "1"}},
        ),
        ("chat", "chat", {"content": "x"}),
    ],
)
def test_the_simulators_addresses_work_in_every_channel(api, code, notice, path, channel, fields):
    taken = stored(send(api, path, to="delivered@simulator.invalid", **fields))
    lost = stored(send(api, path, to="bounce+7@simulator.invalid", **fields, priority="normal"))
    for lane in ("high", "normal"):
        drain(channel=channel, lane=lane, now=in_a_moment())
    receipts.process_due(clock=in_a_moment)

    assert (reloaded(taken).status, reloaded(taken).feedback) == ("success", "delivered")
    assert (reloaded(lost).status, reloaded(lost).feedback) == ("success", "bounced")
    assert api.get(f"/api/v1/messages/{taken.pk}").json()["test"] is True


def test_a_test_key_reaches_no_real_telephone(code, adapter):
    make_sender(channel="sms", adapter="fake-sms", from_address="")
    tester = client_for(make_api_key(kind="test"))
    message = stored(
        send(tester, "sms", to=NUMBER, template_code="login-code", variables={"name": "1"})
    )

    drain(channel="sms", lane="high", now=in_a_moment())

    assert reloaded(message).sender.adapter == "simulator-sms"
    assert adapter.sent == []


@pytest.mark.parametrize(
    ("allowed", "path", "to", "is_allowed"),
    [
        ([NUMBER], "sms", NUMBER, True),
        (["+8613900139000", "@example.com"], "sms", NUMBER, False),
        (["wechat:zhangsan"], "wechat", "ZhangSan", True),
        (["wechat:*"], "wechat", "party:2", True),
        (["wechat:zhangsan"], "wechat", ["zhangsan", "lisi"], False),
        (["chat:*", "zhangsan@example.com"], "wechat", "zhangsan", False),
    ],
)
def test_the_list_of_allowed_recipients_holds_in_every_channel(code, allowed, path, to, is_allowed):
    application = make_application(allowed_recipients=allowed)
    client = client_for(make_api_key(application=application))
    fields = {"sms": {"template_code": "login-code", "variables": {"name": "1"}}}

    answer = send(client, path, to=to, **fields.get(path, {"content": "x"}))

    assert is_allowed or answer.json()["code"] == "recipient_not_allowed"
    assert answer.status_code == (202 if is_allowed else 422), answer.json()


def test_the_suppression_list_takes_the_addresses_of_each_channel(api):
    url = "/api/v1/suppressions"
    made = [
        api.post(url, {"channel": channel, "address": address}).json()["address"]
        for channel, address in (
            ("sms", "138 0013 8000"),
            ("wechat", "ZhangSan"),
            ("wechat_official", OPEN_ID),
        )
    ]
    wrong = api.post(url, {"channel": "sms", "address": "ann@example.com"})
    listed = api.get(url, {"channel": "sms", "address": "13800138000"}).json()["results"]

    assert made == [NUMBER, "zhangsan", OPEN_ID.lower()]
    assert refusals(wrong) == {("/address", "invalid_number")}
    assert [row["address"] for row in listed] == [NUMBER]


def test_numbers_are_taken_in_from_a_file_and_go_out_unchanged(api):
    text = "address,reason\r\n'+8613800138000,manual\r\n12,manual\r\n13900139000,complaint\r\n"

    told = api.post("/api/v1/suppressions/import?channel=sms", text, content_type="text/csv").json()
    out = b"".join(api.get("/api/v1/suppressions/export?channel=sms").streaming_content).decode()

    assert (told["added"], [bad["code"] for bad in told["rejected"]]) == (2, ["invalid_number"])
    assert "'+8613800138000,manual" in out
    assert "'+8613900139000,complaint" in out

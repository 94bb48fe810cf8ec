"""Chats by the API, and what all channels have in common."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging import receipts
from messaging.models import Message
from tests.conftest import client_for
from tests.factories import (
    drain,
    make_api_key,
    make_application,
    make_sender,
    reloaded,
)
from tests.messaging.asking import NUMBER, OPEN_ID, in_a_moment, refusals, send, stored

pytestmark = pytest.mark.django_db


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

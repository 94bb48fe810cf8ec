"""SMS by the API: what is taken, what is refused, and what becomes of it."""

import pytest

from messaging.models import Event, Message, Status
from tests.conftest import client_for
from tests.factories import (
    drain,
    make_api_key,
    make_application,
    make_sender,
    make_suppression,
    reloaded,
)
from tests.messaging.asking import NUMBER, in_a_moment, refusals, send, stored

pytestmark = pytest.mark.django_db


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

"""Templates of channels whose messages are no mails."""

import pytest

from templates_app.models import Template, TemplateVersion
from tests.factories import reloaded

pytestmark = pytest.mark.django_db

URL = "/api/v1/templates"

SMS = {
    "code": "login-code",
    "channel": "sms",
    "body": "Your code is {{ code }}.",
    "provider_template_id": "SMS_1",
    "provider_signature": "Example",
}


def made(api, **fields):
    answer = api.post(URL, fields)
    assert answer.status_code == 201, answer.json()
    return TemplateVersion.objects.get()


def refusals(api, fields):
    """Pointers and codes of what keeps it from being published."""
    made(api, **fields)
    answer = api.post(f"{URL}/{fields['code']}/versions/1/publish", {})
    assert answer.status_code == 422
    return {(error["pointer"], error["code"]) for error in answer.json()["errors"]}


def test_a_template_of_an_sms_is_made_and_published_and_gone_back_to(api):
    version = made(
        api, **SMS, provider_parameters={"code": "{{ code }}", "name": "{{ user.name }}"}
    )

    answer = api.post(f"{URL}/login-code/versions/1/publish", {})

    assert answer.status_code == 200
    told = answer.json()
    assert told["provider_template_id"] == "SMS_1"
    assert told["provider_parameters"] == {"code": "{{ code }}", "name": "{{ user.name }}"}
    assert told["body_format"] == "text"
    assert set(reloaded(version).variables["required"]) == {"code", "user"}
    assert reloaded(version).html == ""


def test_without_parameters_the_variables_of_the_body_stand_for_themselves(api):
    body = {"body": SMS["body"], "channel": "sms", "variables": {"code": "4711"}}

    told = api.post(f"{URL}/preview", body).json()

    assert told["parameters"] == {"code": "4711"}
    assert told["text"] == "Your code is 4711."


def test_what_is_filled_in_is_shown_where_nothing_else_is(api):
    body = {
        "channel": "wechat_official",
        "provider_parameters": {"thing1": "{{ what }}", "amount2": "{{ price | currency: 'CNY' }}"},
        "body": "",
        "variables": {"what": "Tea", "price": 7.4},
        "locale": "zh-hans",
    }

    told = api.post(f"{URL}/preview", body).json()

    assert told["parameters"] == {"thing1": "Tea", "amount2": "¥7.40"}
    assert told["text"].splitlines() == ["thing1: Tea", "amount2: ¥7.40"]


def test_markdown_of_a_chat_stays_markdown(api):
    body = {
        "channel": "chat",
        "body_format": "markdown",
        "body": "**{{ name }}** <b>",
        "variables": {"name": "<i>"},
    }

    told = api.post(f"{URL}/preview", body).json()

    assert (told["html"], told["text"]) == ("", "**<i>** <b>")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (SMS | {"provider_template_id": ""}, ("/provider_template_id", "blank")),
        (SMS | {"body": " "}, ("/body", "blank")),
        (SMS | {"body_format": "html"}, ("/body_format", "conflict")),
        (SMS | {"body": "{{ user.name }}"}, ("/provider_parameters", "blank")),
        (
            SMS | {"provider_parameters": {"code": "{{ code | nothing }}"}},
            ("/provider_parameters/code", "unknown_filter"),
        ),
        (
            SMS | {"provider_parameters": {"code": "{{ code "}},
            ("/provider_parameters/code", "syntax_error"),
        ),
        (SMS | {"channel": "wechat_official"}, ("/provider_parameters", "blank")),
        (
            SMS | {"channel": "chat", "provider_parameters": {"code": "x"}},
            ("/provider_parameters", "conflict"),
        ),
        (SMS | {"channel": "wechat", "body_format": "mjml"}, ("/body_format", "conflict")),
    ],
)
def test_what_a_channel_does_not_take_is_not_published(api, fields, expected):
    assert expected in refusals(api, fields)


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"1st": "x"}, "/provider_parameters/1st"),
        ({"a b": "x"}, "/provider_parameters/a b"),
        ({"code": 1}, "/provider_parameters/code"),
        ({"code": "x" * 1001}, "/provider_parameters/code"),
        ({f"p{n}": "x" for n in range(51)}, "/provider_parameters"),
        ("x", "/provider_parameters"),
    ],
)
def test_parameters_of_a_wrong_form_are_not_even_stored(api, parameters, pointer):
    answer = api.post(URL, SMS | {"provider_parameters": parameters})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert not Template.objects.exists()


def test_a_line_break_in_a_parameter_is_the_variables_fault(api):
    body = {"channel": "sms", "body": "{{ code }}", "variables": {"code": "47\n11"}}

    error = api.post(f"{URL}/preview", body).json()["errors"][0]

    assert (error["pointer"], error["code"]) == ("/variables/code", "control_characters")


def test_a_template_of_another_channel_is_not_taken_and_its_channel_is_named(api):
    made(api, **SMS)
    api.post(f"{URL}/login-code/versions/1/publish", {})

    answer = api.post(
        "/api/v1/messages/email/send", {"to": "ann@example.com", "template_code": "login-code"}
    )

    assert answer.status_code == 404
    assert "another channel: sms" in answer.json()["detail"]

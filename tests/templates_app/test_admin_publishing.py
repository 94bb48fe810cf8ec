"""Publishing, rolling back, previews and tests, as requests."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from messaging.models import Message
from templates_app.models import TemplateVersion
from tests.factories import (
    drain,
    make_application,
    make_message,
    make_sender,
    make_template,
    make_version,
    reloaded,
)

pytestmark = pytest.mark.django_db


def version_url(version, page="change"):
    return reverse(f"admin:templates_app_templateversion_{page}", args=[version.pk])


def roll_back_url(version):
    args = [version.template_id, version.number]
    return reverse("admin:templates_app_template_roll_back", args=args)


def schema(*names, **examples):
    return {
        "type": "object",
        "properties": {
            name: {"type": "string"} | ({"examples": [examples[name]]} if name in examples else {})
            for name in names
        },
        "required": list(names),
    }


def publish(client, version, **fields):
    return client.post(version_url(version, "publish"), fields)


def make_used_template():
    """A template whose caller `shop` gives `name` and nothing else."""
    template = make_template(code="receipt")
    current = make_version(template=template, status="published")
    make_message(
        application=make_application(name="shop"),
        template_version=current,
        variable_names=["name"],
        created_at=timezone.now(),
    )
    return template


# --- publish -------------------------------------------------------------------------------------


def test_a_draft_is_published_with_a_note(operator):
    version = make_version()

    response = publish(operator, version, change_note="First text")

    published = reloaded(version)
    assert response.status_code == 302
    assert (published.status, published.change_note) == ("published", "First text")
    assert published.template.current_version_id == version.pk
    assert LogEntry.objects.get().change_message == "Published."


def test_publishing_asks_for_a_note(operator):
    version = make_version()

    page = publish(operator, version, change_note=" ")

    assert "Say in a few words" in page.content.decode()
    assert reloaded(version).status == "draft"


def test_a_wrong_draft_is_not_published_and_its_errors_are_listed(operator):
    version = make_version(body="<p>\n{{ name | nonsense }}</p>")

    page = operator.get(version_url(version, "publish")).content.decode()
    publish(operator, version, change_note="Try")

    assert "body, 2:" in page
    assert "There is no filter nonsense" in page
    assert reloaded(version).status == "draft"


def test_what_is_published_is_not_published_again(operator):
    version = make_version(status="published")

    response = publish(operator, version, change_note="Again")

    assert response["Location"] == version_url(version)


def test_callers_that_do_not_send_what_is_newly_required_are_listed_first(operator):
    version = make_version(
        template=make_used_template(),
        body="{{ name }} {{ total }}",
        variables=schema("name", "total"),
    )

    page = operator.get(version_url(version, "publish"))
    publish(operator, version, change_note="Totals")
    unconfirmed = reloaded(version).status
    publish(operator, version, change_note="Totals", confirm="yes")

    assert page.context["added"] == ["total"]
    assert [caller.application for caller in page.context["callers"]] == ["shop"]
    assert "shop" in page.content.decode()
    assert (unconfirmed, reloaded(version).status) == ("draft", "published")


def test_without_new_requirements_nobody_is_asked_about(operator):
    version = make_version(template=make_used_template())

    page = operator.get(version_url(version, "publish"))

    assert not page.context["callers"]


# --- roll back -----------------------------------------------------------------------------------


def test_rolling_back_publishes_a_copy_with_a_note(operator):
    template = make_template()
    old = make_version(template=template, body="old", status="published", is_current=False)
    make_version(template=template, body="new", status="published")

    operator.post(roll_back_url(old), {"change_note": "The new one was wrong"})

    current = reloaded(template).current_version
    assert (current.number, current.body) == (3, "old")
    assert current.change_note == "The new one was wrong"
    assert LogEntry.objects.get().change_message == "Rolled back: version 1."


def test_one_does_not_roll_back_to_a_draft(operator):
    template = make_template()
    make_version(template=template, status="published")
    draft = make_version(template=template)

    operator.post(roll_back_url(draft), {"change_note": "Try"})

    assert template.versions.count() == 2


# --- preview -------------------------------------------------------------------------------------


def preview(client, version, **fields):
    body = {"subject": "Hi", "body": "<p>Hi</p>", "body_format": "html", "text": ""} | fields
    return client.post(
        version_url(version, "preview"), json.dumps(body), content_type="application/json"
    )


def test_the_preview_renders_what_is_not_saved(operator):
    variables = json.dumps(schema("name", name="安娜"))

    answer = preview(
        operator, make_version(), body="<h1>你好，{{ name }}</h1>", variables=variables
    ).json()

    assert answer["is_rendered"]
    assert "<h1>你好，安娜</h1>" in answer["html"]
    assert "你好，安娜" in answer["text"]
    assert answer["variables"] == [{"path": "name", "type": "string", "required": True}]
    assert answer["problems"] == []


def test_the_preview_tells_where_it_is_wrong(operator):
    answer = preview(operator, make_version(), body="<p>\n  {{ name | nope }}").json()

    (problem,) = answer["problems"]
    assert not answer["is_rendered"]
    assert (problem["part"], problem["line"]) == ("body", 2)


def test_a_broken_schema_does_not_break_the_preview(operator):
    for variables in ("[", "[1]", '{"type": "object", "properties": {"name": 1}}'):
        answer = preview(operator, make_version(), body="{{ name }}", variables=variables)

        assert answer.status_code == 200


@pytest.mark.parametrize("body", ["", "[]", '{"body": 1}', "[" * 100_000, '{"body": "\\ud800"}'])
def test_a_preview_of_nonsense_is_refused_or_says_what_is_wrong(operator, body):
    url = version_url(make_version(), "preview")

    response = operator.post(url, body, content_type="application/json")

    assert response.status_code in {200, 400}


def test_the_page_without_scripts_is_under_a_policy_of_its_own(operator):
    version = make_version()
    form = {"subject": "Hi", "body": "<script>alert(1)</script>Hi", "body_format": "html"}

    response = operator.post(version_url(version, "shown"), form)

    assert response["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize("page", ["change", "publish"])
def test_the_pages_run_no_inline_scripts(operator, page):
    policy = operator.get(version_url(make_version(), page))["Content-Security-Policy"]

    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == "'self' 'unsafe-eval'"


def test_other_pages_keep_their_policy(operator):
    response = operator.get(reverse("admin:templates_app_template_changelist"))

    assert "Content-Security-Policy" not in response


# --- test messages -------------------------------------------------------------------------------


def test_a_test_goes_through_the_chosen_sender_with_the_examples(operator, adapter):
    make_sender(priority=9)
    chosen = make_sender()
    version = make_version(variables=schema("name", name="Ann Lee"))

    form = {"to": "me@example.com", "sender": chosen.pk}
    answer = operator.post(version_url(version, "test"), form).json()
    message = Message.objects.get()
    drain(lane=message.lane, now=message.created_at)

    ((sender, outbound),) = adapter.sent
    assert sender == chosen.name
    assert outbound.content.subject == "Hello Ann Lee"
    assert message.template_version_id == version.pk
    assert str(message.pk) in answer["url"]


def test_the_history_of_a_test_says_neither_to_whom_nor_what(operator, adapter):
    version = make_version(variables=schema("name", name="t0ken-value"))

    operator.post(
        version_url(version, "test"), {"to": "me@example.com", "sender": make_sender().pk}
    )

    assert LogEntry.objects.get().change_message == "Tested."


@pytest.mark.parametrize(
    "form", [{"to": "nobody", "sender": "1"}, {"to": "me@example.com", "sender": "999"}]
)
def test_a_test_to_nowhere_is_refused_in_words(operator, adapter, form):
    make_sender(pk=1)

    response = operator.post(version_url(make_version(), "test"), form)

    assert response.status_code == 422
    assert response.json()["detail"]
    assert not Message.objects.exists()


def test_the_page_offers_the_senders_that_are_switched_on(operator, adapter):
    on, off = make_sender(), make_sender(is_active=False)

    page = operator.get(version_url(make_version()))

    assert page.context["senders"] == [(on.pk, on.name)]
    assert off.name not in page.content.decode()


# --- templates that are the provider's -----------------------------------------------------------


def test_an_sms_is_written_with_the_providers_template_and_what_is_filled_in(operator):
    version = make_version(template=make_template(channel="sms"), body_format="text", body="")
    page = operator.get(version_url(version))
    data = {
        "provider_template_id": "SMS_1234",
        "provider_signature": "示例科技",
        "body": "Your code: {{ code }}",
        "provider_parameters": '{"number": "{{ code }}"}',
        "variables": json.dumps(schema("code")),
        "revision": page.context["form"]["revision"].value(),
    }

    answer = operator.post(version_url(version), data)

    assert answer.status_code == 302
    assert set(page.context["form"].fields) == set(data)
    stored = reloaded(version)
    assert (stored.provider_template_id, stored.provider_signature) == ("SMS_1234", "示例科技")
    assert stored.provider_parameters == {"number": "{{ code }}"}
    assert list(stored.variables["properties"]) == ["code"]


@pytest.mark.parametrize("text", ["{", "[]", '{"code": 1}', "[" * 5000])
def test_parameters_that_are_no_object_of_texts_are_said_and_nothing_is_lost(operator, text):
    version = make_version(template=make_template(channel="sms"), body_format="text", body="x")
    revision = operator.get(version_url(version)).context["form"]["revision"].value()
    data = {"body": "mine", "provider_parameters": text, "variables": "{}", "revision": revision}

    answer = operator.post(version_url(version), data)

    assert answer.status_code == 422
    assert "provider_parameters" in answer.context["form"].errors
    assert "mine" in answer.content.decode()


@pytest.mark.parametrize("channel", ["sms", "wechat", "wechat_official", "chat"])
def test_a_new_template_of_each_channel_opens_in_the_editor(operator, channel):
    operator.post(
        reverse("admin:templates_app_template_add"),
        {"code": "x", "locale": "", "channel": channel, "name": "X", "priority": "normal"}
        | {"policy": "at_least_once"},
    )

    version = TemplateVersion.objects.get()

    page = operator.get(version_url(version))
    assert page.status_code == 200
    assert page.context["form"].initial["body_format"] == "text"

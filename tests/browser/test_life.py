"""The whole life of a template, as an editor lives it: with a mouse and a keyboard."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from messaging.models import Message
from templates_app.models import Template
from tests.browser.editor import EditorPage
from tests.conftest import client_for
from tests.factories import drain, make_api_key, make_application, make_operator, make_sender

pytestmark = pytest.mark.django_db(transaction=True)

SEND = "/api/v1/messages/email/send"


def delivered(adapter, message_id):
    """What was handed over for this message, of which nobody had heard before."""
    message = Message.objects.get(pk=message_id)
    drain(lane=message.lane, now=timezone.now())
    ((_, outbound),) = adapter.sent
    adapter.sent.clear()
    return outbound.content


def send_by_api(api, **variables):
    body = {"to": "ann@example.com", "template_code": "order-shipped", "variables": variables}
    response = api.post(SEND, body)
    assert response.status_code == 202, response.json()
    return response.json()["id"]


def test_the_whole_life_of_a_template(open_browser, adapter, photograph):
    make_sender(name="mail-1", priority=9)
    make_sender(name="mail-2")
    api = client_for(make_api_key(application=make_application(name="shop")))
    make_operator(username="edith", email="edith@example.com")
    page = open_browser()

    # She logs in, and begins a template.
    page.goto("/admin/")
    page.get_by_label("Username").fill("edith")
    page.get_by_label("Password").fill("tests")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Templates").first.click()
    page.goto("/admin/templates_app/template/add/")
    page.locator("input[name=code]").fill("order-shipped")
    page.locator("input[name=name]").fill("Order shipped")
    page.get_by_role("button", name="Save", exact=True).click()

    # Draft and preview.
    editor = EditorPage(page).wait("stale")
    editor.write_subject("Order {{ number }} is on its way")
    editor.write("body", "<h1>Hello {{ name }}</h1>\n<p>It was sent today.</p>")
    editor.rendered()
    editor.set_example("name", "Ann Lee")
    editor.set_example("number", "4711")
    editor.rendered()
    expect(editor.frame.locator("h1")).to_have_text("Hello Ann Lee")
    expect(editor.preview.locator("[data-subject]")).to_have_text("Order 4711 is on its way")

    # A test mail, through the sender that she chooses, to herself. What she wrote is saved by it.
    page.get_by_role("button", name="Send me a test").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("To", exact=True)).to_have_value("edith@example.com")
    dialog.get_by_label("Through").select_option(label="mail-2")
    photograph(page, "test-mail")
    dialog.get_by_role("button", name=re.compile("Send$")).click()
    expect(dialog.locator("[data-result]")).to_have_attribute("data-state", "sent")
    test_mail = Message.objects.get()
    drain(lane=test_mail.lane, now=timezone.now())
    ((sender, outbound),) = adapter.sent
    adapter.sent.clear()
    assert sender == "mail-2"
    assert outbound.content.subject == "Order 4711 is on its way"
    assert list(outbound.content.to) == [("", "edith@example.com")]
    dialog.get_by_role("button", name="Close").click()

    # Publish.
    page.get_by_role("link", name="Publish").click()
    page.get_by_label("What changed?").fill("First text")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Version 1 is what callers get now.")).to_be_visible()

    # Callers send by its code, and the message leads to the version.
    first_id = send_by_api(api, name="Bob", number=1)
    assert "Hello Bob" in delivered(adapter, first_id).html
    page.goto(f"/admin/messaging/message/{first_id}/change/")
    page.get_by_role("link", name=re.compile("order-shipped")).click()
    expect(page.get_by_text("version 1")).to_be_visible()
    expect(page.get_by_role("button", name="Save draft")).to_have_count(0)

    # Edit: a new draft, which asks for more.
    page.get_by_role("button", name="Edit as new draft").click()
    editor.wait()
    editor.write("body", "<h1>Dear {{ name }}</h1>\n<p>It comes with {{ carrier }}.</p>")
    editor.rendered()
    editor.save()

    # Diff.
    page.get_by_role("link", name="Compare").click()
    expect(page.locator("[data-compare] .cm-mergeView").first).to_be_visible()
    body = page.locator("section", has=page.get_by_role("heading", name="Body"))
    expect(body.locator(".cm-deletedChunk, .cm-changedLine").first).to_be_visible()
    expect(body).to_contain_text("It was sent today.")
    expect(body).to_contain_text("It comes with {{ carrier }}.")
    photograph(page, "compare")

    # Publish again: the caller who would be refused is named first.
    template = Template.objects.get()
    draft = template.versions.get(number=2)
    editor.open(draft)
    page.get_by_role("link", name="Publish").click()
    expect(page.locator("table")).to_contain_text("shop")
    expect(page.locator("table")).to_contain_text("carrier")
    page.get_by_label("What changed?").fill("Says who brings it")
    photograph(page, "publish")
    page.get_by_label("Publish all the same").check()
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("Version 2 is what callers get now.")).to_be_visible()
    second_id = send_by_api(api, name="Bob", number=2, carrier="Bike")
    assert "It comes with Bike." in delivered(adapter, second_id).html

    # Roll back.
    photograph(page, "template")
    page.get_by_role("link", name="Roll back to it").click()
    page.get_by_label("What changed?").fill("Callers are not ready yet")
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("Version 3 is a copy of 1")).to_be_visible()
    third_id = send_by_api(api, name="Bob", number=3)
    assert "It was sent today." in delivered(adapter, third_id).html

    # What was sent before still says what it said.
    versions = {1: first_id, 2: second_id, 3: third_id}
    for number, message_id in versions.items():
        message = Message.objects.select_related("template_version").get(pk=message_id)
        assert message.template_version.number == number

"""The whole life of a template, as a team lives it that has only the API."""

from datetime import timedelta

import pytest
from django.utils import timezone

from messaging.models import Message
from templates_app.models import TemplateVersion
from tests.factories import drain, make_sender

SEND = "/api/v1/messages/email/send"
TEMPLATES = "/api/v1/templates"
FIRST = {
    "code": "order-shipped",
    "name": "Order shipped",
    "subject": "Order {{ number }} is on its way",
    "body": '<h1>Hello {{ name }}</h1><p><a href="{{ url }}">Follow it</a></p>',
    "priority": "high",
}
VARIABLES = {"number": 4711, "name": "Ann <3", "url": "https://example.com/4711"}


def ok(response, status=200):
    assert response.status_code == status, response.json()
    return response.json()


@pytest.mark.django_db
def test_the_whole_life_of_a_template(api, adapter):
    make_sender()

    # It is written: a draft, which is not sent by.
    made = ok(api.post(TEMPLATES, FIRST), 201)
    assert (made["current"], made["latest_version"], made["is_shared"]) == (None, 1, False)
    versions = f"{TEMPLATES}/order-shipped/versions"
    mail = {"to": "ann@example.com", "template_code": "order-shipped", "variables": VARIABLES}
    refused = ok(api.post(SEND, mail), 409)
    assert refused["errors"][0]["code"] == "template_not_published"

    # It is looked at.
    preview = {"template_code": "order-shipped", "variables": VARIABLES}
    shown = ok(api.post(f"{TEMPLATES}/preview", preview))
    assert shown["subject"] == "Order 4711 is on its way"
    assert "Hello Ann &lt;3" in shown["html"]
    assert [found["name"] for found in shown["variables"]] == ["number", "name", "url"]

    # It is published, and sent by.
    published = ok(api.post(f"{versions}/1/publish", {"change_note": "Go"}))
    assert (published["status"], published["is_current"]) == ("published", True)
    accepted = ok(api.post(SEND, mail), 202)
    assert accepted["warnings"] == []
    assert drain(lane="high", now=timezone.now() + timedelta(seconds=1)) == 1
    first = ok(api.get(f"/api/v1/messages/{accepted['id']}"))
    assert first["template"] == {"code": "order-shipped", "version": 1, "locale": ""}
    assert first["priority"] == "high"
    assert first["text"] == "Hello Ann <3\n\nFollow it: https://example.com/4711\n"

    # It is changed: a second version, edited as a draft, and published with one more variable.
    second = {"subject": FIRST["subject"], "body": "<p>{{ name }} {{ carrier }}</p>"}
    assert ok(api.post(versions, second), 201)["version"] == 2
    edited = ok(api.patch(f"{versions}/2", {"subject": "{{ number }} shipped"}))
    assert edited["body"] == second["body"]
    warned = ok(api.post(f"{versions}/2/publish", {}), 409)
    assert warned["code"] == "confirmation_required"
    assert "without carrier" in warned["errors"][0]["detail"]
    ok(api.post(f"{versions}/2/publish", {"confirm": True}))
    missing = ok(api.post(SEND, mail), 422)
    assert [error["pointer"] for error in missing["errors"]] == ["/variables/carrier"]

    # What was published stays as it was, and so do messages made of it.
    assert ok(api.patch(f"{versions}/1", {"body": "other"}), 409)["code"] == "conflict"
    assert ok(api.get(f"{versions}/1"))["body"] == FIRST["body"]

    # Back to the first.
    back = ok(api.post(f"{TEMPLATES}/order-shipped/rollback", {"version": 1}))
    assert (back["version"], back["body"]) == (3, FIRST["body"])
    repeated = {**mail, "variables": {**VARIABLES, "carrier": "X"}, "reference": "again"}
    again = ok(api.post(SEND, repeated), 202)
    assert again["warnings"][0]["pointer"] == "/variables/carrier"
    assert ok(api.get(versions))["total"] == 3

    # Found by its template, and archived.
    listed = ok(api.get("/api/v1/messages?template=order-shipped"))
    assert [m["id"] for m in listed["results"]] == [again["id"], accepted["id"]]
    assert [m["template"]["version"] for m in listed["results"]] == [3, 1]
    assert api.delete(f"{TEMPLATES}/order-shipped").status_code == 204
    assert ok(api.post(SEND, mail), 409)["errors"][0]["code"] == "template_archived"
    ok(api.patch(f"{TEMPLATES}/order-shipped", {"archived": False}))
    ok(api.post(SEND, {**mail, "reference": "after the archive"}), 202)

    assert TemplateVersion.objects.filter(status="published").count() == 3
    names = Message.objects.values_list("variable_names", flat=True)
    assert all(stored in (sorted(VARIABLES), sorted([*VARIABLES, "carrier"])) for stored in names)

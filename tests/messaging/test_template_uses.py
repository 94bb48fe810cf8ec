from datetime import timedelta

import pytest
from django.utils import timezone

from core.errors import DomainError
from messaging.models import Message
from templates_app.uses import uses
from tests.factories import (
    NOON,
    drain,
    make_application,
    make_message,
    make_operator,
    make_sender,
    make_version,
    reloaded,
)

pytestmark = pytest.mark.django_db


def send_test(version, **fields):
    asked = {"to": "Ann <ann@example.com>", "variables": {"name": "Ann"}, "sender_id": None}
    asked |= {"by": make_operator(username="ed"), "now": timezone.now()} | fields
    return uses().send_test(version, **asked)


def test_a_test_goes_through_the_chosen_sender_and_no_other(adapter):
    make_sender(name="first", priority=9)
    chosen = make_sender(name="chosen", priority=1)
    chosen.applications.add(make_application())

    pk = send_test(make_version(), sender_id=chosen.pk)
    drain(lane="high", now=timezone.now() + timedelta(seconds=1))

    message = Message.objects.get(pk=pk)
    assert (message.status, message.sender.name) == ("success", "chosen")
    assert message.content["subject"] == "Hello Ann"
    assert (message.metadata, message.application.name) == ({"tested_by": "ed"}, "Template tests")


def test_a_test_waits_for_its_sender_and_does_not_go_to_another(adapter):
    make_sender(name="other")
    chosen = make_sender(name="chosen")
    pk = send_test(make_version(), sender_id=chosen.pk)
    chosen.is_active = False
    chosen.save()

    drain(lane="high", now=timezone.now() + timedelta(seconds=1))

    message = Message.objects.get(pk=pk)
    assert (message.status, message.reason) == ("pending", "no_sender")
    assert "other: this message is bound to another sender" in message.reason_detail


def test_without_a_sender_the_pool_chooses(adapter):
    make_sender(name="only")

    pk = send_test(make_version())
    drain(lane="high", now=timezone.now() + timedelta(seconds=1))

    assert Message.objects.get(pk=pk).sender.name == "only"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"to": "nobody"}, "/to"),
        ({"to": "a@b.cc\r\nBcc: x@y.zz"}, "/to"),
        ({"sender_id": 4711}, "/sender_id"),
        ({"variables": {}}, "/variables/name"),
    ],
)
def test_a_test_that_cannot_be_sent_says_why(fields, pointer):
    with pytest.raises(DomainError) as refused:
        send_test(make_version(), **fields)

    assert refused.value.errors[0].pointer == pointer
    assert not Message.objects.exists()


def test_a_test_of_a_broken_draft_names_the_error():
    with pytest.raises(DomainError) as refused:
        send_test(make_version(body="{{ name", html=""))

    assert (refused.value.errors[0].pointer, refused.value.errors[0].code) == (
        "/body",
        "syntax_error",
    )


def test_the_senders_for_tests_are_the_active_ones():
    active = make_sender(name="b")
    make_sender(name="a", is_active=False)

    assert list(uses().test_senders("email")) == [(active.pk, "b")]


def test_callers_are_told_with_what_they_do_not_send(adapter):
    version = make_version(status="published")
    older = make_version(template=version.template, status="published", is_current=False)
    shop, crm = make_application(name="shop"), make_application(name="crm")
    make_message(application=shop, template_version=version, variable_names=["name"])
    make_message(application=shop, template_version=older, variable_names=["name", "city"])
    make_message(application=crm, template_version=version, variable_names=["city", "url"])
    make_message(application=crm, variable_names=None)
    make_sender()
    send_test(version)

    found = uses().recent_callers(
        version.template, lacking={"city", "url"}, since=NOON - timedelta(days=1)
    )

    assert [(c.application, c.messages, c.missing) for c in found] == [("shop", 2, ("city", "url"))]
    assert (
        uses().recent_callers(version.template, lacking={"city"}, since=NOON + timedelta(days=400))
        == []
    )


def test_a_message_names_its_version_in_the_admin(operator):
    version = make_version(status="published")
    message = make_message(template_version=version, variable_names=["name"])

    page = operator.get(f"/admin/messaging/message/{message.pk}/change/").content.decode()

    assert f"{version.template.code}, version 1" in page
    assert reloaded(message).variable_names == ["name"]

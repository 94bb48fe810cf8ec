"""The parameters by which lists, links and jobs speak of messages."""

from datetime import UTC, datetime, timedelta

import pytest

from core.ids import lowest_uuid7
from messaging.models import OtherRecipient
from messaging.selection import CONDITIONS, select
from tests.factories import (
    NOON,
    make_application,
    make_batch,
    make_message,
    make_sender,
    make_template,
    make_version,
)

pytestmark = pytest.mark.django_db

ASKED_AT = datetime(2099, 1, 1, tzinfo=UTC)


def made_at(moment):
    return make_message(pk=lowest_uuid7(moment), created_at=moment)


def failed(**fields):
    return make_message(status="failed", **fields)


def test_each_filter_finds_what_it_names():
    version = make_version(template=make_template(code="welcome"))
    batch = make_batch()
    tagged = ["vip", 'a "quoted" tag', "客户"]
    messages = {
        "status": failed(reason="rejected"),
        "reason": failed(reason="hard_bounce"),
        "channel": make_message(channel="sms"),
        "application": make_message(application=make_application(name="shop")),
        "template": make_message(template_version=version),
        "sender": make_message(sender=make_sender()),
        "lane": make_message(lane="bulk"),
        "recipient": make_message(recipient="eve@example.com"),
        "reference": make_message(reference="order-4711"),
        "tag": make_message(tags=tagged),
        "batch": make_message(batch=batch),
        "created_from": made_at(datetime(2098, 12, 31, 23, tzinfo=UTC)),
        "created_to": made_at(NOON - timedelta(hours=3)),
    }
    asked = {
        "status": "failed",
        "reason": "hard_bounce",
        "channel": "sms",
        "application": str(messages["application"].application_id),
        "template": "welcome",
        "sender": str(messages["sender"].sender_id),
        "lane": "bulk",
        "recipient": " Eve@Example.com ",
        "reference": "order-4711",
        "tag": "vip",
        "batch": str(batch.pk),
        "created_from": "2098-12-31T12:00:00+00:00",
        "created_to": (NOON - timedelta(hours=2)).isoformat(),
    }

    for name, value in asked.items():
        found = set(select({name: value}, at=ASKED_AT).rows().values_list("pk", flat=True))
        expected = {messages[name].pk}
        if name == "status":
            expected.add(messages["reason"].pk)
        assert found == expected, name
    assert select({"created": "1d"}, at=ASKED_AT).rows().get() == messages["created_from"]
    for tag in tagged:
        assert select({"tag": tag}, at=ASKED_AT).rows().get() == messages["tag"]
    assert not select({"tag": "vi"}, at=ASKED_AT).rows().exists()
    assert not select({"tag": "VIP"}, at=ASKED_AT).rows().exists()


def test_test_messages_can_be_left_out():
    make_message(only_sender=make_sender(adapter="simulator-sms"))
    bound, free = make_message(only_sender=make_sender()), make_message()

    found = select({"test": "no"}, at=NOON).rows()

    assert set(found) == {bound, free}


def test_further_recipients_are_found_too():
    message = make_message()
    OtherRecipient.objects.create(message=message, role="cc", address="bob@example.com")

    assert select({"recipient": "bob@example.com"}, at=NOON).rows().get() == message


@pytest.mark.parametrize("value", ["nonsense", "\0", "9" * 30, "2026-13-45"])
def test_a_value_that_makes_no_sense_matches_nothing(value):
    make_message()

    for name in CONDITIONS:
        assert not select({name: value}, at=NOON).rows().exists(), name


def test_moments_without_an_offset_are_those_of_who_asks(settings):
    settings.TIME_ZONE = "Asia/Shanghai"

    selection = select({"created_from": "2026-11-28T08:00", "created_to": "2026-11-29"}, at=NOON)

    assert selection.filters == {
        "created_from": "2026-11-28T08:00:00+08:00",
        "created_to": "2026-11-29T00:00:00+08:00",
    }

"""Who is on the list is not written to: asked at acceptance, and again before every hand-over."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging import story, suppressions
from messaging.channels.base import PermanentFailure, Receipt, Refusal
from messaging.channels.partial import with_left_out, without
from messaging.models import Event, Message, Status, Suppression
from tests.factories import (
    NOON,
    drain,
    make_application,
    make_message,
    make_sender,
    make_suppression,
    reloaded,
)

pytestmark = pytest.mark.django_db

URL = "/api/v1/messages/email/send"
ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"


def mail(to, **further):
    return {"to": to, "subject": "Hello", "content": "Hello", **further}


def named(errors):
    return [(error["pointer"], error["code"]) for error in errors]


# --- at acceptance -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (mail(ANN), ["/to"]),
        (mail("Ann <Ann@Example.com>"), ["/to"]),
        (mail([ANN]), ["/to/0"]),
        (mail([ANN, BOB], cc=EVE), ["/to/0", "/to/1", "/cc"]),
        (mail(ANN, bcc=[BOB, EVE]), ["/to", "/bcc/0", "/bcc/1"]),
    ],
)
def test_a_message_to_suppressed_recipients_only_is_refused_and_each_is_named(api, body, pointers):
    for address in (ANN, BOB, EVE):
        make_suppression(address=address)

    response = api.post(URL, body)

    assert (response.status_code, response.json()["code"]) == (422, "recipient_suppressed")
    assert named(response.json()["errors"]) == [(p, "recipient_suppressed") for p in pointers]
    assert not Message.objects.exists()


def test_a_message_to_some_suppressed_recipients_is_accepted_with_a_warning_for_each(api):
    make_suppression(address=BOB)
    make_suppression(address=EVE)

    response = api.post(URL, mail([ANN, BOB], cc=EVE))

    assert response.status_code == 202
    assert named(response.json()["warnings"]) == [
        ("/to/1", "recipient_suppressed"),
        ("/cc", "recipient_suppressed"),
    ]


def test_another_applications_entry_does_not_matter(api):
    make_suppression(address=ANN, application=make_application())

    assert api.post(URL, mail(ANN)).status_code == 202


def test_an_own_entry_matters_and_an_expired_one_does_not(api):
    make_suppression(address=ANN, application=api.key.application)
    make_suppression(address=BOB, expires_at=NOON - timedelta(days=1))

    assert api.post(URL, mail(ANN)).status_code == 422
    assert api.post(URL, mail(BOB)).json()["warnings"] == []


def test_it_costs_one_query(api):
    api.post(URL, mail(ANN))

    with CaptureQueriesContext(connection) as queries:
        api.post(URL, mail([ANN, BOB]))

    asked = [q["sql"] for q in queries.captured_queries if "messaging_suppression" in q["sql"]]
    assert len(asked) == 1


# --- before the hand-over ------------------------------------------------------------------------


def message_to(to, **roles):
    people = {role: [["", address] for address in list_] for role, list_ in roles.items()}
    content = {"to": [["", address] for address in to], "subject": "Hello", "text": "Hello"}
    return make_message(recipient=to[0].lower(), content=content | people)


def envelope(adapter):
    (_, outbound), *others = adapter.sent
    assert not others
    return [address for _, address in outbound.content.recipients()]


def test_a_message_whose_recipients_were_all_suppressed_since_fails(adapter):
    make_sender()
    message = message_to([ANN])
    make_suppression(address=ANN)

    drain()

    message = reloaded(message)
    assert (message.status, message.reason) == (Status.FAILED, "suppressed")
    assert message.leased_until is None
    assert Event.objects.get().details["reason"] == "suppressed"
    assert not message.attempts.exists()
    assert adapter.sent == []


def test_those_who_were_suppressed_since_are_left_out_and_it_is_recorded(adapter):
    make_sender()
    message = message_to([ANN, "Bob@Example.com"], cc=[EVE], bcc=["zoe@example.com"])
    make_suppression(address=BOB)
    make_suppression(address=EVE)

    drain()

    message = reloaded(message)
    assert envelope(adapter) == [ANN, "zoe@example.com"]
    assert message.status == Status.SUCCESS
    assert [one["recipient"] for one in message.attempts.get().refused] == ["to/1", "cc/0"]
    assert {one["code"] for one in message.attempts.get().refused} == {"suppressed"}
    assert "to/1 (suppressed)" in story.tell(message)[-1].detail
    assert message.content["cc"] == [["", EVE]]


def test_what_failed_says_who_was_left_out_as_well(adapter):
    make_sender()
    message = message_to([ANN, BOB])
    make_suppression(address=ANN)
    adapter.failure = PermanentFailure("rejected", phase="data", code="554")

    drain()

    assert [one["recipient"] for one in message.attempts.get().refused] == ["to/0"]


def test_who_is_in_copy_becomes_the_recipient_when_no_other_is_left(adapter):
    make_sender()
    message_to([ANN], cc=[BOB])
    make_suppression(address=ANN)

    drain()

    assert adapter.sent[0][1].content.to == [("", BOB)]
    assert adapter.sent[0][1].content.cc == []


def test_a_blind_copy_stays_blind(adapter):
    make_sender()
    message_to([ANN], bcc=[BOB, EVE])
    make_suppression(address=ANN)

    drain()

    assert (adapter.sent[0][1].content.to, envelope(adapter)) == ([], [BOB, EVE])


def test_refusals_are_told_by_the_positions_that_the_caller_knows(adapter, monkeypatch):
    make_sender()
    message = message_to([ANN, BOB, EVE])
    make_suppression(address=ANN)

    def take(self, outbound):
        assert [a for _, a in outbound.content.to] == [BOB, EVE]
        return Receipt(refused=(Refusal("to/1", "550 5.7.1", "not liked"),))

    monkeypatch.setattr(adapter, "send", take)
    drain()

    told = {one["recipient"]: one["code"] for one in message.attempts.get().refused}
    assert told == {"to/2": "550 5.7.1", "to/0": "suppressed"}


def test_one_query_a_batch_and_none_while_nobody_is_suppressed(adapter, monkeypatch):
    make_sender()
    monkeypatch.setattr(suppressions, "EMPTY_FOR", 60.0)
    for _ in range(30):
        message_to([ANN])

    find, batches = suppressions._find, []

    def counting(channel, addresses, now):
        batches.append(addresses)
        return find(channel, addresses, now)

    monkeypatch.setattr(suppressions, "_find", counting)

    def asked():
        batches.clear()
        drain()
        return batches

    # The first of a while finds that there are none at all.
    assert len(asked()) == 1
    for _ in range(30):
        message_to([ANN])
    assert len(asked()) == 0

    make_suppression(address="somebody@example.com")
    for _ in range(2):
        for _number in range(30):
            message_to([ANN])
        # A claim that is not full ends the drain, so there was one batch.
        assert len(asked()) == 1


def test_who_was_warned_of_is_left_out_although_this_worker_knows_of_nobody(adapter):
    make_sender()
    message_to([EVE])
    drain()
    assert suppressions.none_at() == NOON
    # In another process.
    Suppression.objects.create(address=ANN)
    message = message_to([ANN, BOB])

    drain()

    assert [a for _, a in adapter.sent[-1][1].content.recipients()] == [BOB]
    assert message.attempts.get().refused[0]["recipient"] == "to/0"


def test_a_batch_of_several_applications_is_told_apart(adapter):
    make_sender()
    mine, other = message_to([ANN]), message_to([ANN])
    make_suppression(address=ANN, application=mine.application)

    drain()

    assert (reloaded(mine).status, reloaded(other).status) == (Status.FAILED, Status.SUCCESS)


# --- mailboxes that a server does not know -------------------------------------------------------


def test_a_mailbox_that_the_server_does_not_know_is_suppressed(adapter):
    sender = make_sender()
    message_to([ANN])
    adapter.failure = PermanentFailure("hard_bounce", phase="rcpt", code="550 5.1.1", words="no")

    drain()

    row = Suppression.objects.get()
    assert (row.address, row.reason, row.application) == (ANN, "hard_bounce", None)
    assert row.source == sender.name


@pytest.mark.parametrize("code", ["550", "550 5.7.1", "552 5.2.2", "550 5.1.8", ""])
def test_other_refusals_suppress_nobody(adapter, code):
    make_sender()
    message_to([ANN])
    adapter.failure = PermanentFailure("hard_bounce", phase="rcpt", code=code)

    drain()

    assert not Suppression.objects.exists()


def test_one_of_several_that_the_server_does_not_know_is_suppressed_alone(adapter, monkeypatch):
    make_sender()
    message_to([ANN], cc=[BOB])
    receipt = Receipt(refused=(Refusal("cc/0", "550 5.1.1", "no such user"),))
    monkeypatch.setattr(adapter, "send", lambda self, outbound: receipt)

    drain()

    assert Suppression.objects.get().address == BOB


# --- the list ------------------------------------------------------------------------------------


def test_what_holds_for_longer_replaces_what_would_expire():
    make_suppression(address=ANN, expires_at=NOON + timedelta(days=1), note="first")
    make_suppression(address=ANN, expires_at=NOON + timedelta(hours=1), note="shorter")
    assert Suppression.objects.get().note == "first"

    make_suppression(address=ANN, note="for good")
    make_suppression(address=ANN, expires_at=NOON + timedelta(days=9), note="too late")
    assert (Suppression.objects.get().note, Suppression.objects.get().expires_at) == (
        "for good",
        None,
    )


def test_a_message_as_a_whole_needs_no_other_content():
    content = {"to": [["", ANN]]}

    assert without(content, {BOB}) is None
    assert with_left_out(None, []) == []


def test_a_content_of_a_wrong_shape_is_left_to_who_sends_it():
    assert without({"to": [1, 2]}, {ANN}) is None


def test_the_database_keeps_one_entry_for_each():
    make_suppression(address=ANN)
    with pytest.raises(Exception, match=r"suppression_stands_once_for_all|UNIQUE"):
        Suppression.objects.create(address=ANN)


def test_emptiness_is_forgotten_when_something_is_added_here(adapter):
    make_sender()
    message_to([BOB])
    drain()
    assert suppressions.none_at() is not None

    make_suppression(address=ANN)

    assert suppressions.none_at() is None

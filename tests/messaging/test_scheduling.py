"""Sending later, and changing one's mind about it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core.errors import Code, DomainError
from messaging import scheduling, states
from messaging.models import Event, Message
from tests.factories import (
    NOON,
    drain,
    make_api_key,
    make_message,
    make_sender,
    reloaded,
)
from tests.messaging.test_idempotency import at_once

URL = "/api/v1/messages/email/send"
BODY = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hello</p>"}


def send(api, **overrides):
    return api.post(URL, BODY | overrides)


def in_seconds(seconds):
    return (timezone.now() + timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("when", ["send_at", "delay_seconds"])
def test_it_is_scheduled_and_wakes_nobody(api, bells, django_capture_on_commit_callbacks, when):
    asked = in_seconds(3600) if when == "send_at" else 3600
    with django_capture_on_commit_callbacks(execute=True):
        answer = send(api, **{when: asked})

    message = Message.objects.get()
    assert (answer.status_code, answer.json()["status"]) == (202, "scheduled")
    assert abs((message.due_at - timezone.now()).total_seconds() - 3600) < 5
    assert answer.json()["due_at"] == message.due_at.isoformat().replace("+00:00", "Z")
    # Its lifetime begins when it is to be sent.
    assert message.expires_at - message.due_at == timedelta(hours=72)
    assert bells == []
    listed = api.get("/api/v1/messages?status=scheduled").json()
    assert [one["id"] for one in listed["results"]] == [answer.json()["id"]]


def test_a_time_that_is_just_over_means_at_once(api, bells, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = send(api, send_at=in_seconds(-20))

    assert answer.json()["status"] == "pending"
    assert bells == [("email", "normal")]


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"send_at": in_seconds(-3600)}, "/send_at"),
        ({"send_at": in_seconds(367 * 86_400)}, "/send_at"),
        ({"send_at": "2027-01-01T09:00:00"}, "/send_at"),
        ({"send_at": "tomorrow"}, "/send_at"),
        ({"send_at": 1_800_000_000}, "/send_at"),
        ({"delay_seconds": -1}, "/delay_seconds"),
        ({"delay_seconds": 367 * 86_400}, "/delay_seconds"),
        ({"delay_seconds": 10, "send_at": in_seconds(60)}, "/delay_seconds"),
        ({"delay_seconds": 3600, "expires_at": in_seconds(60)}, "/expires_at"),
    ],
)
def test_a_time_that_makes_no_sense_is_named(api, asked, pointer):
    answer = send(api, **asked)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.django_db
def test_a_worker_takes_it_when_it_is_due_and_not_before(adapter):
    make_sender()
    message = make_message(due_at=NOON + timedelta(hours=1))

    assert drain(now=NOON + timedelta(minutes=59)) == 0
    assert drain(now=NOON + timedelta(minutes=60)) == 1
    assert reloaded(message).status == "success"


def test_it_can_be_cancelled_and_that_is_told(api):
    pk = send(api, delay_seconds=3600).json()["id"]

    answer = api.post(f"/api/v1/messages/{pk}/cancel")
    again = api.post(f"/api/v1/messages/{pk}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert "is cancelled" in again.json()["detail"]
    assert drain(now=timezone.now() + timedelta(hours=2)) == 0


def test_it_can_be_put_off_and_brought_forward(api, bells, django_capture_on_commit_callbacks):
    pk = send(api, delay_seconds=3600).json()["id"]
    before = Message.objects.get()

    later = api.post(f"/api/v1/messages/{pk}/reschedule", {"delay_seconds": 7200})
    moved = Message.objects.get()
    with django_capture_on_commit_callbacks(execute=True):
        now = api.post(f"/api/v1/messages/{pk}/reschedule", {"delay_seconds": 0})

    assert (later.status_code, now.status_code) == (200, 200)
    assert abs((moved.due_at - before.due_at).total_seconds() - 3600) < 5
    assert moved.expires_at - moved.due_at == before.expires_at - before.due_at
    assert bells == [("email", "normal")]
    assert Event.objects.filter(kind="rescheduled").count() == 2


def test_what_is_due_already_is_not_rescheduled(api):
    pk = send(api).json()["id"]

    answer = api.post(f"/api/v1/messages/{pk}/reschedule", {"delay_seconds": 60})

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize("body", [{}, {"delay_seconds": 5, "send_at": in_seconds(60)}])
def test_a_new_time_must_be_said_once(api, body):
    pk = send(api, delay_seconds=3600).json()["id"]

    assert api.post(f"/api/v1/messages/{pk}/reschedule", body).status_code == 422


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", ["cancel", "reschedule"])
def test_a_change_of_mind_and_a_claim_never_both_win(change):
    """Two hundred races between whoever claims and whoever changes it."""
    application = make_api_key().application
    winners = set()
    for _ in range(200):
        # Due in the eyes of the worker, whose clock is a second ahead, and not in the caller's.
        message = make_message(application=application, due_at=NOON + timedelta(seconds=1))
        later = NOON + timedelta(hours=1)

        def race(number, message=message, later=later):
            if number == 0:
                claimed = states.claim_due(
                    channel="email",
                    lane="normal",
                    limit=1,
                    now=NOON + timedelta(seconds=1),
                    lease=timedelta(minutes=1),
                )
                return bool(claimed.claims)
            try:
                if change == "cancel":
                    scheduling.cancel(message=reloaded(message), now=NOON)
                else:
                    scheduling.reschedule(message=reloaded(message), due_at=later, now=NOON)
            except DomainError as error:
                return "conflict" if error.code == Code.CONFLICT else error
            return "changed"

        claimed, changed = at_once(2, race)
        after = reloaded(message)
        if claimed:
            assert (after.status, changed) == ("sending", "conflict")
        else:
            expected = ("cancelled", message.due_at) if change == "cancel" else ("pending", later)
            assert (after.status, after.due_at, changed) == (*expected, "changed")
        winners.add(claimed)
        Message.objects.all().delete()
    # Both won some, or this was no race.
    assert winners == {True, False}


def test_a_failed_one_is_sent_again_by_its_caller(api):
    message = make_message(application=api.key.application, status="failed")

    answer = api.post(f"/api/v1/messages/{message.pk}/resend", {})

    assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    assert api.post(f"/api/v1/messages/{message.pk}/resend", {}).status_code == 409


@pytest.mark.parametrize(
    "state", [{"status": "unknown"}, {"status": "failed", "reason": "unknown_outcome"}]
)
def test_what_may_have_arrived_is_sent_again_only_when_that_is_said(api, state):
    message = make_message(application=api.key.application, **state)
    url = f"/api/v1/messages/{message.pk}/resend"

    warned, done = api.post(url, {}), api.post(url, {"may_duplicate": True})

    assert (warned.status_code, warned.json()["code"]) == (409, "confirmation_required")
    assert warned.json()["errors"][0]["pointer"] == "/may_duplicate"
    assert done.status_code == 200


@pytest.mark.parametrize("action", ["cancel", "reschedule", "resend", "timeline"])
def test_foreign_messages_are_not_there(api, action):
    theirs = make_message()
    url = f"/api/v1/messages/{theirs.pk}/{action}"

    answer = api.get(url) if action == "timeline" else api.post(url, {"delay_seconds": 5})

    assert answer.status_code in (404, 422)
    if action in {"cancel", "timeline"}:
        assert answer.status_code == 404


def test_many_are_looked_up_in_the_order_of_their_ids(api):
    ours = [make_message(application=api.key.application) for _ in range(3)]
    theirs = make_message()
    ids = [str(m.pk) for m in (ours[2], theirs, ours[0])]

    found = api.post("/api/v1/messages/batch/query", {"ids": ids}).json()

    assert [one["id"] for one in found["results"]] == [ids[0], ids[2]]
    assert found["missing"] == [ids[1]]
    too_many = api.post("/api/v1/messages/batch/query", {"ids": ids * 40})
    assert too_many.status_code == 422

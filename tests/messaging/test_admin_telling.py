"""The story of a message on its page: what happened, in order, how long after, and why."""

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from core.durations import in_words
from messaging.admin.telling import tell_rows, what_is_next
from messaging.models import Attempt, Event, Feedback, FeedbackEvent
from tests.conftest import browser_of
from tests.factories import (
    NOON,
    make_application,
    make_message,
    make_operator,
    make_sender,
    make_staff,
)

pytestmark = pytest.mark.django_db


def live(message):
    return reverse("admin:messaging_message_live", args=[message.pk])


def attempt(message, *, at, **fields):
    defaults = {
        "sender": make_sender(name="mail-1"),
        "lease_token": 1,
        "started_at": at,
        "finished_at": at + timedelta(milliseconds=340),
        "outcome": "accepted",
    }
    return Attempt.objects.create(message=message, **defaults | fields)


def test_it_tells_what_happened_in_order_and_how_long_after():
    message = make_message(status="success", application=make_application(name="shop"))
    attempt(
        message,
        at=NOON + timedelta(seconds=2.3),
        outcome="temporary",
        kind="greylisted",
        phase="rcpt",
        provider_code="451",
        provider_words="try again",
    )
    Event.objects.create(
        message=message,
        kind=Event.Kind.LANE_CHANGED,
        at=NOON + timedelta(seconds=72.64),
        actor=make_operator(username="olga"),
        details={"from": "bulk", "to": "high"},
    )
    FeedbackEvent.objects.create(
        message=message,
        sender=make_sender(name="mail-2"),
        kind=Feedback.DELIVERED,
        recipient="to/0",
        at=NOON + timedelta(hours=3, minutes=5),
        key="1",
    )

    rows = tell_rows(message)

    assert [(row.title, row.status, row.after) for row in rows] == [
        ("Accepted", "pending", ""),
        ("Handed to mail-1", "sending", "after 2.3 s"),
        ("Temporary failure", "pending", "after 340 ms"),
        ("Moved to another lane", "pending", "after 1 min 10 s"),
        ("Reported by mail-2", "delivered", "after 3 h 3 min"),
    ]
    assert rows[0].detail == "From shop."
    assert rows[2].detail == "451 try again"
    assert ("Failure", "greylisted (rcpt)") in rows[2].facts
    assert rows[3].detail == "By olga."
    assert rows[3].facts == [("From", "bulk"), ("To", "high")]
    assert rows[4].color == "success"


def test_it_says_who_could_have_sent_it_and_who_was_left_out_and_why():
    message = make_message(status="success")
    excluded = {
        "mail-2": "benched until 10:20:00 UTC (credentials)",
        "mail-3": "the quota of its group example.com is used up",
        "mail-4": "reserved for other applications",
    }
    candidate = {"sender": "mail-1", "priority": 5, "weight": 2, "used_today": 17, "share": 10}
    decision = {"chosen": "mail-1", "candidates": [candidate], "excluded": excluded, "more": 3}
    attempt(message, at=NOON, decision=decision)

    row = next(row for row in tell_rows(message) if row.chosen)

    assert row.chosen == [("mail-1", "priority 5, weight 2, 17 sent that day, recovering at 10 %")]
    assert row.left_out == list(excluded.items())
    assert row.more == "and 3 more"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "It is sent at"),
        ({"reason": "temporary_failure"}, "It is tried next at"),
        ({"reason": "no_sender"}, "It is tried next at"),
        ({"status": "unknown"}, "What becomes of it is decided at"),
    ],
)
def test_it_says_what_is_next_and_when(fields, words):
    message = make_message(due_at=NOON + timedelta(seconds=25), **fields)

    told = what_is_next(message, now=NOON)

    assert told.startswith(words)
    assert told.endswith("in 25.0 s.")
    assert what_is_next(message, now=NOON + timedelta(minutes=1)).startswith("It is due")


@pytest.mark.parametrize("status", ["sending", "success", "failed", "cancelled"])
def test_of_what_is_over_or_under_way_nothing_is_next(status):
    assert what_is_next(make_message(status=status), now=NOON) == ""


def test_its_page_renews_itself_until_it_is_over(operator):
    waits = make_message(due_at=timezone.now() + timedelta(hours=1))
    over = make_message(status="success")

    def page(message):
        url = reverse("admin:messaging_message_change", args=[message.pk])
        return operator.get(url).content.decode()

    assert f'data-live="{live(waits)}"' in page(waits)
    assert "data-live=" not in page(over)
    answer = operator.get(live(waits)).json()
    assert answer["is_over"] is False
    assert "scheduled" in answer["parts"]["state"]
    assert "It is sent at" in answer["parts"]["story"]
    assert operator.get(live(over)).json()["is_over"] is True


def test_only_who_may_see_messages_sees_how_one_does(client):
    message = make_message()

    assert browser_of(make_staff("view_sender")).get(live(message)).status_code == 403
    assert client.get(live(message)).status_code == 302


@pytest.mark.parametrize(
    ("length", "words"),
    [
        ({"milliseconds": 340}, "340 ms"),
        ({"seconds": 2.34}, "2.3 s"),
        ({"seconds": 59.97}, "1 min 0 s"),
        ({"minutes": 4, "seconds": 10}, "4 min 10 s"),
        ({"hours": 3, "minutes": 5}, "3 h 5 min"),
        ({"days": 2, "hours": 4}, "2 d 4 h"),
    ],
)
def test_lengths_are_told_in_two_units_at_most(length, words):
    assert in_words(timedelta(**length)) == words


def test_moments_that_events_keep_are_told_in_the_readers_time(settings):
    settings.TIME_ZONE = "Asia/Shanghai"
    message = make_message()
    at = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
    details = {"from": "2026-11-23T12:00:00Z", "to": "2026-11-24T12:00:00Z"}
    Event.objects.create(message=message, kind=Event.Kind.RESCHEDULED, at=at, details=details)

    assert tell_rows(message)[-1].facts == [
        ("From", "2026-11-23 20:00:00"),
        ("To", "2026-11-24 20:00:00"),
    ]

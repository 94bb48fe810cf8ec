"""Messages as an operator sees them: finding one, watching it succeed, and many at once."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from messaging import tasks
from messaging.models import Attempt, Event, Job, Message
from tests.browser.conftest import SCREENSHOTS
from tests.browser.test_pictures import is_cut_off
from tests.factories import (
    drain,
    make_application,
    make_batch,
    make_message,
    make_operator,
    make_sender,
    make_version,
)

pytestmark = pytest.mark.django_db(transaction=True)

LIST = reverse("admin:messaging_message_changelist")
LONG_AGO = timezone.now() - timedelta(hours=1)


def failed(**fields):
    now = timezone.now()
    times = {"created_at": LONG_AGO, "finished_at": LONG_AGO, "due_at": LONG_AGO}
    return make_message(status="failed", **{"expires_at": now + timedelta(days=1)} | times | fields)


def page_of(row, page="change"):
    return reverse(f"admin:messaging_{row._meta.model_name}_{page}", args=[row.pk])


def watched(page):
    """What the browser complained of."""
    found = []

    def note(message):
        address = message.location["url"]
        # Chromium asks for it whatever a page says.
        if message.type == "error" and not address.endswith("/favicon.ico"):
            found.append(f"{message.text} {address}")

    page.on("console", note)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def test_a_message_is_sent_again_and_its_page_shows_it_succeed(page, adapter):
    complaints = watched(page)
    make_sender(name="mail-1")
    message = failed(lane="normal")
    page.goto(page_of(message))

    page.get_by_role("link", name="Send again").click()
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("1 message is on its way again.")).to_be_visible()
    expect(page.locator("[data-live-part=state]")).to_have_text("pending")
    drain(lane="normal", now=timezone.now())

    expect(page.locator("[data-live-part=state]")).to_have_text("success")
    expect(page.get_by_text("Handed to mail-1")).to_be_visible()
    assert complaints == []


def test_many_are_sent_again_and_the_bar_says_how_far_it_is(page, photograph, monkeypatch):
    monkeypatch.setattr("messaging.admin.bulk.AT_ONCE", 5)
    complaints = watched(page)
    application = make_application(name="shop")
    for _ in range(12):
        failed(application=application)
    page.goto(f"{LIST}?status=failed&application={application.pk}")

    page.get_by_text("All that match").click()
    page.locator("a[href*='resend-matching']").click()
    expect(page.get_by_text("Send 12 messages again?")).to_be_visible()
    photograph(page, "question")
    page.get_by_role("button", name="Send again").click()
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("value", "0")
    expect(page.get_by_text("0 of 12").first).to_be_visible()
    photograph(page, "job-waiting")
    tasks.work_off_jobs()

    expect(page.get_by_text("12 messages are on their way again.")).to_be_visible()
    expect(bar).to_have_attribute("value", "12")
    photograph(page, "job-done")
    assert Message.objects.filter(status="pending").count() == 12
    assert complaints == []


@pytest.fixture
def full_message():
    """One that has been through a lot."""
    sender, other = make_sender(name="mail-1"), make_sender(name="mail-2")
    version = make_version(status="published")
    message = failed(
        sender=other,
        batch=make_batch(),
        template_version=version,
        variable_names=["first_name", "order_number"],
        reference="order-4711",
        tags=["vip"],
        reason="hard_bounce",
        reason_detail="550 5.1.1 no such user",
        application=make_application(name="shop"),
        content={
            "to": [["Ann Lee", "ann.lee@example.com"]],
            "cc": [["", "bob@example.com"]],
            "subject": "Your order 4711 is on its way",
            "text": "Hello Ann,\nit was sent today.",
            "html": "<h1>Hello Ann</h1><p>It was sent today.</p>",
            "headers": {"List-Unsubscribe": "<https://example.com/u/1>"},
        },
    )
    at = LONG_AGO
    decision = {
        "chosen": "mail-1",
        "candidates": [{"sender": "mail-1", "priority": 5, "weight": 2, "used_today": 17}],
        "excluded": {"mail-2": "benched until 10:20:00 UTC (credentials)"},
        "more": 3,
    }
    fields = {"message": message, "lease_token": 1}
    Attempt.objects.create(
        **fields,
        sender=sender,
        started_at=at + timedelta(seconds=2.3),
        finished_at=at + timedelta(seconds=2.64),
        outcome="temporary",
        kind="greylisted",
        phase="rcpt",
        provider_code="451",
        provider_words="4.7.1 try again later",
        decision=decision,
        worker="worker-1",
    )
    Event.objects.create(
        message=message,
        kind="lane_changed",
        at=at + timedelta(seconds=70),
        actor=make_operator(username="olga"),
        details={"from": "bulk", "to": "high"},
    )
    Event.objects.create(
        message=message,
        kind="duplicate",
        at=at + timedelta(seconds=75),
        details={"request_id": "req-1"},
    )
    Attempt.objects.create(
        **fields,
        sender=other,
        started_at=at + timedelta(minutes=5),
        finished_at=at + timedelta(minutes=5, seconds=1),
        outcome="permanent",
        kind="hard_bounce",
        phase="rcpt",
        provider_code="550",
        provider_words="5.1.1 no such user",
        decision=decision | {"chosen": "mail-2"},
    )
    return message


# Where it is wide nothing is cut off; it is there to be looked at.
LOOKS = [("dark", 390), *([("light", 1280)] if SCREENSHOTS else [])]


@pytest.mark.parametrize(("look", "width"), LOOKS)
def test_the_pages_are_whole_on_every_width(open_browser, photograph, full_message, look, width):
    page = open_browser(
        make_operator(), viewport={"width": width, "height": 1000}, color_scheme=look
    )
    job = Job.objects.create(
        kind="move", to_lane="bulk", asked_at=LONG_AGO, matched=4000, done=1700, state="running",
        started_at=LONG_AGO, filters={"status": "pending", "recipient": "ann.lee@example.com"},
        passed={"success": 3},
    )  # fmt: skip
    for status in ("success", "pending", "unknown"):
        make_message(status=status)
    name = f"{look}-{width}"

    page.goto(LIST)
    photograph(page, f"messages-{name}")
    assert not is_cut_off(page)
    page.get_by_text("Filters").first.click()
    expect(page.get_by_label("recipient, exactly")).to_be_visible()
    photograph(page, f"filters-{name}")
    page.goto(page_of(full_message))
    page.get_by_text("Why this sender").first.click()
    left_out = page.get_by_text("left out: benched until 10:20:00 UTC (credentials)")
    expect(left_out.first).to_be_visible()
    photograph(page, f"message-{name}")
    page.locator(".noti-story").scroll_into_view_if_needed()
    photograph(page.locator(".noti-story"), f"story-{name}")
    page.get_by_role("tab", name="Headers").click()
    expect(page.get_by_text("List-Unsubscribe", exact=True)).to_be_visible()
    photograph(page, f"content-{name}")
    assert not is_cut_off(page)
    page.goto(page_of(job))
    photograph(page, f"job-{name}")
    page.goto(reverse("admin:messaging_job_changelist"))
    photograph(page, f"jobs-{name}")
    page.goto(page_of(full_message, "move"))
    photograph(page, f"move-{name}")
    assert not is_cut_off(page)

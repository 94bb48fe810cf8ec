"""A batch in the admin leads to its messages, and what waits of it can be cancelled."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from core.ids import uuid7
from messaging.models import Event
from tests.conftest import browser_of
from tests.factories import make_batch, make_message, make_staff, reloaded
from tests.messaging.confirming import confirm

pytestmark = pytest.mark.django_db

BATCHES = reverse("admin:messaging_batch_changelist")
MESSAGES = reverse("admin:messaging_message_changelist")


def page_of(row, page="change"):
    return reverse(f"admin:messaging_{row._meta.model_name}_{page}", args=[row.pk])


def waiting(**overrides):
    return make_message(due_at=timezone.now() + timedelta(hours=1), **overrides)


def found(browser, url, text):
    return {row.pk for row in browser.get(url, {"q": text}).context["cl"].result_list}


def test_its_page_says_what_became_of_its_messages_and_leads_to_them(operator):
    batch = make_batch()
    one, two = waiting(batch=batch), make_message(batch=batch, status="success")
    make_message()

    page = operator.get(page_of(batch)).content.decode()

    assert "1 scheduled" in page
    assert "1 success" in page
    assert f"{MESSAGES}?batch={batch.pk}" in page
    assert found(operator, MESSAGES, batch.pk) == {one.pk, two.pk}


def test_its_messages_lead_to_it(operator):
    batch = make_batch()

    assert page_of(batch) in operator.get(page_of(make_message(batch=batch))).content.decode()


def test_it_is_found_by_its_id_and_by_nothing_else(operator):
    batch, _ = make_batch(), make_batch()

    assert found(operator, BATCHES, batch.pk) == {batch.pk}
    assert found(operator, BATCHES, "newsletter") == set()


def test_what_waits_is_cancelled_after_a_question_and_what_was_sent_stays(operator):
    batch = make_batch()
    first, second = waiting(batch=batch), waiting(batch=batch)
    sent = make_message(batch=batch, status="success")

    question = operator.get(page_of(batch, "cancel")).content.decode()
    assert "Cancel 2 messages that still wait?" in question
    assert reloaded(first).status == "pending"
    confirm(operator, page_of(batch, "cancel"))

    assert {reloaded(first).status, reloaded(second).status} == {"cancelled"}
    assert reloaded(sent).status == "success"
    assert reloaded(batch).cancelled_at is not None
    assert {event.actor.username for event in Event.objects.filter(kind="cancelled")} == {
        operator.user.username
    }


def test_its_failed_messages_are_sent_again_and_those_that_wait_move_or_go_now(operator):
    batch = make_batch()
    failed = make_message(batch=batch, status="failed")
    late = waiting(batch=batch)
    elsewhere = waiting()

    confirm(operator, page_of(batch, "resend"))
    confirm(operator, page_of(batch, "move"), to_lane="bulk")
    confirm(operator, page_of(batch, "release"))

    assert [event.kind for event in failed.events.order_by("pk")] == ["resent", "lane_changed"]
    assert [event.kind for event in late.events.order_by("pk")] == ["lane_changed", "released"]
    assert {reloaded(failed).lane, reloaded(late).lane} == {"bulk"}
    assert not elsewhere.events.exists()


def test_a_batch_of_which_nothing_waits_or_failed_has_no_buttons(operator):
    batch = make_batch()
    make_message(batch=batch, status="success")

    page = operator.get(page_of(batch)).content.decode()

    assert not any(page_of(batch, name) in page for name in ("resend", "cancel", "move"))


def test_one_message_that_waits_is_cancelled(operator):
    message = waiting()
    assert page_of(message, "cancel") in operator.get(page_of(message)).content.decode()

    confirm(operator, page_of(message, "cancel"))

    assert reloaded(message).status == "cancelled"
    assert page_of(message, "cancel") not in operator.get(page_of(message)).content.decode()


def test_what_a_worker_has_is_not_cancelled(operator):
    message = make_message(status="sending")

    response = confirm(operator, page_of(message, "cancel"))

    assert "0 messages were cancelled." in response.content.decode()
    assert reloaded(message).status == "sending"


def test_whoever_may_only_look_cancels_nothing():
    batch = make_batch()
    message = waiting(batch=batch)
    browser = browser_of(make_staff("view_message", "view_batch"))

    for row in (batch, message):
        assert page_of(row, "cancel") not in browser.get(page_of(row)).content.decode()
        assert browser.post(page_of(row, "cancel")).status_code == 403
    assert reloaded(message).status == "pending"


@pytest.mark.parametrize("model", ["batch", "message"])
def test_what_is_not_there_is_not_cancelled(operator, model):
    url = reverse(f"admin:messaging_{model}_cancel", args=[uuid7()])

    assert operator.post(url).status_code == 302

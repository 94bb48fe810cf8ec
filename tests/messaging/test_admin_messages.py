from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from core.ids import lowest_uuid7
from messaging import search, simulation
from messaging.models import Attempt, Message, OtherRecipient, Status
from tests.conftest import browser_of
from tests.factories import (
    NOON,
    drain,
    make_application,
    make_message,
    make_sender,
    make_staff,
    reloaded,
)
from tests.messaging.confirming import answer, confirm

pytestmark = pytest.mark.django_db

LIST = reverse("admin:messaging_message_changelist")


def url_of(message, page="change"):
    return reverse(f"admin:messaging_message_{page}", args=[message.pk])


def listed(browser, **query):
    return [message.pk for message in browser.get(LIST, query).context["cl"].result_list]


# --- list ----------------------------------------------------------------------------------------


def test_the_newest_come_first(operator):
    first = make_message(pk=lowest_uuid7(NOON))
    second = make_message(pk=lowest_uuid7(NOON + timedelta(seconds=1)))

    assert listed(operator) == [second.pk, first.pk]


def test_the_list_shows_subject_and_recipient_without_loading_contents(operator):
    make_message()

    response = operator.get(LIST)

    page = response.content.decode()
    (row,) = response.context["cl"].result_list
    assert "ann@example.com" in page
    assert "Hello" in page
    assert "content" in row.get_deferred_fields()


def test_the_list_counts_no_further_than_it_must(operator):
    make_message()

    with CaptureQueriesContext(connection) as queries:
        operator.get(LIST)
        operator.get(LIST, {"status": "failed"})
        operator.get(LIST, {"q": "ann@example.com"})

    counts = [q["sql"] for q in queries if "COUNT(" in q["sql"] and "messaging_message" in q["sql"]]
    assert counts
    assert all("LIMIT 10001" in sql for sql in counts)


def test_the_list_costs_as_many_queries_with_many_rows_as_with_one(operator):
    make_message(sender=make_sender())
    with CaptureQueriesContext(connection) as with_one:
        operator.get(LIST)
    for _ in range(5):
        make_message(sender=make_sender())

    with CaptureQueriesContext(connection) as with_many:
        operator.get(LIST)

    assert len(with_many) == len(with_one)


def test_a_list_that_is_longer_than_counted_says_so(operator, monkeypatch):
    monkeypatch.setattr("messaging.admin.reading.COUNT_LIMIT", 2)
    for _ in range(3):
        make_message()

    response = operator.get(LIST)

    assert response.context["cl"].result_count == 2
    assert "and more" in response.content.decode()


def test_the_header_tells_how_many_were_found_where_something_was_asked_for(operator):
    make_message(status="failed")
    make_message()

    whole, narrowed = operator.get(LIST), operator.get(LIST, {"status": "failed"})

    assert "Show all" not in whole.content.decode()
    assert "1 result (" in " ".join(narrowed.content.decode().split())


@pytest.mark.parametrize("query", [{"o": "4"}, {"o": "-2.3"}])
def test_no_address_changes_the_order(operator, query):
    with CaptureQueriesContext(connection) as queries:
        operator.get(LIST, query)

    rows = [q["sql"] for q in queries if "ORDER BY" in q["sql"] and "subject_" in q["sql"]]
    assert all('ORDER BY "messaging_message"."id" DESC' in sql for sql in rows)


def test_no_address_smuggles_a_condition_in(operator):
    assert operator.get(LIST, {"recipient__contains": "ann"}).status_code == 400


@pytest.mark.parametrize(
    ("shown", "fields"),
    [
        ("pending", {"due_at": timezone.now() - timedelta(days=1)}),
        ("scheduled", {"due_at": timezone.now() + timedelta(days=365)}),
        ("retrying", {"reason": "temporary_failure"}),
        ("sending", {"status": "sending"}),
        ("success", {"status": "success"}),
        ("failed", {"status": "failed"}),
        ("unknown", {"status": "unknown"}),
        ("cancelled", {"status": "cancelled"}),
    ],
)
def test_each_status_is_shown_and_found_by_its_filter(operator, shown, fields):
    others = [make_message(status=status) for status in ("success", "failed", "unknown")]
    message = make_message(**fields)
    expected = {message.pk} | {other.pk for other in others if other.status == shown}

    response = operator.get(LIST, {"status": shown})

    changelist = response.context["cl"]
    assert {row.pk for row in changelist.result_list} == expected
    shown_words = [changelist.model_admin.shown_status(row) for row in changelist.result_list]
    assert all(shown in words for words in shown_words)


def test_filters_find_what_they_name(operator):
    application = make_application()
    bounced = make_message(status="failed", reason="hard_bounce", application=application)
    urgent = make_message(lane="high")
    old = make_message(pk=lowest_uuid7(NOON - timedelta(days=400)))
    Message.objects.filter(pk=old.pk).update(created_at=NOON - timedelta(days=400))
    Message.objects.exclude(pk=old.pk).update(created_at=timezone.now())

    assert listed(operator, reason="hard_bounce") == [bounced.pk]
    assert listed(operator, application=application.pk) == [bounced.pk]
    assert listed(operator, lane="high") == [urgent.pk]
    assert set(listed(operator, created="1h")) == {bounced.pk, urgent.pk}
    assert len(listed(operator, channel="email")) == 3
    assert len(listed(operator, status="nonsense")) == 3


def test_a_filter_without_an_index_looks_through_the_newest_only():
    moments = [NOON + timedelta(seconds=second) for second in range(3)]
    old, *_ = [make_message(lane="high", pk=lowest_uuid7(moment)) for moment in moments]

    found = search.among_newest(Message.objects.filter(lane="high"), count=2)

    assert found.count() == 2
    assert old not in found


# --- search --------------------------------------------------------------------------------------


def test_a_message_is_found_by_whatever_is_known_of_it(operator, adapter):
    make_sender()
    make_message(recipient="zoe@example.com")
    message = make_message(recipient="eve@example.com", reference="order-4711")
    OtherRecipient.objects.create(message=message, role="bcc", address="bob@example.com")
    drain()
    provider_id = Attempt.objects.get(message=message).provider_message_id

    keys = (str(message.pk), "Eve@Example.com", "bob@example.com", "order-4711", provider_id)
    for key in keys:
        assert listed(operator, q=f" {key} ") == [message.pk], key


@pytest.mark.parametrize("text", ["eve", "@example.com", "order", "%", "_", "0", "x" * 500])
def test_a_part_finds_nothing(operator, text):
    make_message(recipient="eve@example.com", reference="order-4711")

    assert listed(operator, q=text) == []


def test_search_and_filter_go_together(operator):
    make_message(recipient="eve@example.com")
    failed = make_message(recipient="eve@example.com", status="failed")

    assert listed(operator, q="eve@example.com", status="failed") == [failed.pk]


def test_the_search_uses_no_like(operator):
    with CaptureQueriesContext(connection) as queries:
        operator.get(LIST, {"q": "eve@example.com"})

    assert not any(" LIKE " in q["sql"] for q in queries if "messaging_" in q["sql"])


# --- one message ---------------------------------------------------------------------------------


def test_its_page_tells_the_whole_story(operator, adapter):
    sender = make_sender()
    message = make_message(
        content={"to": [["Ann", "ann@example.com"]], "subject": "Hi", "text": "Body"}
    )
    drain()

    page = operator.get(url_of(message)).content.decode()

    assert "From application-" in page
    assert f"Handed to {sender.name}" in page
    assert "Why this sender" in page
    words = f"priority {sender.priority}, weight {sender.weight}, 0 sent that day"
    assert words in page
    assert "2026-11-23 12:00:00" in page
    assert "fake-1" in page
    assert "Ann &lt;ann@example.com&gt;" in page
    assert '<pre class="noti-text">Body</pre>' in page


def test_a_page_of_no_message_leads_back(operator):
    assert operator.get(LIST + "nonsense/change/").status_code == 302


def test_content_is_never_part_of_the_admins_own_page(operator):
    evil = "<script>alert(1)</script>"
    message = make_message(
        content={"to": [["", "a@example.com"]], "subject": evil, "html": evil, "text": evil}
    )

    for page in (operator.get(url_of(message)), operator.get(LIST)):
        assert evil not in page.content.decode()


def test_the_preview_is_locked_in(operator):
    message = make_message()

    page = operator.get(url_of(message)).content.decode()
    preview = operator.get(url_of(message, "preview"))

    assert "<iframe" in page
    assert "sandbox" in page
    assert preview.content.decode() == "<p>Hello</p>"
    assert preview["Content-Security-Policy"] == (
        "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    )
    assert preview["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in preview["Cache-Control"]


def test_the_preview_is_for_those_who_may_see_messages():
    message = make_message()

    assert browser_of(make_staff("view_sender")).get(url_of(message, "preview")).status_code == 403


# --- resend --------------------------------------------------------------------------------------


def test_a_failed_message_is_sent_again_after_a_confirmation(operator):
    message = make_message(status="failed")

    asked = operator.get(url_of(message, "resend"))
    assert "Send 1 message again?" in asked.content.decode()
    assert "duplicate" not in asked.content.decode()
    assert reloaded(message).status == Status.FAILED

    confirm(operator, url_of(message, "resend"))
    assert reloaded(message).status == Status.PENDING
    assert message.events.get().actor == operator.user


@pytest.mark.parametrize(
    "fields", [{"status": "unknown"}, {"status": "failed", "reason": "unknown_outcome"}]
)
def test_for_one_that_may_have_arrived_the_confirmation_warns(operator, fields):
    message = make_message(**fields)

    page = operator.get(url_of(message, "resend")).content.decode()

    assert "may duplicate" in page


def test_only_what_can_be_sent_again_has_the_button(operator):
    failed, sent = make_message(status="failed"), make_message(status="success")

    assert url_of(failed, "resend") in operator.get(url_of(failed)).content.decode()
    assert url_of(sent, "resend") not in operator.get(url_of(sent)).content.decode()


def test_selected_ones_are_sent_again_and_the_others_are_explained(operator):
    failed, unknown = make_message(status="failed"), make_message(status="unknown")
    sent = make_message(status="success")
    selected = {"action": "resend_selected", "_selected_action": [failed.pk, unknown.pk, sent.pk]}

    asked = operator.post(LIST, selected)
    page = asked.content.decode()
    assert "Send 2 messages again?" in page
    assert "1 of the selected is neither failed nor unknown" in page
    assert "Of 1 message it is not known" in page
    assert reloaded(failed).status == Status.FAILED

    page = answer(operator, LIST, asked, **selected).content.decode()
    assert "2 messages are on their way again." in page
    assert "1 was passed over: success." in page
    assert {reloaded(failed).status, reloaded(unknown).status} == {Status.PENDING}
    assert reloaded(sent).status == Status.SUCCESS


def test_who_may_only_look_cannot_send_again():
    message = make_message(status="failed")
    browser = browser_of(make_staff("view_message"))

    assert url_of(message, "resend") not in browser.get(url_of(message)).content.decode()
    assert browser.post(url_of(message, "resend")).status_code == 403
    browser.post(
        LIST,
        {
            "action": "resend_selected",
            "asked_at": "2099-01-01T00:00Z",
            "_selected_action": [message.pk],
        },
    )
    assert reloaded(message).status == Status.FAILED


def test_who_may_change_messages_can_send_again():
    message = make_message(status="failed")
    browser = browser_of(make_staff("view_message", "change_message"))

    confirm(browser, url_of(message, "resend"))

    assert reloaded(message).status == Status.PENDING


def test_the_history_holds_neither_addresses_nor_contents(operator):
    message = make_message(status="failed")

    confirm(operator, url_of(message, "resend"))

    for entry in LogEntry.objects.all():
        assert "ann@" not in entry.object_repr + entry.change_message
        assert "Hello" not in entry.object_repr + entry.change_message


def test_a_preview_may_stand_in_a_frame_of_ours_and_other_pages_in_none(operator):
    message = make_message()
    preview = reverse("admin:messaging_message_preview", args=[message.pk])

    assert operator.get("/docs")["X-Frame-Options"] == "DENY"
    assert operator.get(preview)["X-Frame-Options"] == "SAMEORIGIN"


def test_list_and_page_say_what_was_reported_and_the_page_what_was_only_a_test(operator):
    simulator = simulation.simulator_id("email")
    message = make_message(status="success", feedback="bounced", only_sender_id=simulator)

    changelist = operator.get(LIST).context["cl"]
    (row,) = changelist.result_list
    shown = changelist.model_admin.state(message)

    assert "bounced" in changelist.model_admin.why_or_feedback(row)
    assert all(words in shown for words in ("success", "bounced", "test"))
    assert shown in operator.get(url_of(message)).content.decode()

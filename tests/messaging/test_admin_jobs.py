"""The page of a job, and what leads to it."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from messaging import jobs, tasks
from messaging.models import Attachment, Job, MessageAttachment
from messaging.selection import select
from tests.conftest import browser_of
from tests.factories import (
    NOON,
    make_application,
    make_message,
    make_staff,
    make_template,
    make_version,
    reloaded,
)
from tests.messaging.confirming import answer, confirm

pytestmark = pytest.mark.django_db

LIST = reverse("admin:messaging_message_changelist")
JOBS = reverse("admin:messaging_job_changelist")


def page_of(row, page="change"):
    return reverse(f"admin:messaging_{row._meta.model_name}_{page}", args=[row.pk])


def make_job(kind=Job.Kind.RESEND, parameters=None, **fields):
    selection = select(parameters or {}, at=timezone.now())
    fields = {"actor_id": None, "now": NOON} | fields
    return jobs.ask(kind=kind, selection=selection, **fields)


def failed(**fields):
    return make_message(**{"status": "failed"} | fields)


# --- its page ------------------------------------------------------------------------------------


def test_its_page_says_how_far_it_is_and_where_its_messages_are(operator):
    job = make_job(parameters={"status": "failed", "recipient": "ann@example.com"})
    Job.objects.update(
        state="running", started_at=NOON, matched=400, done=97, passed={"success": 3}
    )

    page = operator.get(page_of(job)).content.decode()

    assert "100 of 400" in page
    assert 'max="400" value="100"' in page
    assert "97 messages are on their way again." in page
    assert "3 were passed over: success." in page
    assert f"{LIST}?status=failed&amp;recipient=ann%40example.com" in page
    assert "status: failed, recipient: ann@example.com" in page


def test_it_renews_itself_until_it_is_over(operator):
    for _ in range(2):
        failed()
    job = make_job()
    live = page_of(job, "live")
    assert f'data-live="{live}"' in operator.get(page_of(job)).content.decode()
    waiting = operator.get(live).json()

    tasks.work_off_jobs()
    over = operator.get(live).json()

    assert (waiting["is_over"], waiting["seen"], waiting["state"]) == (False, 0, "waiting")
    assert (over["is_over"], over["seen"], over["matched"], over["state"]) == (True, 2, 2, "done")
    assert "2 messages are on their way again." in over["parts"]["progress"]
    assert "data-live=" not in operator.get(page_of(job)).content.decode()


def test_where_nobody_counted_to_the_end_the_bar_does_not_pretend_to_know(operator):
    job = make_job()
    Job.objects.update(matched=100_001, done=5)

    page = operator.get(page_of(job)).content.decode()

    assert "5 of more than 100,000" in page
    assert "value=" not in page.partition("<progress")[2].partition(">")[0]


def test_only_who_may_see_jobs_sees_how_far_one_is(client):
    job = make_job()
    other = browser_of(make_staff("view_message"))

    for page in ("change", "live"):
        assert other.get(page_of(job, page)).status_code == 403
        assert client.get(page_of(job, page)).status_code == 302


def test_it_is_stopped_after_a_question_and_the_log_says_by_whom(operator):
    message = failed()
    job = make_job()

    page = confirm_stop(operator, job)

    assert "It is stopped." in page
    tasks.work_off_jobs()
    assert reloaded(job).state == "stopped"
    assert reloaded(message).status == "failed"
    assert LogEntry.objects.get().user == operator.user
    assert page_of(job, "stop") not in page
    assert "It was over already." in confirm_stop(operator, job)


def confirm_stop(browser, job):
    assert "Stop this job?" in browser.get(page_of(job, "stop")).content.decode()
    return browser.post(page_of(job, "stop"), follow=True).content.decode()


def test_who_may_only_look_stops_nothing():
    job = make_job()
    browser = browser_of(make_staff("view_job"))

    assert page_of(job, "stop") not in browser.get(page_of(job)).content.decode()
    assert browser.post(page_of(job, "stop")).status_code == 403
    assert reloaded(job).state == "waiting"


def test_jobs_are_found_by_state_and_kind(operator):
    cancel, move = make_job(Job.Kind.CANCEL), make_job(Job.Kind.MOVE, to_lane="bulk")
    jobs.stop(cancel.pk, now=NOON)

    def listed(**query):
        return [row.pk for row in operator.get(JOBS, query).context["cl"].result_list]

    assert listed() == [move.pk, cancel.pk]
    assert listed(state="stopped") == [cancel.pk]
    assert listed(kind="move") == [move.pk]
    assert listed(q=str(move.pk)) == [move.pk]


# --- what leads there ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "became"),
    [
        ("cancel", {}, "cancelled"),
        ("move", {"to_lane": "high"}, "moved"),
        ("release", {}, "due now"),
    ],
)
def test_what_is_selected_or_matches_is_done_after_a_question(operator, kind, fields, became):
    later = timezone.now() + timedelta(hours=1)
    picked, matching, other = (make_message(due_at=later, tags=[tag]) for tag in ("a", "b", "c"))
    selected = {"action": f"{kind}_selected", "_selected_action": [picked.pk]}

    asked = operator.post(LIST, selected)
    first = answer(operator, LIST, asked, **selected, **fields)
    second = confirm(
        operator, reverse(f"admin:messaging_message_{kind}_matching") + "?tag=b", **fields
    )

    for response in (first, second):
        assert f"1 message {'is' if kind == 'release' else 'was'} {became}." in (
            response.content.decode()
        )
    assert [message.events.count() for message in (picked, matching, other)] == [1, 1, 0]
    assert {entry.user for entry in LogEntry.objects.all()} == {operator.user}
    assert LogEntry.objects.count() == Job.objects.count() == 2


def test_a_move_without_a_lane_asks_again(operator):
    message = make_message()
    url = page_of(message, "move")
    asked = operator.get(url)

    assert answer(operator, url, asked).redirect_chain == [(url, 302)]
    assert answer(operator, url, asked, to_lane="fast").redirect_chain == [(url, 302)]
    assert not message.events.exists()


def test_who_may_only_look_can_ask_for_nothing():
    message = make_message()
    browser = browser_of(make_staff("view_message"))

    for kind in Job.Kind.values:
        answered = {"asked_at": "2099-01-01T00:00Z", "to_lane": "high"}
        assert browser.get(page_of(message, kind)).status_code == 403
        assert browser.post(page_of(message, kind), answered).status_code == 403
        matching = reverse(f"admin:messaging_message_{kind}_matching")
        assert browser.post(matching, answered).status_code == 403
        selected = {"action": f"{kind}_selected", "_selected_action": [message.pk]}
        browser.post(LIST, selected | answered)
    assert not Job.objects.exists()


def test_one_whose_file_is_gone_is_passed_over_and_it_says_why(operator):
    message = failed()
    later = {"expires_at": NOON, "look_at": NOON + timedelta(hours=1), "removed_at": NOON}
    file = Attachment.objects.create(application=message.application, size=1, **later)
    MessageAttachment.objects.create(message=message, attachment=file, position=0)

    page = confirm(operator, page_of(message, "resend")).content.decode()

    assert "1 was passed over: an attachment is not stored any more." in page
    assert reloaded(message).status == "failed"


def test_the_log_holds_no_filter(operator):
    failed(recipient="zoe@example.com")

    url = reverse("admin:messaging_message_resend_matching")
    confirm(operator, f"{url}?recipient=zoe@example.com")

    entry = LogEntry.objects.get()
    assert entry.change_message == "Resent: messages 1."
    assert "zoe" not in entry.change_message + entry.object_repr


# --- the filters of the list ---------------------------------------------------------------------


def test_the_dashboards_links_open_what_they_say(operator):
    application = make_application(name="shop")
    version = make_version(template=make_template(code="welcome"))
    wanted = failed(application=application, template_version=version, lane="high")
    failed(application=application)
    make_message(application=application, template_version=version)

    query = {
        "status": "failed",
        "created": "1d",
        "application": application.pk,
        "channel": "email",
        "template": "welcome",
        "reason": "rejected",
        "lane": "high",
        "created_from": "2026-01-01",
        "created_to": "2099-01-01T00:00:00+00:00",
    }
    wanted_at = timezone.now()
    type(wanted).objects.filter(pk=wanted.pk).update(created_at=wanted_at)
    response = operator.get(LIST, query)

    assert [row.pk for row in response.context["cl"].result_list] == [wanted.pk]
    page = response.content.decode()
    assert '<option value="welcome" selected>' in page
    assert 'value="2026-01-01T00:00"' in page


def test_fields_that_were_left_empty_do_not_stay_in_the_address(operator):
    response = operator.get(LIST, {"status": "failed", "reason": "", "tag": ""})

    assert response["Location"] == f"{LIST}?status=failed"


@pytest.mark.parametrize("name", ["recipient", "reference", "tag", "batch", "template", "sender"])
def test_an_exact_filter_takes_no_part_and_no_like(operator, name):
    make_message(recipient="eve@example.com", reference="order-4711", tags=["vip"])

    with CaptureQueriesContext(connection) as queries:
        response = operator.get(LIST, {name: "e"})

    assert not any(" LIKE " in q["sql"] for q in queries if "messaging_" in q["sql"])
    counted = [q["sql"] for q in queries if "COUNT(" in q["sql"] and "messaging_m" in q["sql"]]
    assert all("LIMIT 10001" in sql for sql in counted)
    # What is no choice narrows nothing; what is written finds what is exactly that.
    assert len(response.context["cl"].result_list) == (1 if name == "sender" else 0)


def test_nobody_counts_the_choices_of_filters(operator):
    make_message()

    with CaptureQueriesContext(connection) as queries:
        page = operator.get(LIST, {"_facets": "True"}).content.decode()

    assert "Show counts" not in page
    assert not any("__c" in q["sql"] for q in queries)


def test_what_a_search_found_beside_is_no_part_of_the_job(operator):
    wanted = failed(recipient="eve@example.com")
    for _ in range(3):
        make_message(recipient="eve@example.com", status="success")

    url = reverse("admin:messaging_message_resend_matching")
    page = confirm(operator, f"{url}?q=eve@example.com").content.decode()

    assert "1 message is on its way again." in page
    assert "passed over" not in page
    assert reloaded(wanted).status == "pending"
    assert Job.objects.get().matched == 1


def test_nobody_means_what_is_yet_to_come(operator):
    failed(finished_at=timezone.now() + timedelta(hours=1))
    url = reverse("admin:messaging_message_resend_matching")

    page = operator.post(url, {"asked_at": "2099-01-01T00:00Z"}, follow=True).content.decode()

    assert "0 messages are on their way again." in page


def test_what_is_done_at_once_leaves_no_work_to_workers(
    operator, bells, django_capture_on_commit_callbacks
):
    message = failed()

    with django_capture_on_commit_callbacks(execute=True):
        confirm(operator, page_of(message, "resend"))

    assert ("", "jobs") not in bells
    assert ("email", "normal") in bells


def test_who_may_change_messages_sees_the_jobs_that_follow(monkeypatch):
    monkeypatch.setattr("messaging.admin.bulk.AT_ONCE", 0)
    message = failed()
    browser = browser_of(make_staff("view_message", "change_message"))

    page = confirm(browser, page_of(message, "resend"))

    assert page.status_code == 200
    assert "0 of 1" in page.content.decode()

from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from messaging import resending, states, tasks
from messaging.models import Job, Message, Status
from tests.conftest import browser_of
from tests.factories import (
    NOON,
    make_application,
    make_message,
    make_operator,
    make_sender,
    make_staff,
    reloaded,
)

pytestmark = pytest.mark.django_db

LIST = reverse("admin:messaging_message_changelist")
MATCHING = reverse("admin:messaging_message_resend_matching")
LONG_AGO = NOON - timedelta(days=30)
LATER = NOON + timedelta(hours=1)


def resend_many(*messages, may_duplicate=False, **others):
    return states.resend_many(
        [message.pk for message in messages],
        **{"may_duplicate": may_duplicate, "now": LATER, "actor_id": None} | others,
    )


def failed(**fields):
    """One that failed before the test asks."""
    return make_message(**{"status": "failed", "finished_at": LONG_AGO} | fields)


def unknown():
    return make_message(status="unknown", due_at=LONG_AGO)


def unknown_outcome():
    return failed(reason="unknown_outcome")


def is_going(message):
    return reloaded(message).reason == "resent"


# --- states --------------------------------------------------------------------------------------


def test_a_slice_goes_with_one_update_and_one_insert_of_events():
    application, operator = make_application(), make_operator()
    messages = [failed(application=application) for _ in range(20)]

    with CaptureQueriesContext(connection) as queries:
        went = resend_many(*messages, actor_id=operator.pk)

    statements = [q["sql"].split()[0] for q in queries]
    assert [statements.count(word) for word in ("UPDATE", "INSERT")] == [1, 1]
    assert {message.pk for message in went} == {message.pk for message in messages}
    for message in map(reloaded, messages):
        assert (message.status, message.due_at, message.finished_at) == ("pending", LATER, None)
        event = message.events.get()
        assert event.actor == operator
        assert event.details == {"from": "failed", "reason": "rejected"}


def test_each_gets_its_own_lifetime_anew_however_often():
    short = failed(expires_at=NOON + timedelta(minutes=10))
    long = failed(expires_at=NOON + timedelta(hours=72))

    resend_many(short, long)
    assert reloaded(short).expires_at == LATER + timedelta(minutes=10)
    assert reloaded(long).expires_at == LATER + timedelta(hours=72)

    again_at = LATER + timedelta(days=30)
    Message.objects.update(status="failed", reason="rejected", finished_at=again_at)
    resend_many(short, now=again_at)
    assert reloaded(short).expires_at == again_at + timedelta(minutes=10)


def test_what_may_have_arrived_goes_only_if_that_was_said():
    certain, doubtful, open_ = failed(), unknown_outcome(), unknown()

    assert [message.pk for message in resend_many(certain, doubtful, open_)] == [certain.pk]
    assert len(resend_many(certain, doubtful, open_, may_duplicate=True)) == 2


def test_a_message_with_an_unknown_outcome_is_tallied_as_doubtful():
    failed(), make_message(status="success"), make_message()
    unknown_outcome(), unknown()

    assert resending.tally(Message.objects.all()) == resending.Tally(certain=1, doubtful=2)


def test_nothing_is_counted_further_than_the_limit(monkeypatch):
    monkeypatch.setattr(resending, "COUNT_LIMIT", 2)
    for _ in range(5):
        failed()

    assert resending.tally(Message.objects.all()).certain == 3


def test_a_slice_wakes_each_of_its_lanes_once(bells, django_capture_on_commit_callbacks):
    messages = [failed(lane=lane) for lane in ("high", "high", "bulk")]

    with django_capture_on_commit_callbacks(execute=True):
        went = resending.resend_slice(
            [message.pk for message in messages], may_duplicate=False, now=LATER
        )

    assert went == 3
    assert sorted(bells) == [("email", "bulk"), ("email", "high")]


# --- the button of the list ----------------------------------------------------------------------


def ask(browser, **query):
    return browser.get(MATCHING, query)


def confirm(browser, asked, **fields):
    url = asked.request["PATH_INFO"] + "?" + asked.request["QUERY_STRING"]
    return browser.post(url, dict(asked.context["fields"]) | fields, follow=True)


@pytest.fixture
def failures():
    """Failed ones, that nothing else than the named thing tells from `plain`."""
    application = make_application(name="shop")
    make = partial(failed, created_at=LONG_AGO)
    return {
        "plain": make(application=application),
        "hard_bounce": make(application=application, reason="hard_bounce"),
        "high": make(application=application, lane="high"),
        "of_sender": make(application=application, sender=make_sender(name="mail-1")),
        "elsewhere": make(),
        "eve": make(application=application, recipient="eve@example.com"),
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"reason": "hard_bounce"}, ["hard_bounce"]),
        ({"lane": "high"}, ["high"]),
        ({"q": "eve@example.com"}, ["eve"]),
        ({"status": "failed", "lane": "normal", "q": "eve@example.com"}, ["eve"]),
        ({"status": "success"}, []),
    ],
)
def test_it_takes_the_filters_of_the_list(operator, failures, query, expected):
    asked = ask(operator, **query)
    assert f"Send {len(expected)} message" in asked.content.decode()

    confirm(operator, asked)

    assert [name for name, message in failures.items() if is_going(message)] == expected


def test_it_takes_the_filters_by_sender_application_and_time(operator, failures):
    confirm(operator, ask(operator, sender=failures["of_sender"].sender_id))
    confirm(operator, ask(operator, application=failures["elsewhere"].application_id))
    fresh = failed(created_at=timezone.now())
    confirm(operator, ask(operator, created="1h"))

    assert is_going(fresh)
    assert [name for name, message in failures.items() if is_going(message)] == [
        "of_sender",
        "elsewhere",
    ]


def test_the_button_of_the_list_takes_the_filters_along(operator):
    page = operator.get(LIST, {"reason": "hard_bounce", "q": "a&b", "p": "1"}).content.decode()

    assert f"{MATCHING}?reason=hard_bounce&amp;q=a%26b" in page
    assert MATCHING in operator.get(LIST).content.decode()


def test_those_that_may_duplicate_need_a_tick(operator):
    messages = certain, doubtful, open_ = failed(), unknown_outcome(), unknown()
    asked = ask(operator)
    page = asked.content.decode()
    assert "Send 1 message again?" in page
    assert "Of 2 further messages it is not known" in page
    assert " checked>" not in asked.context["tick"]

    page = confirm(operator, asked).content.decode()
    assert "1 message is on its way again." in page
    assert [is_going(message) for message in messages] == [True, False, False]

    confirm(operator, ask(operator), may_duplicate="on")
    assert is_going(doubtful)
    assert is_going(open_)
    assert certain.events.count() == 1


def test_every_message_tells_who_sent_it_again(operator):
    messages = [failed() for _ in range(3)]

    confirm(operator, ask(operator))

    assert [message.events.get().actor for message in messages] == [operator.user] * 3


def test_what_fails_after_the_question_is_not_part_of_the_answer(operator):
    early, late = failed(), failed()
    asked = ask(operator)
    Message.objects.filter(pk=late.pk).update(finished_at=LATER + timedelta(days=9999))

    confirm(operator, asked)
    Message.objects.filter(pk=early.pk).update(
        status="failed", reason="rejected", finished_at=LATER + timedelta(days=9999)
    )
    page = confirm(operator, asked).content.decode()

    assert "0 messages are on their way again." in page
    assert not is_going(late)
    assert early.events.count() == 1


def test_what_is_large_becomes_a_job_and_leads_to_its_page(operator, monkeypatch):
    monkeypatch.setattr("messaging.admin.bulk.AT_ONCE", 2)
    messages = [failed() for _ in range(3)]
    asked = ask(operator)
    assert "Workers do it" in asked.content.decode()

    page = confirm(operator, asked)

    job = Job.objects.get()
    assert page.redirect_chain == [(reverse("admin:messaging_job_change", args=[job.pk]), 302)]
    assert (job.state, job.matched, job.actor) == ("waiting", 3, operator.user)
    assert "0 of 3" in page.content.decode()
    tasks.work_off_jobs()
    assert all(is_going(message) for message in messages)


def test_a_count_that_is_not_exact_says_so(operator, monkeypatch):
    monkeypatch.setattr(resending, "COUNT_LIMIT", 2)
    monkeypatch.setattr("messaging.admin.bulk_words.COUNT_LIMIT", 2)
    for _ in range(3):
        failed()

    assert "Send more than 2 messages again?" in ask(operator).content.decode()


def test_an_unusable_moment_asks_again(operator):
    message = failed()

    for asked_at in ("", "yesterday", "2026-11-23T12:00:00"):
        again = operator.post(MATCHING, {"asked_at": asked_at}).content.decode()
        assert "Send 1 message again?" in again

    assert reloaded(message).status == Status.FAILED


def test_no_condition_is_smuggled_in(operator):
    assert ask(operator, recipient__contains="ann").status_code == 400


def test_who_may_only_look_has_no_button_and_no_way(operator):
    message = failed()
    browser = browser_of(make_staff("view_message"))

    assert MATCHING not in browser.get(LIST).content.decode()
    assert ask(browser).status_code == 403
    asked = ask(operator)
    assert confirm(browser, asked).status_code == 403
    assert reloaded(message).status == Status.FAILED


def test_the_confirmation_counts_no_further_than_it_must(operator):
    failed()

    with CaptureQueriesContext(connection) as queries:
        ask(operator, status="failed", reason="rejected", created="1d")

    counts = [q["sql"] for q in queries if "COUNT(" in q["sql"] and "messaging_message" in q["sql"]]
    assert counts
    assert all("LIMIT 1000" in sql for sql in counts)

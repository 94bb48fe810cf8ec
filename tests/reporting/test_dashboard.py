"""The first page: figures that are right, links that lead to what they count, and what is wrong."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from core.clock import database_clock
from messaging.models import Attempt, Message, Status
from reporting import rollups, upkeep
from reporting.dashboard.period import read_period
from reporting.models import Worker
from tests.conftest import browser_of
from tests.factories import make_application, make_sender, make_staff, make_template, make_version
from tests.reporting.messages import accepted

pytestmark = pytest.mark.django_db
INDEX = "/admin/"


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def all_is_well(now):
    Worker.objects.create(name="celery@one", processes=4, seen_at=now)
    make_sender(name="mailbox")


def page_of(client, **query):
    """With all messages counted, which a run of its own may leave to the next one."""
    upkeep.bring_up_to_date(clock=database_clock())
    for moment in Message.objects.values_list("created_at", flat=True):
        rollups.recount(rollups.floor_hour(moment), now=timezone.now())
    return client.get(INDEX, query).content.decode()


def tiles(page):
    found = re.findall(
        r'href="([^"]*)" data-tile="(\w+)">.*?<strong>(.*?)</strong>', page, flags=re.DOTALL
    )
    return {name: (value, unescape(url)) for url, name, value in found}


def words_of(page, part):
    inside = re.search(rf'data-part="{part}".*?</section>', page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", inside[0]).split())


def test_its_figures_are_those_of_the_messages_and_lead_to_them(operator, now, all_is_well):
    shop = make_application(name="shop")
    sender = make_sender()
    for _ in range(3):
        accepted(now, application=shop, status="success", sender=sender)
    accepted(now, application=shop, status="failed", reason="blocked")
    accepted(now - timedelta(days=3), status="failed", reason="rejected")

    found = tiles(page_of(operator))

    assert {name: value for name, (value, _) in found.items()} == {
        "accepted": "4",
        "handed_over": "3",
        "failed": "1",
        "waiting": "0",
        "oldest": "none",
        "prompt": "100 %",
    }
    behind = operator.get(found["failed"][1])
    assert behind.context["cl"].result_count == 1
    assert operator.get(found["accepted"][1]).context["cl"].result_count == 4


def test_a_longer_period_and_one_application_are_chosen_in_the_address(operator, now, all_is_well):
    shop, bank = make_application(name="shop"), make_application(name="bank")
    accepted(now - timedelta(days=3), application=shop)
    accepted(now - timedelta(days=3), application=bank)
    accepted(now - timedelta(days=40), application=shop)

    assert tiles(page_of(operator, range="24h"))["accepted"][0] == "0"
    assert tiles(page_of(operator, range="7d"))["accepted"][0] == "2"
    assert tiles(page_of(operator, range="7d", application=shop.pk))["accepted"][0] == "1"
    days = {"since": (now - timedelta(days=41)).date(), "until": now.date()}
    assert tiles(page_of(operator, **days))["accepted"][0] == "3"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"since": "2026-11-02", "until": "2026-11-01"}, "after the last one"),
        ({"since": "soon", "until": "2026-11-01"}, "Give both days"),
        ({"since": "2026-11-02"}, "Give both days"),
        ({"since": "2020-01-01", "until": "2026-11-01"}, "At most 400 days"),
        ({"since": "9999-12-31", "until": "9999-12-31"}, "still to come"),
    ],
)
def test_days_that_make_no_sense_are_told_and_the_last_day_is_shown(operator, query, words):
    page = operator.get(INDEX, query)

    assert page.status_code == 200
    assert words in page.content.decode()
    assert page.context["period"].name == "24h"


@pytest.mark.parametrize("value", ["x", "-1", "99999999999999999999999", "1\0", "²"])
def test_an_application_that_there_is_not_narrows_nothing(operator, value):
    page = operator.get(INDEX, {"application": value, "range": "nonsense"})

    assert page.status_code == 200
    assert page.context["period"].application is None


def test_days_are_those_of_the_reader(operator):
    with timezone.override("Asia/Shanghai"):
        period = read_period({"range": "7d"}, now=datetime(2026, 11, 23, 17, 30, tzinfo=UTC))

    # It is the 24th there.
    assert period.since == datetime(2026, 11, 17, 16, 0, tzinfo=UTC)


def test_its_chart_has_a_bar_for_each_hour_with_the_way_to_its_messages(operator, now, all_is_well):
    accepted(now, status="failed", reason="blocked")
    page = page_of(operator)

    series = json.loads(
        re.search(r'<script id="dash-series-data"[^>]*>(.*?)</script>', page, re.DOTALL)[1]
    )

    assert len(series["labels"]) == len(series["urls"]) == 24
    assert {each["status"]: each["values"][-1] for each in series["datasets"]} == {
        "success": 0,
        "failed": 1,
    }
    assert operator.get(series["urls"][-1]).context["cl"].result_count == 1


def test_it_says_that_all_is_well(operator, all_is_well):
    assert "All is well" in words_of(page_of(operator), "verdict")


def test_a_worker_that_is_gone_is_the_first_thing_it_says(operator):
    make_sender()

    assert "No worker shows itself" in words_of(page_of(operator), "verdict")


def test_it_says_when_nothing_is_scheduled(operator, all_is_well):
    page = operator.get(INDEX).content.decode()

    assert "Nothing has been scheduled lately" in words_of(page, "verdict")


def test_what_is_due_for_too_long_is_a_danger_that_leads_to_its_queue(operator, now, all_is_well):
    accepted(now - timedelta(hours=1), lane="high")

    page = page_of(operator)

    verdict = re.search(r'dash-danger" href="([^"]*)"', page)[1]
    assert parse_qs(urlsplit(unescape(verdict)).query) == {
        "status": ["pending"],
        "channel": ["email"],
        "lane": ["high"],
    }
    assert tiles(page)["waiting"][0] == "1"
    assert "1 h 0 min" in tiles(page)["oldest"][0]


def test_a_channel_without_a_sender_that_can_send_is_a_danger(operator, now, all_is_well):
    make_sender(
        name="robot",
        channel="chat",
        benched_until=now + timedelta(hours=1),
        last_failure_kind="credentials",
        last_failure_at=now,
    )

    verdict = words_of(page_of(operator), "verdict")

    assert "chat: no sender can send now" in verdict


def test_many_failures_of_late_are_told(operator, now, all_is_well):
    for _ in range(20):
        accepted(now, status="failed", reason="blocked")

    assert "100 % of the messages since" in words_of(page_of(operator), "verdict")


def test_a_queue_says_how_fast_it_moves(operator, now, all_is_well):
    sender = make_sender()
    now = timezone.now()
    for _ in range(3):
        message = accepted(now, status="success", sender=sender)
        Attempt.objects.create(
            message=message,
            sender=sender,
            lease_token=1,
            started_at=now,
            finished_at=now,
            outcome=Attempt.Outcome.ACCEPTED,
        )
    accepted(now - timedelta(seconds=20))

    lanes = words_of(page_of(operator), "lanes")

    # One waits, since twenty seconds or more; three were taken in the last minute.
    assert re.search(r"e-mail · normal 1 (\d\d\.\d s|\d+ min \d+ s) 3 20\.0 s", lanes)


def test_tables_have_what_most_messages_went_by(operator, now, all_is_well):
    version = make_version(template=make_template(code="welcome"), status="published")
    accepted(now, template_version=version, status="failed", reason="blocked")
    accepted(now, template_version=version, status="success", sender=make_sender())

    page = page_of(operator)

    assert "welcome 2 1 50.0 %" in words_of(page, "templates")
    assert "e-mail 2 1 50.0 %" in words_of(page, "channels")
    assert "blocked by the recipient's provider" in unescape(words_of(page, "reasons"))


def test_who_may_not_see_messages_gets_the_list_of_pages():
    page = browser_of(make_staff("view_template")).get(INDEX).content.decode()

    assert 'id="dashboard"' not in page
    assert reverse("admin:templates_app_template_changelist") in page


def test_what_it_asks_does_not_grow_with_what_there_is(operator, now, all_is_well):
    page_of(operator)
    with CaptureQueriesContext(
        connection,
    ) as few:
        operator.get(INDEX)
    for number in range(5):
        sender = make_sender(per_day=100)
        version = make_version(template=make_template(code=f"t-{number}"), status="published")
        accepted(
            now,
            application=make_application(),
            template_version=version,
            status=Status.SUCCESS,
            sender=sender,
        )
    page_of(operator)

    with CaptureQueriesContext(connection) as more:
        operator.get(INDEX)

    assert len(more) <= len(few) + 3

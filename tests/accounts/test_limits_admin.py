"""Where people see and set the limits of an application."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.models import Application
from tests.conftest import browser_of, client_for
from tests.factories import make_api_key, make_application, make_staff, reloaded

SEND = "/api/v1/messages/email/send"
LETTER = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hi</p>"}
ADD = reverse("admin:accounts_application_add")

pytestmark = pytest.mark.django_db


def page_of(application):
    return reverse("admin:accounts_application_change", args=[application.pk])


def form(**changes):
    empty = dict.fromkeys(
        [
            *("requests_per_second", "burst", "messages_per_day", "time_zone", "description"),
            *("recipient_per_hour", "recipient_per_day"),
        ],
        "",
    )
    return {"name": "billing", "is_active": "on"} | empty | changes


def test_an_application_is_made_without_limits_of_its_own(operator):
    response = operator.post(ADD, form())

    made = Application.objects.get(name="billing")
    assert response.status_code == 302
    assert made.requests_per_second is None
    assert made.messages_per_day is None
    assert made.time_zone == ""


def test_its_limits_are_set_on_its_page_and_hold_at_once(operator, settings):
    settings.DEDUPE_SECONDS = 0
    key = make_api_key()
    api = client_for(key)
    assert api.post(SEND, LETTER).status_code == 202

    saved = operator.post(
        page_of(key.application),
        form(messages_per_day="2", time_zone="Asia/Shanghai", requests_per_second="0"),
    )

    assert saved.status_code == 302
    assert reloaded(key.application).requests_per_second == 0
    assert [api.post(SEND, LETTER).status_code for _ in range(2)] == [202, 429]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"time_zone": "Middle/Earth"}, "is no time zone"),
        ({"requests_per_second": "-1"}, "greater than or equal to 0"),
        ({"recipient_per_hour": "1001"}, "less than or equal to 1000"),
        ({"messages_per_day": "many"}, "whole number"),
    ],
)
def test_what_makes_no_sense_is_said_at_the_field(operator, changes, words):
    response = operator.post(page_of(make_application()), form(**changes))

    assert response.status_code == 200
    assert words in response.content.decode()


def test_the_page_shows_what_was_used_today_and_what_holds_where_a_field_is_empty(
    operator, settings
):
    settings.DEFAULT_REQUESTS_PER_SECOND = 77
    key = make_api_key(application=make_application(messages_per_day=1500, time_zone="Asia/Tokyo"))

    with time_machine.travel(datetime(2026, 11, 25, 12, 0, tzinfo=UTC)):
        client_for(key).post(SEND, LETTER)
        page = browser_of(operator.user).get(page_of(key.application)).content.decode()

    assert "1 of 1500" in page
    assert "Begins anew at 2026-11-25 15:00." in page
    assert 'placeholder="77"' in page
    assert 'placeholder="no limit"' in page
    assert "quota_exceeded" in page


def test_who_may_only_look_sees_it_too():
    client = browser_of(make_staff("view_application"))

    page = client.get(page_of(make_application(requests_per_second=7))).content.decode()

    assert "0, without a limit" in page


def test_the_command_sets_and_shows_them(capsys):
    application = make_application(name="billing", messages_per_day=5)

    call_command(
        "set_limits",
        "billing",
        *("--requests-per-second", "20", "--burst", "50", "--messages-per-day", "default"),
        *("--time-zone", "Asia/Shanghai", "--recipient-per-hour", "5"),
        *("--recipient-cap-for", "high"),
    )

    shown = capsys.readouterr().out
    changed = reloaded(application)
    assert (changed.requests_per_second, changed.burst) == (20, 50)
    assert changed.messages_per_day is None
    assert changed.is_recipient_cap_for_high_only
    assert "messages-per-day: default" in shown
    assert "recipient-cap-for: high" in shown
    assert "used today: 0" in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nobody"], "There is no application 'nobody'"),
        (["billing", "--burst", "many"], "--burst is 'many'"),
        (["billing", "--recipient-per-day", "5000"], "recipient_per_day: Ensure this value is"),
        (["billing", "--time-zone", "Mars"], "time_zone: Mars is no time zone"),
    ],
)
def test_the_command_refuses_nonsense_in_a_sentence(options, words):
    make_application(name="billing")

    with pytest.raises(CommandError, match=words):
        call_command("set_limits", *options)

import csv
import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from messaging.models import Message
from messaging.simulation import simulator_id
from reporting import rollups, upkeep
from reporting.models import HourlyDetail
from tests.conftest import client_for
from tests.factories import make_api_key, make_sender, make_template, make_version
from tests.reporting.messages import accepted, by_sql, by_statistics

SUMMARY, SERIES = "/api/v1/statistics/summary", "/api/v1/statistics/timeseries"


@pytest.fixture
def mine(api):
    """Two messages of the caller, one of another application; counted."""
    now, mine = timezone.now(), api.key.application
    sender = make_sender(name="mailbox")
    welcome = make_version(template=make_template(code="-welcome"), status="published")
    took = {"status": "success", "finished_at": now, "sender": sender}
    accepted(now, application=mine, template_version=welcome, **took)
    accepted(now, application=mine, status="failed", reason="hard_bounce")
    accepted(now, status="failed", reason="expired", sender=make_sender(name="theirs"))
    upkeep.bring_up_to_date(clock=timezone.now)
    return now


def table(response):
    text = b"".join(response.streaming_content).decode()
    return list(csv.reader(io.StringIO(text)))


def test_the_summary_is_of_the_callers_own_messages_of_a_day(api, mine):
    answer = api.get(SUMMARY).json()

    assert (answer["accepted"], answer["statuses"]["success"]) == (2, 1)
    assert answer["reasons"] == [{"reason": "hard_bounce", "count": 1}]
    assert answer["latency"]["within_10s"] == 1.0
    assert answer["hours_to_count"] == 0
    assert answer["updated_at"] >= mine.isoformat()[:19]


@pytest.mark.parametrize("by", ["status", "feedback", "channel", "template", "sender", "reason"])
def test_nothing_of_others_is_in_any_series(api, mine, by):
    answer = api.get(SERIES, {"group_by": by}).json()

    expected = {"feedback": 0, "reason": 1}.get(by, 2)
    assert sum(one["total"] for one in answer["series"]) == expected
    assert "theirs" not in str(answer)
    assert "expired" not in str(answer)


def test_a_series_has_all_its_hours_in_the_callers_time_zone(api, mine):
    asked = {"time_zone": "Asia/Shanghai", "interval": "hour", "since": mine.isoformat()}
    asked["since"] = (mine - timedelta(hours=5)).isoformat()

    answer = api.get(SERIES, asked).json()

    assert len(answer["buckets"]) == 6
    assert all(bucket.endswith("+08:00") for bucket in answer["buckets"])
    assert answer["series"] == [{"key": "", "name": "", "total": 2, "counts": [0, 0, 0, 0, 0, 2]}]


def test_messages_of_test_mode_are_counted_apart(api, mine):
    simulator = simulator_id("email")
    row = accepted(mine, application=api.key.application, only_sender_id=simulator)
    rollups.recount(rollups.floor_hour(row.created_at), now=mine)

    assert api.get(SUMMARY).json()["accepted"] == 2
    assert api.get(SUMMARY, {"test": "true"}).json()["accepted"] == 1


@pytest.mark.parametrize(
    ("asked", "accepted_"),
    [
        ({"channel": "email"}, 2),
        ({"channel": "sms"}, 0),
        ({"sender": "mailbox"}, 1),
        ({"sender": "theirs"}, 0),
        ({"sender": "nobody"}, 0),
        ({"template": "welcome"}, 0),
    ],
)
def test_filters(api, mine, asked, accepted_):
    assert api.get(SUMMARY, asked).json()["accepted"] == accepted_


@pytest.mark.parametrize("wants", ["format", "accept"])
def test_csv_is_to_be_had_by_parameter_and_by_header(api, mine, wants):
    asked = {"group_by": "template"} | ({"format": "csv"} if wants == "format" else {})
    headers = {"HTTP_ACCEPT": "text/csv"} if wants == "accept" else {}

    series = api.get(SERIES, asked, **headers)
    lines = table(series)
    summary = table(api.get(SUMMARY, {"format": "csv"}))

    assert series.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert lines[0] == ["begins_at", "key", "name", "count"]
    # What a spreadsheet would take for a formula.
    assert lines[-1][1:] == ["'-welcome", "'-welcome", "1"]
    assert ["accepted", "", "2"] in summary
    assert ["reason", "hard_bounce", "1"] in summary
    assert ["latency", "within_10s", "1.0"] in summary


@pytest.mark.parametrize(
    ("path", "asked", "name"),
    [
        (SUMMARY, {"since": "yesterday"}, "since"),
        (SUMMARY, {"since": "2026-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"}, "since"),
        (SUMMARY, {"since": "2020-01-01T00:00:00Z"}, "since"),
        (SUMMARY, {"until": "9999-12-31T23:59:59Z"}, "until"),
        (SUMMARY, {"since": "0001-01-01T00:00:00Z", "until": "0001-01-01T00:30:00Z"}, "since"),
        (SUMMARY, {"until": "0001-01-01T00:30:00Z"}, "until"),
        (SUMMARY, {"application": "1"}, "application"),
        (SUMMARY, {"page": "2"}, "page"),
        (SUMMARY, {"format": "xml"}, "format"),
        (SERIES, {"time_zone": "Mars/Olympus"}, "time_zone"),
        (SERIES, {"group_by": "application"}, "group_by"),
        (SERIES, {"interval": "month"}, "interval"),
    ],
)
def test_a_wrong_parameter_is_named(api, path, asked, name):
    answer = api.get(path, asked)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"?{name}"]


def test_by_hour_a_month_is_the_most_and_by_day_400(api, mine):
    since = (mine - timedelta(days=32)).isoformat()

    by_hour = api.get(SERIES, {"since": since})
    by_day = api.get(SERIES, {"since": since, "interval": "day"})

    assert by_hour.json()["errors"][0]["detail"] == "At most 31 days by hour at once."
    assert by_day.status_code == 200


def test_a_key_without_the_scope_is_told(db):
    api = client_for(make_api_key(scopes=["messages:read"]))

    answer = api.get(SUMMARY)

    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


@pytest.mark.django_db
def test_the_command_counts_again_what_was_brought_in(capsys):
    now = timezone.now()
    accepted(now)
    upkeep.bring_up_to_date(clock=timezone.now)
    accepted(now - timedelta(days=2))

    call_command("rebuild_statistics", "--since", "3d")

    assert by_statistics() == by_sql()
    assert "73 of 73 hours" in capsys.readouterr().out


@pytest.mark.django_db
def test_the_command_leaves_alone_what_it_was_not_asked_for():
    now = timezone.now()
    accepted(now)
    accepted(now - timedelta(hours=3))
    until = (now - timedelta(hours=2)).isoformat()

    call_command("rebuild_statistics", "--since", "5h", "--until", until)

    (row,) = HourlyDetail.objects.all()
    assert row.hour == rollups.floor_hour(now - timedelta(hours=3))


@pytest.mark.django_db
@pytest.mark.parametrize("since", ["soon", "2026-13-01", "2100-01-01"])
def test_the_command_says_what_it_does_not_understand(since):
    with pytest.raises(CommandError, match=r"does not do|must be before"):
        call_command("rebuild_statistics", "--since", since)


def test_a_message_remembers_when_its_caller_wants_it(api):
    letter = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hello</p>"}
    send = "/api/v1/messages/email/send"
    at_once = api.post(send, letter).json()["id"]
    later = api.post(send, letter | {"delay_seconds": 3600, "subject": "Later"}).json()["id"]
    first = Message.objects.get(pk=later)

    new = timezone.now() + timedelta(hours=5)
    api.post(f"/api/v1/messages/{later}/reschedule", {"send_at": new.isoformat()})

    assert Message.objects.get(pk=at_once).send_at is None
    assert first.send_at == first.due_at
    assert Message.objects.get(pk=later).send_at == new

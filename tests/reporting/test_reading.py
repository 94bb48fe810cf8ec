from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from reporting import reading, rollups
from reporting.latency import percentile, read_histogram
from reporting.models import LATENCY_COLUMNS, Dimension
from reporting.reading import Filters, GroupBy
from reporting.steps import Interval, Period
from tests.factories import (
    NOON,
    make_application,
    make_sender,
    make_template,
    make_version,
)
from tests.reporting.messages import accepted

HOUR = timedelta(hours=1)
EVERYTHING = Filters(is_test=None)


@pytest.fixture
def db_rows(db):
    """Four messages of two applications; counted."""
    shop, bank = make_application(name="shop"), make_application(name="bank")
    mailbox = make_sender(name="mailbox")
    welcome = make_version(template=make_template(code="welcome"), status="published")
    german = make_version(template=make_template(code="welcome", locale="de"), status="published")
    took = {"status": "success", "sender": mailbox}
    accepted(application=shop, template_version=welcome, **took)
    accepted(application=shop, template_version=german, feedback="opened", **took)
    accepted(application=bank, channel="sms", status="failed", reason="blocked")
    accepted(NOON + HOUR, application=bank, status="pending", reason="temporary_failure")
    for hour in (NOON, NOON + HOUR):
        rollups.recount(hour, now=NOON + HOUR)
    return {"shop": shop, "bank": bank, "mailbox": mailbox}


def series(filters=EVERYTHING, *, by=None, since=NOON, until=NOON + 2 * HOUR, **options):
    options = {"interval": Interval.HOUR, "time_zone": UTC} | options
    found = reading.timeseries(filters, since, until, group_by=by, **options)
    return {one.named.key: one.counts for one in found.series}


def test_a_summary_says_what_became_of_the_messages(db_rows):
    found = reading.summary(EVERYTHING, NOON, NOON + 2 * HOUR)

    assert found.accepted == 4
    assert {key: n for key, n in found.statuses.items() if n} == {
        "success": 2,
        "failed": 1,
        "pending": 1,
    }
    assert found.reasons == {"blocked": 1}
    assert {key: n for key, n in found.feedback.items() if n} == {"opened": 1}
    assert found.latency.count == 2


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (None, {"": [3, 1]}),
        (GroupBy.CHANNEL, {"email": [2, 1], "sms": [1, 0]}),
        (GroupBy.TEMPLATE, {"welcome": [2, 0], "": [1, 1]}),
        (GroupBy.SENDER, {"mailbox": [2, 0], "": [1, 1]}),
        (GroupBy.REASON, {"blocked": [1, 0]}),
    ],
)
def test_hours_without_messages_and_several_languages_of_a_template(db_rows, by, expected):
    assert series(by=by) == expected
    assert series(by=by, until=NOON + 4 * HOUR) == {
        key: [*counts, 0, 0] for key, counts in expected.items()
    }


def test_every_status_has_its_series(db_rows):
    found = series(by=GroupBy.STATUS)

    assert found["success"] == [2, 0]
    assert found["pending"] == [0, 1]
    assert found["unknown"] == [0, 0]


@pytest.mark.parametrize("by", [None, *GroupBy])
def test_filters_narrow_whatever_is_asked_for(db_rows, by):
    shop, mailbox = db_rows["shop"], db_rows["mailbox"]
    narrow = [
        Filters(application_id=shop.pk),
        Filters(application_id=shop.pk, channel="email"),
        Filters(template="welcome"),
        Filters(template="welcome", sender_id=mailbox.pk),
        Filters(sender_id=mailbox.pk, channel="email", application_id=shop.pk),
    ]

    found = [series(filters, by=by) for filters in narrow]

    assert all(one == found[0] for one in found)
    if by not in {GroupBy.REASON, GroupBy.FEEDBACK}:
        assert sum(sum(counts) for counts in found[0].values()) == 2


def test_a_template_or_a_sender_that_nobody_has_sent_nothing(db_rows):
    assert series(Filters(template="nothing")) == {"": [0, 0]}
    assert series(Filters(sender_id=0, channel="email"), by=GroupBy.CHANNEL) == {}


def test_the_most_frequent_come_first(db_rows):
    templates = reading.top(Dimension.TEMPLATE, EVERYTHING, NOON, NOON + 2 * HOUR)
    reasons = reading.top(Dimension.REASON, EVERYTHING, NOON, NOON + 2 * HOUR)
    first = reading.top(Dimension.APPLICATION, EVERYTHING, NOON, NOON + 2 * HOUR, limit=1)

    assert [(t.named.key, t.accepted, t.success, t.failed) for t in templates] == [
        ("", 2, 0, 1),
        ("welcome", 2, 2, 0),
    ]
    assert [(r.named.key, r.named.name, r.failed) for r in reasons] == [
        ("blocked", "blocked by the recipient's provider", 1)
    ]
    assert len(first) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", datetime(2026, 3, 29, tzinfo=UTC), 23),
        ("Europe/Berlin", datetime(2026, 10, 25, tzinfo=UTC), 25),
        ("Asia/Shanghai", datetime(2026, 10, 25, tzinfo=UTC), 24),
        # Put forward at midnight: the day begins at one.
        ("America/Santiago", datetime(2026, 9, 6, tzinfo=UTC), 23),
    ],
)
def test_days_are_those_of_the_time_zone_when_the_clocks_change(zone, day, hours):
    zone = ZoneInfo(zone)
    begin = day.replace(tzinfo=zone).astimezone(UTC)
    for number in range(-1, hours + 1):
        accepted(begin + number * HOUR)
        rollups.recount(begin + number * HOUR, now=NOON)

    found = reading.timeseries(
        EVERYTHING,
        begin - HOUR,
        begin + (hours + 1) * HOUR,
        interval=Interval.DAY,
        time_zone=zone,
    )

    assert found.series[0].counts == [1, hours, 1]
    assert found.buckets[1].astimezone(UTC) == begin
    assert [bucket.date().day for bucket in found.buckets] == [
        (day + timedelta(days=n)).day for n in (-1, 0, 1)
    ]


@pytest.mark.django_db
def test_what_is_sent_at_a_time_of_its_own_is_not_late():
    asked_for = NOON + 10 * HOUR
    accepted(status="success", send_at=asked_for, finished_at=asked_for + timedelta(seconds=2))
    accepted(status="success", finished_at=NOON + timedelta(seconds=10))
    accepted(status="success", finished_at=NOON - timedelta(seconds=1))
    accepted(status="failed", finished_at=NOON + timedelta(days=2))
    rollups.recount(NOON, now=NOON)

    found = reading.summary(EVERYTHING, NOON, NOON + HOUR).latency

    assert (found.count, found.average, found.prompt_share) == (3, 4.0, 1.0)


def test_percentiles_are_spread_over_their_bucket():
    counts = [0] * len(LATENCY_COLUMNS)
    counts[3], counts[5], counts[-1] = 50, 49, 1

    assert percentile(counts, 0.25) == pytest.approx(0.75)
    assert percentile(counts, 0.50) == 1.0
    assert percentile(counts, 0.99) == 5.0
    assert percentile(counts, 1.0) == 86_400
    assert read_histogram(counts, total_ms=100_000).average == 1.0
    assert read_histogram([0] * len(counts), total_ms=0).p50 is None


def test_a_period_is_the_hours_that_have_something_of_it():
    minute = timedelta(minutes=1)

    assert Period.around(NOON + minute, NOON + 2 * minute) == Period(NOON, NOON + HOUR)
    assert Period.around(NOON, NOON + HOUR) == Period(NOON, NOON + HOUR)
    assert Period.around(NOON, NOON + HOUR + minute) == Period(NOON, NOON + 2 * HOUR)

from datetime import timedelta

import pytest
from django.utils import timezone

from messaging import sender_health, senders
from messaging.channels.base import SenderFailure
from messaging.models import Sender
from messaging.pool_report import pool_report
from messaging.recent_attempts import look_at
from messaging.sender_health import Health
from messaging.sender_quotas import reserve
from tests.factories import NOON, make_attempts, make_group, make_sender, reloaded

pytestmark = pytest.mark.django_db


def line_of(sender, *, now=NOON):
    report = pool_report(now)
    return next(line for line in report.lines if line.sender == sender)


def test_the_last_hour_is_counted_by_sender_and_outcome():
    sender, other = make_sender(), make_sender()
    make_attempts(sender, 3)
    make_attempts(sender, outcome="sender")
    make_attempts(sender, outcome="permanent")
    make_attempts(sender, outcome="not_sent")
    make_attempts(sender, outcome="")
    make_attempts(sender, 5, ago=timedelta(minutes=61))
    make_attempts(other, 2)

    hour = line_of(sender).hour

    assert (hour.attempts, hour.accepted, hour.failures) == (6, 3, 2)
    assert hour.success_percent == 60
    assert line_of(other).hour.attempts == 2


def test_where_there_are_too_many_it_says_since_when_it_counts(monkeypatch):
    monkeypatch.setattr("messaging.recent_attempts.NEWEST", 4)
    sender = make_sender()
    make_attempts(sender, 2, ago=timedelta(minutes=50))
    make_attempts(sender, 4, ago=timedelta(minutes=5))

    report = pool_report(NOON)

    assert report.lines[0].hour.attempts == 4
    assert report.since == NOON - timedelta(minutes=5)


def test_the_forecast_says_when_the_quota_is_used_up_at_this_rate():
    sender = make_sender(per_hour=10_000, per_day=130)
    reserve(sender, 100, now=NOON)
    make_attempts(sender, 3600)

    forecast = line_of(sender).forecast

    # One a second, and 30 are left.
    assert forecast.use.window == "day"
    assert forecast.at == NOON + timedelta(seconds=30)


def test_the_forecast_of_a_group_counts_all_its_senders():
    group = make_group(per_day=100)
    sender, other = make_sender(group=group), make_sender(group=group)
    reserve(other, 98, now=NOON)
    make_attempts(other, 3600)

    line = line_of(sender)

    assert line.hour.attempts == 0
    assert line.forecast.use.is_shared
    assert line.forecast.at == NOON + timedelta(seconds=2)


def test_a_quota_that_lasts_has_no_forecast():
    sender = make_sender(per_day=1_000_000)
    make_attempts(sender, 3)

    assert line_of(sender).forecast is None


def test_a_benched_sender_says_since_when_and_what_its_provider_said():
    sender = make_sender()
    error = SenderFailure("credentials", code="535", words="go away, ann@example.com")

    Health().failed(reloaded(sender), error, now=NOON)

    line = line_of(sender, now=NOON)
    assert (line.kind, line.since) == ("benched", NOON)
    assert (line.last_error.kind, line.last_error.at) == ("credentials", NOON)
    assert "535 go away" in line.last_error.words
    assert "ann@" not in line.last_error.words


def test_a_sender_that_was_switched_off_says_since_when():
    sender, before = make_sender(), timezone.now()

    senders.switch_sender(sender, is_active=False)

    line = line_of(sender)
    assert line.kind == "switched_off"
    assert line.since >= before


def test_one_that_was_mended_works_since_then():
    sender = make_sender()
    Health().failed(reloaded(sender), SenderFailure("blocked"), now=NOON - timedelta(minutes=9))

    sender_health.mend(reloaded(sender), now=NOON)

    assert (line_of(sender).kind, line_of(sender).since) == ("active", NOON)


def test_the_pool_is_read_in_few_queries(django_assert_max_num_queries):
    group = make_group(per_day=10)
    for _ in range(5):
        make_attempts(make_sender(per_hour=5, group=group), 2)

    with django_assert_max_num_queries(5):
        report = pool_report(NOON)

    assert len(report.lines) == Sender.objects.count()
    assert all(line.channel == "email" and line.words == "active" for line in report.lines)


# --- one sender in detail ------------------------------------------------------------------------


def hour_of(sender):
    return look_at(sender, since=NOON - timedelta(hours=1), now=NOON)


def test_attempts_stand_in_their_five_minutes():
    sender = make_sender()
    make_attempts(sender, 2, ago=timedelta(minutes=59))
    make_attempts(sender, 1, outcome="temporary", ago=timedelta(minutes=7))
    make_attempts(sender, 4, ago=timedelta(minutes=1))
    make_attempts(make_sender(), 9)

    slots = hour_of(sender).slots

    assert [slot.tally.attempts for slot in slots] == [2, *[0] * 9, 1, 4]
    assert slots[10].tally.counts == {"temporary": 1}
    assert slots[10].starts_at == NOON - timedelta(minutes=10)


def test_errors_are_told_by_class_with_the_last_words():
    sender = make_sender()
    said = {"kind": "greylisted", "phase": "rcpt_to", "provider_code": "451"}
    make_attempts(
        sender,
        3,
        outcome="temporary",
        ago=timedelta(minutes=40),
        **said,
        provider_words="Later",
    )
    at = timedelta(minutes=2)
    make_attempts(sender, outcome="temporary", ago=at, **said, provider_words="Much later")
    make_attempts(sender, outcome="sender", kind="throttled", provider_words="Slow down")
    make_attempts(sender, 5, provider_code="250", provider_words="OK")

    first, second = hour_of(sender).errors

    assert first.which == ("temporary", *said.values())
    assert first.count == 4
    assert (first.words, first.last_at) == ("Much later", NOON - at)
    assert (second.which.outcome, second.which.kind, second.count) == ("sender", "throttled", 1)


def test_latency_is_that_of_the_calls_that_were_answered():
    sender = make_sender()
    for seconds in (0.1, 0.2, 0.3, 4):
        begun = NOON - timedelta(minutes=1)
        make_attempts(sender, finished_at=begun + timedelta(seconds=seconds))
    begun = NOON - timedelta(minutes=1)
    make_attempts(sender, outcome="unknown", finished_at=begun + timedelta(seconds=50))
    make_attempts(sender, outcome="")

    latency = hour_of(sender).latency

    assert (latency.calls, latency.p50, latency.p95) == (4, 200, 4000)


def test_of_a_sender_that_did_nothing_there_is_nothing_to_tell():
    hour = hour_of(make_sender())

    assert (hour.errors, hour.latency) == ([], None)
    assert sum(slot.tally.attempts for slot in hour.slots) == 0

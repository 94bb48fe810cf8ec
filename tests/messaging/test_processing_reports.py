"""Stored reports on their way: kept until they fit, shared by workers, deleted when old."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections

from messaging import housekeeping, receipts
from messaging.models import (
    Attempt,
    Event,
    FeedbackEvent,
    Message,
    ProviderReport,
    Status,
    Suppression,
)
from tests.factories import NOON, drain, make_message, make_sender, make_suppression, reloaded
from tests.imitations.webhooks import post_of
from tests.messaging.reporting import (
    ANN,
    SOON,
    in_state,
    process,
    provider_sender,
    sent_by,
    store,
)

pytestmark = pytest.mark.django_db


def test_a_report_that_overtakes_the_outcome_is_kept_and_matched_later():
    sender = provider_sender("postmark")
    message, _attempt = in_state(sender, "", status="sending")
    report = store(sender, "delivered", provider_id="early-1")

    receipts.process_due(clock=lambda: NOON)
    report = reloaded(report)
    assert report.processed_at is None
    assert report.due_at == NOON + receipts.LOOK_AGAIN[0]
    assert reloaded(message).feedback == ""

    Attempt.objects.update(provider_message_id="early-1", outcome="accepted", finished_at=NOON)
    receipts.process_due(clock=lambda: report.due_at)
    assert reloaded(message).feedback == "delivered"
    assert (reloaded(report).due_at, reloaded(report).error) == (None, "")


def test_a_report_that_nothing_ever_fits_is_put_away_after_a_day():
    report = store(provider_sender("postmark"), "delivered", provider_id="nobody's")

    looks, now = 0, NOON
    while reloaded(report).processed_at is None:
        now = reloaded(report).due_at
        assert receipts.process_due(clock=lambda at=now: at) == 1
        looks += 1

    assert now - NOON >= receipts.GIVE_UP_AFTER
    assert looks < 10
    assert "unknown here" in reloaded(report).error


def test_a_report_of_which_a_part_is_early_applies_the_rest_at_once():
    sender = provider_sender("sparkpost")
    message, _ = sent_by(sender)
    known = post_of("sparkpost", "delivered", recipient=ANN).body
    early = post_of("sparkpost", "delivered", recipient=ANN, provider_id="early-1").body
    body = known[:-1] + b"," + early[1:]
    report = ProviderReport.objects.create(
        sender=sender, body=body, headers={"Content-Type": "application/json"}, due_at=NOON
    )

    receipts.process_due(clock=lambda: NOON)

    assert reloaded(message).feedback == "delivered"
    assert reloaded(report).error == "1 of 2 speak of messages that are unknown here."


def test_a_report_that_breaks_the_platform_stays_and_holds_up_no_other(monkeypatch):
    sender = provider_sender("postmark")
    message, _ = sent_by(sender)
    broken = store(sender, "complained", provider_id="breaks")
    store(sender, "delivered")
    apply_ = receipts.apply

    def breaking(one, **known):
        if one.kind == "complained":
            raise RuntimeError("a bug")
        return apply_(one, **known)

    monkeypatch.setattr(receipts, "apply", breaking)

    receipts.process_due(clock=lambda: NOON)

    assert reloaded(message).feedback == "delivered"
    assert reloaded(broken).processed_at is None
    assert reloaded(broken).error == "A fault of the platform: RuntimeError"


# --- two at once ---------------------------------------------------------------------------------


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_the_same_report_processed_by_many_at_once_has_one_effect():
    sender = provider_sender("postmark")
    message, attempt = in_state(sender, "unknown", status="unknown")
    report = store(sender, "hard", attempt_id=str(attempt.pk))
    barrier = threading.Barrier(8)
    failures = []

    def work():
        try:
            mine = ProviderReport.objects.select_related("sender").get(pk=report.pk)
            barrier.wait()
            receipts.process(mine, now=SOON)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert FeedbackEvent.objects.count() == 1
    assert Event.objects.filter(kind=Event.Kind.LATE_SUCCESS).count() == 1
    assert Suppression.objects.count() == 1
    assert (reloaded(message).status, reloaded(message).feedback) == (Status.SUCCESS, "bounced")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_workers_share_the_reports_and_none_is_processed_twice(monkeypatch):
    sender = provider_sender("postmark")
    for number in range(60):
        _, attempt = sent_by(sender)
        store(sender, "delivered", attempt_id=str(attempt.pk), provider_id=f"p-{number}")
    processed = []
    process_ = receipts.process

    def counting(report, **known):
        processed.append(report.pk)
        process_(report, **known)

    monkeypatch.setattr(receipts, "process", counting)

    def work():
        try:
            while receipts.process_due(clock=lambda: NOON, limit=7):
                pass
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(processed) == len(set(processed)) == 60
    assert Message.objects.filter(feedback="delivered").count() == 60


# --- housekeeping --------------------------------------------------------------------------------


def test_old_reports_and_long_expired_suppressions_are_deleted():
    sender = provider_sender("postmark")
    kept = store(sender, "delivered", at=NOON - timedelta(days=29))
    store(sender, "delivered", at=NOON - timedelta(days=31))
    make_suppression(address="kept@example.com", expires_at=NOON - timedelta(days=29))
    make_suppression(address="gone@example.com", expires_at=NOON - timedelta(days=31))
    make_suppression(address="ever@example.com")

    assert housekeeping.forget_reports(now=NOON) == 1
    assert housekeeping.forget_suppressions(now=NOON) == 1

    assert ProviderReport.objects.get() == kept
    left = set(Suppression.objects.values_list("address", flat=True))
    assert left == {"kept@example.com", "ever@example.com"}


def test_a_hard_bounce_keeps_what_waits_from_being_sent(adapter):
    sender = provider_sender("postmark")
    message, attempt = sent_by(sender)
    make_sender()
    waiting = make_message()
    store(sender, "hard", attempt_id=str(attempt.pk))

    process()
    drain()

    assert reloaded(message).feedback == "bounced"
    assert (reloaded(waiting).status, reloaded(waiting).reason) == ("failed", "suppressed")
    assert adapter.sent == []

"""What becomes of news: in any order, any number of times, before or after the outcome."""

from datetime import timedelta
from itertools import permutations

import pytest

from messaging import delivery, receipts, states, story
from messaging.channels.base import OutcomeUnknown
from messaging.models import (
    Attempt,
    Event,
    Feedback,
    FeedbackEvent,
    Status,
    Suppression,
)
from tests.factories import NOON, drain, make_message, make_sender, reloaded
from tests.messaging.reporting import (
    ANN,
    SOON,
    apply,
    in_state,
    news,
    sent_by,
)

pytestmark = pytest.mark.django_db

# --- order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order", list(permutations(["deferred", "delivered", "opened", "bounced"]))
)
def test_in_whatever_order_news_come_the_highest_stands(order):
    sender = make_sender()
    message, attempt = sent_by(sender)

    for kind in order:
        apply(news(kind, attempt), sender)

    assert reloaded(message).feedback == "bounced"
    assert FeedbackEvent.objects.count() == 4


def test_the_ranks_are_those_of_the_enum():
    assert tuple(Feedback.values) == states.RANKS
    assert states.RANKS[0] == "deferred"
    assert states.RANKS[-1] == "complained"


def test_a_repeat_changes_nothing():
    sender = make_sender()
    _message, attempt = sent_by(sender)
    one = news("bounced", attempt, suppress="hard_bounce")

    assert apply(one, sender) == receipts.Result.APPLIED
    Suppression.objects.all().delete()

    assert apply(one, sender) == receipts.Result.REPEATED
    assert not Suppression.objects.exists()
    assert FeedbackEvent.objects.count() == 1


def test_the_story_tells_it_with_masked_words_and_no_address():
    sender = make_sender(name="mail-1")
    message, attempt = sent_by(sender)

    apply(news("bounced", attempt, words="550 5.1.1 <ann@example.com> unknown"), sender)

    last = story.tell(reloaded(message))[-1]
    assert (last.status, last.sender) == ("bounced", "mail-1")
    assert "of to/0: 550 5.1.1 <a***@example.com> unknown" in last.detail


@pytest.mark.parametrize("minutes", [-60, 60, None])
def test_a_providers_wrong_clock_does_not_disorder_the_story(minutes):
    sender = make_sender()
    message, attempt = sent_by(sender)
    at = None if minutes is None else NOON + timedelta(minutes=minutes)

    apply(news("delivered", attempt, at=at), sender)

    assert NOON <= FeedbackEvent.objects.get().at <= SOON
    assert story.tell(reloaded(message))[-1].status == "delivered"


# --- whose it is ---------------------------------------------------------------------------------


def test_another_senders_message_is_not_touched():
    mine, other = make_sender(), make_sender()
    message, attempt = sent_by(mine)

    assert apply(news("complained", attempt, suppress="complaint"), other) == "foreign"
    assert apply(news("complained", provider_message_id="provider-1"), other) == "early"

    assert reloaded(message).feedback == ""
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("attempt_id", ["", "x", "01a20000-0000-7000-8000-000000000000", "\0"])
def test_unknown_ids_are_harmless(attempt_id):
    sender = make_sender()
    sent_by(sender)

    assert apply(news("bounced", attempt_id=attempt_id), sender) == "foreign"
    assert apply(news("bounced", provider_message_id="\0no\ud800"), sender) == "early"


def test_somebody_who_is_not_in_the_envelope_is_not_suppressed():
    sender = make_sender()
    message, attempt = sent_by(sender)

    apply(news("bounced", attempt, recipient="eve@example.com", suppress="hard_bounce"), sender)

    assert reloaded(message).feedback == "bounced"
    assert FeedbackEvent.objects.get().recipient == ""
    assert not Suppression.objects.exists()


def test_of_several_recipients_the_one_is_named():
    sender = make_sender()
    content = {
        "to": [["", ANN], ["Bob", "Bob@example.com"]],
        "cc": [["", "eve@example.com"]],
        "subject": "Hello",
        "text": "Hello",
    }
    _, attempt = sent_by(sender, content=content)

    apply(news("bounced", attempt, recipient="bob@example.com", suppress="hard_bounce"), sender)

    assert FeedbackEvent.objects.get().recipient == "to/1"
    assert Suppression.objects.get().address == "bob@example.com"


def test_who_unsubscribes_does_so_from_one_application():
    sender = make_sender()
    message, attempt = sent_by(sender)

    apply(news("unsubscribed", attempt, suppress="unsubscribed"), sender)

    assert Suppression.objects.get().application == message.application


# --- before the outcome --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        ("", {"status": "sending"}),
        ("", {"status": "unknown"}),
        ("unknown", {"status": "unknown"}),
        ("unknown", {"status": "pending", "reason": "temporary_failure"}),
        ("unknown", {"status": "failed", "reason": "unknown_outcome"}),
    ],
)
@pytest.mark.parametrize("kind", ["", "delivered", "bounced"])
def test_a_receipt_with_our_attempts_id_proves_that_it_was_taken(outcome, message, kind):
    sender = make_sender()
    message, attempt = in_state(sender, outcome, **message)

    assert apply(news(kind, attempt, provider_message_id="provider-9"), sender) == "applied"

    message, attempt = reloaded(message), reloaded(attempt)
    assert (message.status, message.feedback) == (Status.SUCCESS, kind)
    assert (message.leased_until, message.finished_at) == (None, SOON)
    assert attempt.outcome == (outcome or "accepted")
    assert attempt.provider_message_id == "provider-9"
    assert (attempt.unknown_at is not None) == (outcome == "unknown")


def test_it_is_told_once_that_the_proof_came_late():
    sender = make_sender()
    _message, attempt = in_state(sender, "unknown", status="unknown")

    apply(news("delivered", attempt), sender)
    apply(news("opened", attempt), sender)

    assert Event.objects.get().kind == Event.Kind.LATE_SUCCESS


@pytest.mark.parametrize("reason", ["rejected", "expired", "hard_bounce"])
def test_what_failed_for_good_stays_failed(reason):
    sender = make_sender()
    message, attempt = in_state(sender, "permanent", status="failed", reason=reason)

    apply(news("bounced", attempt, is_refusal=True), sender)

    assert (reloaded(message).status, Event.objects.count()) == (Status.FAILED, 0)


def test_news_of_a_refusal_do_not_end_what_is_sent_again():
    sender = make_sender()
    message, attempt = in_state(sender, "permanent", status="pending", reason="resent")

    apply(news("bounced", attempt), sender)
    assert reloaded(message).status == Status.PENDING

    apply(news("delivered", attempt), sender)
    assert reloaded(message).status == Status.SUCCESS


def test_a_provider_that_fell_silent_and_reports_later_has_sent_it_once(adapter):
    sender = make_sender()
    message = make_message()
    adapter.failure = OutcomeUnknown("no_answer", phase="response")
    drain()
    assert reloaded(message).status == Status.UNKNOWN

    apply(news("delivered", message.attempts.get()), sender)
    states.settle_unknown(now=NOON + timedelta(hours=1))
    adapter.failure = None
    drain(now=NOON + timedelta(hours=1))

    assert reloaded(message).status == Status.SUCCESS
    assert message.attempts.count() == 1
    assert adapter.sent == []


def test_a_drain_whose_answer_comes_after_the_receipt_changes_nothing(adapter, monkeypatch):
    """The provider's report is processed while the hand-over is still under way."""
    sender, message = make_sender(), make_message()
    commit = delivery.commit

    def report_first(outcomes, marks, **known):
        for outcome in outcomes:
            apply(news("delivered", Attempt.objects.get(pk=outcome.attempt.pk)), sender)
        return commit(outcomes, marks, **known)

    monkeypatch.setattr(delivery, "commit", report_first)
    drain()

    message = reloaded(message)
    assert (message.status, message.feedback) == (Status.SUCCESS, "delivered")
    assert message.attempts.get().outcome == "accepted"
    assert len(adapter.sent) == 1

"""`generate_demo_data` makes what the platform would have written; its stories are true."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
import time_machine
from django.core.management import call_command
from django.db import transaction
from django.db.models import Count, F

from accounts.models import Application
from core.ids import lowest_uuid7
from messaging.channels.content import content_from_json
from messaging.models import (
    Attempt,
    Event,
    FeedbackEvent,
    Message,
    OtherRecipient,
    Sender,
    SenderWindow,
    Suppression,
    WebhookDelivery,
    WebhookEndpoint,
)
from messaging.sender_health import State, state_of
from messaging.senders import SenderKind
from messaging.senders import state_of as shown_state_of
from messaging.states import FINAL, RANKS
from messaging.story import shown_status, tell
from messaging.timeline import timeline_of
from notification_platform.demo.cast import SENDERS
from templates_app.models import Template
from tests.factories import NOON

pytestmark = pytest.mark.django_db

MESSAGES = 1000
AFTERNOON = NOON + timedelta(hours=5)
# What each outcome of the last attempt leaves a message as.
UNDECIDED = {"", "unknown"}


@pytest.fixture(scope="module")
def demo(django_db_setup, django_db_blocker):
    """Made once for all tests that only look, and rolled back; when it was made. What few messages
    come to differs with the time of day, so that is always the same."""
    with django_db_blocker.unblock(), transaction.atomic():
        with time_machine.travel(AFTERNOON):
            arguments = {"messages": MESSAGES, "days": 10, "verbosity": 0, "stdout": _Mute()}
            call_command("generate_demo_data", **arguments)
        yield AFTERNOON
        transaction.set_rollback(True)


class _Mute:
    def write(self, text: str) -> None:
        pass


def attempts_of(messages):
    found = {message.pk: [] for message in messages}
    for attempt in Attempt.objects.filter(message__in=found).order_by("started_at"):
        found[attempt.message_id].append(attempt)
    return found


def test_it_makes_as_many_messages_as_asked_for_in_every_shape(demo):
    now = demo

    shown = Counter(shown_status(message, now=now) for message in Message.objects.all())
    reasons = set(Message.objects.filter(status="failed").values_list("reason", flat=True))

    assert Message.objects.count() == MESSAGES
    assert {"success", "failed", "unknown", "cancelled", "scheduled", "retrying"} <= shown.keys()
    assert {"hard_bounce", "blocked", "rejected", "suppressed", "unknown_outcome"} <= reasons
    assert Message.objects.filter(reason="no_sender", status="pending").exists()
    assert shown["success"] > 0.9 * MESSAGES
    assert set(Message.objects.values_list("channel", flat=True)) == {
        *("email", "sms", "wechat", "wechat_official", "chat")
    }
    assert {"delivered", "opened"} <= set(FeedbackEvent.objects.values_list("kind", flat=True))
    assert OtherRecipient.objects.exists()
    assert WebhookDelivery.objects.exists()
    assert Template.objects.filter(current_version__isnull=False).count() == len(
        {message.template_version_id for message in Message.objects.all()}
        & set(Template.objects.values_list("current_version", flat=True))
    )


def test_what_became_of_each_message_follows_from_its_attempts(demo):
    messages = list(Message.objects.all())
    attempts = attempts_of(messages)
    late = set(Event.objects.filter(kind="late_success").values_list("message", flat=True))

    for message in messages:
        mine = attempts[message.pk]
        outcomes = [attempt.outcome for attempt in mine]
        if message.status == "success":
            assert outcomes.count("accepted") == 1 or message.pk in late
            assert mine[-1].sender_id == message.sender_id
        else:
            assert "accepted" not in outcomes
        if message.status == "unknown" or message.reason == "unknown_outcome":
            assert outcomes[-1] in UNDECIDED
        if message.reason in {"hard_bounce", "blocked", "rejected"}:
            assert (outcomes[-1], mine[-1].kind) == ("permanent", message.reason)
        if message.status == "cancelled" or message.reason == "suppressed":
            assert not mine
        # Each attempt has a claim of its own, but for those that followed a sender's failure.
        tokens = [attempt.lease_token for attempt in mine]
        assert tokens == sorted(tokens)
        assert not tokens or tokens[-1] <= message.lease_token
        for one, other in pairwise(mine):
            assert one.lease_token < other.lease_token or one.outcome == "sender"
            assert one.finished_at is None or one.finished_at <= other.started_at
        charged = sum(outcome in {"temporary", "permanent", "unknown"} for outcome in outcomes)
        assert message.tries <= charged
        in_doubt = sum(attempt.unknown_at is not None for attempt in mine)
        assert outcomes.count("accepted") + in_doubt <= 2
        assert message.finished_at is None or message.finished_at >= message.created_at


def test_every_message_tells_a_story_that_ends_with_what_it_is(demo):
    now = demo
    # Of every shape some.
    shapes = {}
    for message in Message.objects.order_by("-pk").select_related("application"):
        shape = (message.channel, message.status, message.reason, message.feedback)
        shapes.setdefault(shape, []).append(message)
    sample = [message for found in shapes.values() for message in found[:4]]

    for message in sample:
        steps, entries = tell(message), timeline_of(message).entries
        states = [step.status for step in steps if step.status not in RANKS]
        assert steps[0].status == "pending"
        assert steps[0].at == message.created_at
        assert states[-1] == message.status
        assert entries[0].kind == "accepted"
        assert all(step.at <= now for step in steps)
        news = [step.status for step in steps if step.status in RANKS]
        assert message.feedback == (max(news, key=RANKS.index) if news else "")
        if message.status in FINAL:
            moves = [step.at for step in steps if step.status not in RANKS]
            assert abs(max(moves) - message.finished_at) < timedelta(seconds=0.1)


def test_ids_contents_and_recipients_are_those_of_real_messages(demo):
    for message in Message.objects.select_related("template_version__template"):
        assert message.pk.version == 7
        assert lowest_uuid7(message.created_at - timedelta(milliseconds=2)) < message.pk
        assert message.pk < lowest_uuid7(message.created_at + timedelta(milliseconds=2))
        content = content_from_json(message.channel, message.content)
        (_, first), *others = content.recipients()
        assert first == message.recipient
        assert others == [
            (f"{other.role}/0", other.address) for other in message.other_recipients.all()
        ]
        assert "%" not in getattr(content, "subject", "")
        assert message.template_version.template.channel == message.channel
        assert message.template_version.published_at <= message.created_at
        if message.channel == "email":
            assert message.recipient.partition("@")[2] in {
                "example.com",
                "example.org",
                "example.net",
            }
        if message.channel == "sms":
            assert message.recipient[-7:-2] == "55501"


def test_senders_are_in_every_state_and_their_counters_agree_with_what_was_handed_over(demo):
    now = demo
    senders = {sender.name: sender for sender in Sender.objects.prefetch_related("windows")}

    kinds = {name: shown_state_of(sender, now=now).kind for name, sender in senders.items()}

    assert kinds["demo-esp-2"] == kinds["demo-on-call"] == SenderKind.BENCHED
    assert kinds["demo-mail-3"] == SenderKind.RECOVERING
    assert kinds["demo-mail-old"] == SenderKind.SWITCHED_OFF
    assert {each["name"] for each in SENDERS} <= senders.keys()
    for window in SenderWindow.objects.filter(sender__isnull=False).select_related("sender"):
        charged = Attempt.objects.filter(
            sender=window.sender, started_at__gte=window.started_at
        ).exclude(outcome="sender")
        assert window.used == charged.count(), window
        limit = window.sender.limits().get(window.window)
        assert limit is None or window.used <= limit
        assert window.started_at == window.sender.window_start(window.window, window.started_at)
    for window in SenderWindow.objects.filter(group__isnull=False).select_related("group"):
        charged = Attempt.objects.filter(
            sender__group=window.group, started_at__gte=window.started_at
        ).exclude(outcome="sender")
        assert window.used == charged.count()
    benched = senders["demo-esp-2"]
    last = Attempt.objects.filter(sender=benched).order_by("started_at").last()
    assert (last.outcome, last.finished_at) == ("sender", benched.last_failure_at)
    assert state_of(senders["demo-mail-1"], now=now) is State.WORKING


def test_decisions_and_feedback_agree_with_what_happened(demo):
    for attempt in Attempt.objects.select_related("sender"):
        assert attempt.decision["chosen"] == attempt.sender.name
        names = [one["sender"] for one in attempt.decision["candidates"]]
        assert attempt.sender.name in names
        assert not set(names) & set(attempt.decision["excluded"])
    for news in FeedbackEvent.objects.select_related("message").order_by("?")[:100]:
        taken = Attempt.objects.filter(message=news.message, sender=news.sender)
        assert taken.filter(finished_at__lte=news.at).exists()
        assert news.created_at >= news.at
    after = Attempt.objects.filter(message__channel="email").values_list(
        "message__recipient", "started_at"
    )
    gone = dict(Suppression.objects.values_list("address", "created_at"))
    assert all(at <= gone[address] for address, at in after if address in gone)
    twice = Suppression.objects.values("address").annotate(n=Count("pk")).filter(n__gt=1)
    assert not twice


def test_nothing_is_due_and_nothing_is_called(demo):
    now = demo
    # It is switched off at the moment at which all of it ends.
    ended_at = WebhookEndpoint.objects.get(is_active=False).disabled_at

    # What waits looks again by itself later, or is decided without being sent.
    assert not Message.objects.filter(status="sending").exists()
    assert not Message.objects.filter(status="pending", due_at__lte=ended_at).exists()
    assert not Message.objects.filter(status="unknown", policy="at_least_once").exists()
    assert not WebhookDelivery.objects.filter(state__in=["pending", "delivering"]).exists()
    assert not Message.objects.filter(created_at__gt=now).exists()
    assert not Message.objects.filter(finished_at__lt=F("created_at")).exists()
    addresses = {
        str(sender.options | sender.open_credentials())
        for sender in Sender.objects.exclude(adapter__startswith="simulator")
    }
    assert all("127.0.0.1" in address for address in addresses)


def test_no_placeholder_is_left_in_what_is_sent(demo):
    stored = [str(message.content) for message in Message.objects.all()]

    assert Application.objects.filter(name="Web shop").exists()
    assert not any("%NAME%" in content or "%ADDRESS%" in content for content in stored)

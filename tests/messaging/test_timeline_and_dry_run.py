"""Explaining what happened, and what would."""

from datetime import datetime, timedelta

from django.utils import timezone

from messaging import states, story
from messaging.channels.base import OutcomeUnknown, SenderFailure, TemporaryFailure
from messaging.models import Attempt, Event, Fingerprint, IdempotencyKey, Message, Status
from messaging.serializers.messages import EntrySerializer
from tests.factories import NOON, drain, make_message, make_sender, make_version, reloaded

URL = "/api/v1/messages/email/send"
BODY = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hello</p>"}


def timeline(api, message):
    answer = api.get(f"/api/v1/messages/{message.pk}/timeline")
    assert answer.status_code == 200, answer.json()
    return answer.json()


def test_each_attempt_says_who_had_it_what_was_said_and_why_others_were_left_out(api, adapter):
    sick = make_sender(name="sick", priority=2)
    make_sender(name="well", priority=1)
    make_sender(name="off", is_active=False)
    adapter.failures = {sick.name: SenderFailure("credentials", phase="auth", code="535")}
    message = make_message(application=api.key.application)

    drain()

    told = timeline(api, message)
    assert [entry["kind"] for entry in told["entries"]] == ["accepted", "attempt", "attempt"]
    assert told["status"] == "success"
    assert told["next_at"] is None
    first, second = (entry["attempt"] for entry in told["entries"][1:])
    assert (first["sender"], first["outcome"], first["kind"]) == ("sick", "sender", "credentials")
    assert (first["phase"], first["provider_code"]) == ("auth", "535")
    assert first["excluded"]["off"] == "switched off"
    assert (second["sender"], second["outcome"]) == ("well", "accepted")
    assert "sick" in second["excluded"]


def test_it_says_when_the_next_try_is_due(api, adapter):
    sender = make_sender()
    adapter.failures = {sender.name: TemporaryFailure("greylisted", phase="rcpt", code="451")}
    message = make_message(application=api.key.application)

    drain()

    told = timeline(api, message)
    assert told["status"] == "retrying"
    assert datetime.fromisoformat(told["next_at"]) > NOON


def test_without_an_answer_it_says_when_that_is_decided(api, adapter):
    sender = make_sender()
    adapter.failures = {sender.name: OutcomeUnknown("no_answer", phase="response", words="Silence")}
    message = make_message(application=api.key.application)

    drain()

    told = timeline(api, message)
    assert told["status"] == "unknown"
    assert datetime.fromisoformat(told["next_at"]) > NOON
    # No gap where the provider gave no code.
    assert reloaded(message).reason_detail == "no_answer at response: Silence"


def test_every_kind_of_entry_is_documented():
    documented = EntrySerializer().fields["kind"].choices

    assert set(documented) == {"accepted", "attempt", "feedback", *Event.Kind.values}


def test_a_change_of_time_is_told_as_times_are_everywhere(api):
    sent = api.post(URL, BODY | {"delay_seconds": 60}).json()
    moved = api.post(f"/api/v1/messages/{sent['id']}/reschedule", {"delay_seconds": 120}).json()

    entries = api.get(f"/api/v1/messages/{sent['id']}/timeline").json()["entries"]

    assert entries[-1]["details"] == {"from": sent["due_at"], "to": moved["due_at"]}


def test_it_says_what_a_message_waits_for(api):
    make_sender(name="off", is_active=False)
    message = make_message(application=api.key.application)

    drain()

    waits = timeline(api, message)["entries"][-1]
    assert waits["kind"] == "waits_for_sender"
    assert "off: switched off" in waits["detail"]


def test_a_dry_run_says_what_would_be_sent_and_stores_nothing(api):
    make_sender(name="ours")
    make_sender(name="theirs", is_active=False)
    version = make_version(status="published")

    answer = api.post(
        URL,
        {
            "to": "ann@example.com",
            "template_code": version.template.code,
            "variables": {"name": "Ann", "colour": "red"},
            "delay_seconds": 60,
            "dry_run": True,
        },
        headers={"Idempotency-Key": "dry"},
    )

    told = answer.json()
    assert answer.status_code == 200
    assert told["dry_run"] is True
    assert (told["sender"], told["excluded"]) == ("ours", {"theirs": "switched off"})
    assert told["content"]["subject"] == "Hello Ann"
    assert [warning["pointer"] for warning in told["warnings"]] == ["/variables/colour"]
    due_at = datetime.fromisoformat(told["due_at"])
    assert abs((due_at - timezone.now()).total_seconds() - 60) < 5
    for kept in (Message, Event, Attempt, Fingerprint, IdempotencyKey):
        assert not kept.objects.exists()


def test_a_dry_run_is_refused_as_the_real_one_would_be(api):
    wrong = BODY | {"to": "nobody", "dry_run": True}
    late = BODY | {"delay_seconds": 60, "expires_at": _in(seconds=5), "dry_run": True}

    assert api.post(URL, wrong).json()["errors"][0]["pointer"] == "/to"
    assert api.post(URL, late).json()["errors"][0]["pointer"] == "/expires_at"


def test_a_dry_run_names_the_message_that_it_would_repeat(api):
    first = api.post(URL, BODY).json()

    told = api.post(URL, BODY | {"dry_run": True}).json()

    assert told["duplicate_of"] == first["id"]
    assert told["sender"] is None
    assert not Event.objects.exists()


def _in(*, seconds):
    return (timezone.now() + timedelta(seconds=seconds)).isoformat()


def test_one_try_too_many_fails_it_and_its_story_says_so(db, adapter):
    make_sender()
    message = make_message(tries=states.MAX_TRIES - 1)
    adapter.failure = TemporaryFailure("greylisted", phase="rcpt", words="Later")

    drain()

    message = reloaded(message)
    assert (message.status, message.reason) == (Status.FAILED, "exhausted")
    told = [step.status for step in story.tell(message)]
    assert told == ["pending", "sending", "pending", "failed"]

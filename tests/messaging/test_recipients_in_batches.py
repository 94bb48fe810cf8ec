"""What `recipients` says, in batches, dry runs and repeated requests."""

import pytest

from messaging import suppressions
from messaging.models import FeedbackEvent, Message
from tests.conftest import client_for
from tests.factories import NOON, make_api_key, make_application, make_sender, make_suppression
from tests.messaging.reporting import sent_by

pytestmark = pytest.mark.django_db

BATCH, SEND = "/api/v1/messages/batch", "/api/v1/messages/email/send"
ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"
TEXT = {"subject": "Hello", "content": "Hello"}


def batch(client, *items, **further):
    return client.post(BATCH, {"defaults": TEXT, "items": list(items), **further})


def test_each_item_says_who_is_suppressed(api):
    make_suppression(address=ANN)

    items = [{"to": ANN}, {"to": BOB}, {"to": [ANN, BOB]}, {"to": EVE, "cc": ANN}]
    results = batch(api, *items).json()

    told = [
        (r["status"], [w["pointer"] for w in r.get("warnings", r.get("error", {}).get("errors"))])
        for r in results["results"]
    ]
    assert told == [
        ("rejected", ["/to"]),
        ("accepted", []),
        ("accepted", ["/to/0"]),
        ("accepted", ["/cc"]),
    ]
    assert results["results"][0]["error"]["code"] == "recipient_suppressed"
    assert (results["accepted"], results["rejected"]) == (3, 1)


def test_all_or_nothing_is_nothing_when_one_is_suppressed(api):
    make_suppression(address=ANN)

    response = batch(api, {"to": BOB}, {"to": [ANN]}, mode="all_or_nothing")

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/items/1/to/0"
    assert response.json()["errors"][0]["code"] == "recipient_suppressed"
    assert not Message.objects.exists()


def test_a_batch_asks_once_for_all_its_recipients(api, monkeypatch):
    asked, find = [], suppressions._find
    monkeypatch.setattr(suppressions, "_find", lambda *given: asked.append(given) or find(*given))

    batch(api, *({"to": f"user-{number}@example.com"} for number in range(300)))

    assert len(asked) == 1
    assert Message.objects.count() == 300


def test_batches_of_test_keys_and_to_the_simulator_go_to_the_simulator(api):
    tester = client_for(make_api_key(kind="test"))

    batch(tester, {"to": ANN}, {"to": BOB})
    batch(api, {"to": "bounce@simulator.invalid"}, {"to": EVE})

    bound = dict(Message.objects.values_list("recipient", "only_sender__adapter"))
    assert bound == {
        ANN: "simulator",
        BOB: "simulator",
        "bounce@simulator.invalid": "simulator",
        EVE: None,
    }


def test_a_batch_stays_within_the_fence():
    application = make_application(allowed_recipients=["@example.com"])
    staging = client_for(make_api_key(application=application))

    results = batch(staging, {"to": ANN}, {"to": "ann@example.org"}).json()["results"]

    assert [r["status"] for r in results] == ["accepted", "rejected"]
    assert results[1]["error"]["code"] == "recipient_not_allowed"


def test_a_dry_run_is_refused_and_warned_like_a_real_one(api):
    make_suppression(address=ANN)

    refused = api.post(SEND, {"to": ANN, "dry_run": True, **TEXT})
    warned = api.post(SEND, {"to": [ANN, BOB], "dry_run": True, **TEXT})

    assert (refused.status_code, refused.json()["code"]) == (422, "recipient_suppressed")
    assert warned.json()["warnings"][0]["pointer"] == "/to/0"
    assert not Message.objects.exists()


def test_a_dry_run_of_a_test_key_names_the_simulator():
    make_sender(name="mail-1")
    tester = client_for(make_api_key(kind="test"))

    answer = tester.post(SEND, {"to": ANN, "dry_run": True, **TEXT}).json()

    assert "simulator" in str(answer)
    assert "mail-1" not in str(answer.get("sender", ""))


def test_who_repeats_a_request_gets_its_answer_although_somebody_was_suppressed_since(api):
    headers = {"Idempotency-Key": "one"}
    first = api.post(SEND, {"to": ANN, **TEXT}, headers=headers)
    make_suppression(address=ANN)

    again = api.post(SEND, {"to": ANN, **TEXT}, headers=headers)

    assert (again.status_code, again.json()) == (202, first.json())


def test_the_timeline_tells_the_feedback(api):
    sender = make_sender(name="mail-1")
    message, _ = sent_by(sender, application=api.key.application)
    FeedbackEvent.objects.create(
        message=message, sender=sender, kind="bounced", recipient="to/0", at=NOON, key="1"
    )

    entry = api.get(f"/api/v1/messages/{message.pk}/timeline").json()["entries"][-1]

    assert (entry["kind"], entry["status"]) == ("feedback", "bounced")
    assert entry["detail"] == "Reported by mail-1 of to/0."
    assert entry["details"] == {"recipient": "to/0"}

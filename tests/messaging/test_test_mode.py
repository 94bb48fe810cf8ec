"""The simulator: everything but the network, up to the provider's news."""

from datetime import timedelta

import pytest
from django.utils import timezone

from messaging import receipts, states
from messaging.channels import simulator
from messaging.hooks import hook_token
from messaging.models import (
    Attempt,
    Event,
    FeedbackEvent,
    Message,
    ProviderReport,
    Sender,
    Status,
    Suppression,
)
from messaging.simulation import simulator_id
from tests.conftest import client_for
from tests.factories import drain, make_api_key, make_message, make_sender, reloaded

pytestmark = pytest.mark.django_db

URL = "/api/v1/messages/email/send"


@pytest.fixture
def tester(db):
    return client_for(make_api_key(kind="test"))


def send(client, to, **further):
    return client.post(URL, {"to": to, "subject": "Hello", "content": "Hello", **further})


def sent(client, to, **further):
    response = send(client, to, **further)
    assert response.status_code == 202, response.json()
    return Message.objects.get(pk=response.json()["id"])


def later(**delta):
    return timezone.now() + timedelta(**delta)


def run(now=None):
    """A drain, and the processing of what it brought."""
    now = now or later(seconds=1)
    drain(now=now)
    receipts.process_due(clock=lambda: now)


# --- keys of kind test ---------------------------------------------------------------------------


def test_a_test_key_reaches_no_real_person(tester, adapter):
    make_sender()
    message = sent(tester, "user@example.com", cc="other@example.com")

    run()

    message = reloaded(message)
    assert (message.status, message.feedback) == (Status.SUCCESS, "delivered")
    assert message.sender.adapter == "simulator"
    assert adapter.sent == []
    assert sorted(FeedbackEvent.objects.values_list("recipient", flat=True)) == ["cc/0", "to/0"]


def test_a_test_key_moves_its_own_messages_and_no_others(tester):
    own = sent(tester, "user@example.com", delay_seconds=60)
    live = make_message(application=tester.key.application)
    batch = tester.post(
        "/api/v1/messages/batch",
        {"items": [{"to": "ann@example.com", "subject": "Hello", "content": "Hello"}]},
        format="json",
    ).json()

    answers = [
        tester.post(f"/api/v1/{path}", format="json").status_code
        for path in (
            f"messages/{own.pk}/cancel",
            f"batches/{batch['batch_id']}/cancel",
            f"messages/{live.pk}/cancel",
        )
    ]

    assert answers == [200, 200, 403]
    assert reloaded(live).status == Status.PENDING


def test_a_test_message_says_so_and_is_left_out_of_nothing(tester):
    message = sent(tester, "user@example.com")

    listed = tester.get("/api/v1/messages").json()["results"]

    assert [(row["id"], row["test"]) for row in listed] == [(str(message.pk), True)]
    assert tester.get(f"/api/v1/messages/{message.pk}").json()["test"] is True


def test_a_message_of_a_live_key_is_no_test(api):
    message = sent(api, "user@example.com")

    assert api.get(f"/api/v1/messages/{message.pk}").json()["test"] is False
    assert message.only_sender is None


def test_a_message_by_which_an_operator_tries_a_sender_is_no_test(api):
    message = make_message(application=api.key.application, only_sender=make_sender())

    assert api.get(f"/api/v1/messages/{message.pk}").json()["test"] is False


def test_the_history_is_told_like_any_other(tester):
    message = sent(tester, "user@example.com")
    run()

    history = tester.get(f"/api/v1/messages/{message.pk}").json()["history"]

    assert [step["status"] for step in history] == ["pending", "sending", "success", "delivered"]


# --- the addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "feedback"),
    [
        ("delivered@simulator.invalid", "delivered"),
        ("Delivered@Simulator.Invalid", "delivered"),
        ("bounce@simulator.invalid", "bounced"),
        ("complaint@simulator.invalid", "complained"),
        ("bounce+4711@simulator.invalid", "bounced"),
    ],
)
def test_addresses_of_the_simulator_work_for_every_key(api, address, feedback):
    message = sent(api, address)

    run()

    assert (reloaded(message).status, reloaded(message).feedback) == (Status.SUCCESS, feedback)
    assert api.get(f"/api/v1/messages/{message.pk}").json()["test"] is True
    report = ProviderReport.objects.get()
    assert (report.error, report.processed_at is not None) == ("", True)


def test_a_simulated_bounce_suppresses_its_own_address_for_a_while_and_for_one_application(api):
    message = sent(api, ["bounce@simulator.invalid", "delivered@simulator.invalid"])

    run()

    row = Suppression.objects.get()
    assert (row.address, row.application) == ("bounce@simulator.invalid", message.application)
    assert row.expires_at < later(hours=1)
    assert send(api, "bounce@simulator.invalid").status_code == 422
    assert send(api, "bounce+2@simulator.invalid").status_code == 202
    assert send(client_for(make_api_key()), "bounce@simulator.invalid").status_code == 202


def test_a_test_key_suppresses_nobody_real(tester):
    sent(tester, ["bounce@simulator.invalid", "complaint@simulator.invalid", "user@example.com"])

    run()

    suppressed = set(Suppression.objects.values_list("address", flat=True))
    assert suppressed == {"bounce@simulator.invalid", "complaint@simulator.invalid"}


def test_tempfail_2_fails_twice_and_then_arrives(api):
    message = sent(api, "tempfail-2@simulator.invalid")

    seen = []
    for hours in (1, 10, 20):
        run(later(hours=hours))
        seen.append(reloaded(message).status)

    assert seen == [Status.PENDING, Status.PENDING, Status.SUCCESS]
    assert [a.outcome for a in message.attempts.order_by("started_at")] == [
        "temporary",
        "temporary",
        "accepted",
    ]
    assert reloaded(message).feedback == "delivered"


def test_unknown_gives_no_answer_and_ends_as_its_policy_says(api):
    message = sent(api, "unknown@simulator.invalid", policy="at_most_once")

    run()
    assert reloaded(message).status == Status.UNKNOWN

    states.settle_unknown(now=later(hours=1))
    assert (reloaded(message).status, reloaded(message).reason) == ("failed", "unknown_outcome")
    assert not ProviderReport.objects.exists()


def test_slow_takes_its_time(api, monkeypatch):
    slept = []
    monkeypatch.setattr(simulator.time, "sleep", slept.append)
    message = sent(api, "slow@simulator.invalid")

    run()

    assert slept == [simulator.SLOW_SECONDS]
    assert reloaded(message).status == Status.SUCCESS


def test_nothing_that_the_simulator_does_benches_it(api):
    for number in range(30):
        sent(api, f"unknown+{number}@simulator.invalid", policy="at_most_once")
    sent(api, "delivered@simulator.invalid")

    run()

    sender = Sender.objects.get(adapter="simulator")
    assert (sender.benched_until, sender.failures) == (None, 0)
    assert Message.objects.filter(status="success").count() == 1


@pytest.mark.parametrize("key", ["live", "test"])
@pytest.mark.parametrize("name", ["bounced", "", "tempfail-0", "tempfail-10", "+x", "bouncex"])
def test_a_name_that_means_nothing_is_refused(key, name):
    client = client_for(make_api_key(kind=key))

    response = send(client, ["delivered@simulator.invalid", f"{name or 'x'}@simulator.invalid"])

    error = response.json()["errors"][0]
    assert response.status_code == 422
    assert (error["pointer"], error["code"]) == ("/to/1", "unknown_simulator_address")
    assert "tempfail-1@" in error["detail"]


def test_a_live_key_mixes_no_real_recipient_with_a_simulated_one(api):
    response = send(api, "user@example.com", bcc=["bounce@simulator.invalid"])

    errors = [(error["pointer"], error["code"]) for error in response.json()["errors"]]
    assert (response.status_code, errors) == (422, [("/bcc/0", "simulator_mixed")])
    assert not Message.objects.exists()


def test_a_name_in_the_simulators_domain_only_is_the_simulators(api, adapter):
    make_sender()
    sent(api, "bounce@simulator.invalid.example.com")
    sent(api, "bounce@mysimulator.invalid")

    run()

    assert len(adapter.sent) == 2


# --- the sender ----------------------------------------------------------------------------------


def test_no_ordinary_message_chooses_the_simulator(api):
    simulator_id("email")
    message = sent(api, "user@example.com")

    run()

    message = reloaded(message)
    assert (message.status, message.reason) == (Status.PENDING, "no_sender")
    assert message.reason_detail == "There is no sender for this channel yet."
    assert not Attempt.objects.exists()


def test_it_is_not_named_where_others_are_chosen(api, adapter):
    simulator_id("email")
    make_sender(name="mail-1")
    message = sent(api, "user@example.com")

    run()

    decision = message.attempts.get().decision
    assert [c["sender"] for c in decision["candidates"]] == ["mail-1"]
    assert decision["excluded"] == {}


def test_there_is_one_and_it_is_made_when_it_is_needed(api):
    assert not Sender.objects.exists()

    assert simulator_id("email") == simulator_id("email")

    assert Sender.objects.get().name == "simulator"


def test_a_sender_that_has_its_name_already_is_left_alone():
    mine = make_sender(name="simulator", adapter="smtp")

    pk = simulator_id("email")

    assert pk != mine.pk
    assert Sender.objects.get(pk=pk).name == "built-in-simulator"


def test_nobody_adds_a_second_one_by_hand(operator):
    page = operator.get("/admin/messaging/sender/add/").content.decode()

    assert "?adapter=smtp" in page
    assert "?adapter=simulator" not in page
    page = operator.get("/admin/messaging/sender/add/?adapter=simulator").content.decode()
    assert "?adapter=smtp" in page


def test_its_page_opens_and_its_connection_works(operator):
    pk = simulator_id("email")

    assert operator.get(f"/admin/messaging/sender/{pk}/change/").status_code == 200
    page = operator.post(f"/admin/messaging/sender/{pk}/test/").content.decode()
    assert "The simulator is part of the platform." in page


def test_a_paused_simulator_keeps_test_messages_waiting(tester):
    Sender.objects.filter(pk=simulator_id("email")).update(is_active=False)
    message = sent(tester, "user@example.com")

    run()

    assert reloaded(message).reason == "no_sender"
    assert "simulator: switched off" in reloaded(message).reason_detail


def test_its_reports_are_stored_with_the_outcome_and_processed_once(tester):
    message = sent(tester, "complaint@simulator.invalid")

    drain(now=later(seconds=1))
    assert reloaded(message).feedback == ""
    assert ProviderReport.objects.get().processed_at is None

    for _ in range(2):
        ProviderReport.objects.update(processed_at=None, due_at=timezone.now())
        receipts.process_due(clock=lambda: later(seconds=2))
    kinds = FeedbackEvent.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["delivered", "complained"]
    assert not Event.objects.exists()


def test_nobody_posts_reports_for_it(client):
    sender = Sender.objects.get(pk=simulator_id("email"))
    path = f"/hooks/{hook_token(sender)}/reports"

    response = client.post(path, b'{"events": []}', content_type="application/json")

    assert response.status_code == 403
    assert not ProviderReport.objects.exists()

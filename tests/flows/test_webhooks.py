"""From a send to a receiver that checks the signature, through processes as they run for real."""

import json

import pytest
from standardwebhooks.webhooks import Webhook

from tests.flows.production import Production
from tests.imitations.webhook_receiver import Answer, WebhookReceiver
from tests.installation import until


@pytest.fixture
def receiver():
    with WebhookReceiver() as receiver:
        yield receiver


def register(production: Production, token: str, receiver: WebhookReceiver) -> dict[str, str]:
    return production.call("/api/v1/webhooks", {"url": receiver.url}, token=token)


def test_a_receiver_is_told_of_a_message_and_can_check_that_it_is_us(production, receiver):
    token = production.token()
    endpoint = register(production, token, receiver)
    production.call(f"/api/v1/webhooks/{endpoint['id']}/test", {}, token=token)
    until(lambda: len(receiver.heard) == 1, seconds=15, what="tested")

    message_id = production.send(token, reference="flow-1")
    until(lambda: len(receiver.heard) == 2, seconds=20, what="told")

    ping, told = (Webhook(endpoint["secret"]).verify(h.body, h.headers) for h in receiver.heard)
    assert ping["type"] == "ping"
    assert told["type"] == "message.success"
    assert (told["data"]["id"], told["data"]["reference"]) == (message_id, "flow-1")
    log = f"/api/v1/webhooks/{endpoint['id']}/deliveries?message_id={message_id}"
    until(
        lambda: (
            [row["status"] for row in production.call(log, token=token)["results"]] == ["delivered"]
        ),
        seconds=10,
        what="recorded",
    )


def test_a_worker_that_is_killed_during_a_call_leaves_it_to_the_next(production, receiver):
    token = production.token()
    register(production, token, receiver)
    receiver.script = [Answer(200, seconds=30), Answer(200)]
    message_id = production.send(token)
    until(lambda: bool(receiver.heard), seconds=20, what="called")

    production.kill_worker()
    production.start_worker()
    # As if a minute had passed, which is how long a claim lasts.
    production.execute(
        "UPDATE messaging_webhookdelivery SET leased_until = now() WHERE state = 'delivering'"
    )
    until(lambda: len(receiver.heard) == 2, seconds=60, what="called again")

    first, second = receiver.heard
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert json.loads(first.body)["data"]["id"] == message_id

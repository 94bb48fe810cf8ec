"""Judged by the library that receivers use, and by the vector of the specification."""

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from messaging.callbacks import signing

# From the reference implementation's own tests.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_vector_of_the_specification():
    assert signing.sign(SECRET, event_id=ID, timestamp=1614265330, body=BODY) == SIGNATURE


def test_receivers_verify_it_with_either_secret():
    now = datetime.now(UTC)
    new, old = signing.make_secret(), signing.make_secret()
    body = '{"größe":"✓"}'.encode()

    headers = signing.headers([new, old], event_id=ID, body=body, now=now)

    for secret in (new, old):
        assert Webhook(secret).verify(body, headers) == {"größe": "✓"}
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.make_secret()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body, headers | {"webhook-id": "another"})


def test_secrets_are_32_random_bytes():
    made = {signing.make_secret() for _ in range(100)}

    assert len(made) == 100
    for secret in made:
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32

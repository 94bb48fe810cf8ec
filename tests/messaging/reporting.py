"""What tests of reports share: senders with providers, what they have sent, news of it."""

from datetime import timedelta

from messaging import hooks, receipts
from messaging.channels.reports import News, key_of
from messaging.models import Attempt, ProviderReport, Status
from tests.factories import NOON, make_message, make_sender
from tests.imitations.webhook_signatures import secret_of
from tests.imitations.webhooks import post_of

ANN = "ann@example.com"
KEYS = {
    "mailersend": "api_token",
    "mailtrap": "api_token",
    "postmark": "server_token",
}


def provider_sender(backend, **overrides):
    secret = secret_of(backend)
    credentials = {KEYS.get(backend, "api_key"): secret, "webhook_secret": secret}
    if backend == "mailjet":
        credentials["secret_key"] = "key"
    fields = {"adapter": "anymail", "options": {"backend": backend}, "credentials": credentials}
    return make_sender(**fields | overrides)


def sent_by(sender, **overrides):
    """A message that went out by `sender`, and its attempt."""
    message = make_message(status=Status.SUCCESS, sender=sender, **overrides)
    attempt = Attempt.objects.create(
        message=message,
        sender=sender,
        lease_token=1,
        started_at=NOON,
        finished_at=NOON,
        outcome="accepted",
        provider_message_id="provider-1",
    )
    return message, attempt


def path_of(sender):
    return f"/hooks/{hooks.hook_token(sender)}/reports"


def process(now=NOON):
    """All that is due, and all that wants to look again later."""
    ProviderReport.objects.filter(processed_at=None).update(due_at=now)
    return receipts.process_due(clock=lambda: now)


SOON = NOON + timedelta(minutes=1)


def news(kind, attempt=None, **overrides):
    fields = {
        "kind": kind,
        "key": key_of(kind, overrides.get("provider_message_id", ""), overrides.get("words", "")),
        "at": NOON,
        "attempt_id": str(attempt.pk) if attempt else "",
        "recipient": ANN,
    }
    return News(**fields | overrides)


def apply(one, sender, now=SOON):
    return receipts.apply(one, sender_id=sender.pk, now=now)


def store(sender, kind, at=NOON, **given):
    post = post_of("postmark", kind, recipient=given.pop("recipient", ANN), **given)
    return ProviderReport.objects.create(
        sender=sender, body=post.body, headers=post.headers, received_at=at, due_at=at
    )


def in_state(sender, outcome, **message):
    message = make_message(sender=sender, **message)
    attempt = Attempt.objects.create(
        message=message,
        sender=sender,
        lease_token=message.lease_token,
        started_at=NOON,
        outcome=outcome,
        finished_at=NOON if outcome else None,
        unknown_at=NOON if outcome == "unknown" else None,
    )
    return message, attempt

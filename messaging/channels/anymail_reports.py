"""What the providers that Anymail knows report, verified and read by its webhook views.

The views are built with one sender's secret and never from global settings. What Anymail does not
tell apart (a mailbox that is full from one that does not exist) is read from the provider's own
words here.
"""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from typing import Any

from anymail.exceptions import AnymailConfigurationError, AnymailWebhookValidationFailure
from anymail.signals import AnymailTrackingEvent, EventType, RejectReason
from anymail.webhooks.brevo import BrevoTrackingWebhookView
from anymail.webhooks.mailersend import MailerSendTrackingWebhookView
from anymail.webhooks.mailgun import MailgunTrackingWebhookView
from anymail.webhooks.mailjet import MailjetTrackingWebhookView
from anymail.webhooks.mailtrap import MailtrapTrackingWebhookView
from anymail.webhooks.mandrill import MandrillCombinedWebhookView
from anymail.webhooks.postal import PostalTrackingWebhookView
from anymail.webhooks.postmark import PostmarkTrackingWebhookView
from anymail.webhooks.resend import ResendTrackingWebhookView, SvixWebhookValidationMixin
from anymail.webhooks.sparkpost import SparkPostTrackingWebhookView
from anymail.webhooks.unisender_go import UnisenderGoTrackingWebhookView
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.utils.timezone import is_naive

from messaging.channels.reports import ForgedReport, News, UnreadableReport, key_of

# Seconds by which the clock of a provider that signs the time may be wrong.
SVIX_TOLERANCE = 300


class _Resend(ResendTrackingWebhookView):
    """Verified here: Anymail needs the package `svix` for these few lines
    (docs.svix.com/receiving/verifying-payloads/how-manual)."""

    warn_if_no_basic_auth = False

    def __init__(self, *, secret: str, **kwargs: Any) -> None:
        # Past the mixin's own, which asks for that package.
        super(SvixWebhookValidationMixin, self).__init__(**kwargs)
        self._svix_webhook = None
        self._secret = base64.b64decode(secret.removeprefix("whsec_"))

    def validate_request(self, request: HttpRequest) -> None:
        sent_at = request.headers["svix-timestamp"]
        if abs(time.time() - int(sent_at)) > SVIX_TOLERANCE:
            raise AnymailWebhookValidationFailure("Its time is more than five minutes off.")
        signed = f"{request.headers['svix-id']}.{sent_at}.".encode() + request.body
        right = base64.b64encode(hmac.digest(self._secret, signed, hashlib.sha256)).decode()
        given = request.headers["svix-signature"].split()
        if not any(hmac.compare_digest(one.encode(), f"v1,{right}".encode()) for one in given):
            raise AnymailWebhookValidationFailure("Its signature is wrong.")


class _Brevo(BrevoTrackingWebhookView):
    warn_if_no_basic_auth = False


class _Mailjet(MailjetTrackingWebhookView):
    warn_if_no_basic_auth = False


class _Postmark(PostmarkTrackingWebhookView):
    warn_if_no_basic_auth = False


class _SparkPost(SparkPostTrackingWebhookView):
    warn_if_no_basic_auth = False


Credentials = dict[str, Any]
# Anymail has no types.
View = Any


def _by_password(kind: View) -> Callable[[Credentials], View]:
    """They sign nothing: user and password may be put into the address, which is secret anyway.
    Anymail takes a list; an empty one asks for none."""

    def build(secrets: Credentials) -> View:
        secret = secrets.get("webhook_secret")
        return kind(webhook_secret=[secret] if secret else [])

    return build


def _by_signature(
    kind: View, option: str, *names: str, **further: Any
) -> Callable[[Credentials], View]:
    """`names`: what is used as the secret if there is no `webhook_secret`."""

    def build(secrets: Credentials) -> View:
        found = next(
            (secrets[name] for name in ("webhook_secret", *names) if secrets.get(name)), None
        )
        if found is None:
            raise ForgedReport("This sender has no webhook_secret yet: enter the provider's.")
        return kind(webhook_secret=[], **{option: found}, **further)

    return build


VIEWS: dict[str, Callable[[Credentials], View]] = {
    "brevo": _by_password(_Brevo),
    "mailersend": _by_signature(MailerSendTrackingWebhookView, "signing_secret"),
    "mailgun": _by_signature(
        MailgunTrackingWebhookView, "webhook_signing_key", "api_key", api_key=None
    ),
    "mailjet": _by_password(_Mailjet),
    "mailtrap": _by_signature(MailtrapTrackingWebhookView, "tracking_secret"),
    "mandrill": _by_signature(MandrillCombinedWebhookView, "webhook_key", webhook_url=None),
    "postal": _by_signature(PostalTrackingWebhookView, "webhook_key"),
    "postmark": _by_password(_Postmark),
    "resend": _by_signature(_Resend, "secret"),
    "sparkpost": _by_password(_SparkPost),
    "unisender_go": _by_signature(UnisenderGoTrackingWebhookView, "api_key", "api_key"),
}
# For these the secret is `user:password`.
PASSWORD_BACKENDS = frozenset({"brevo", "mailjet", "postmark", "sparkpost"})

FEEDBACK: dict[str, str] = {
    EventType.DELIVERED: "delivered",
    EventType.DEFERRED: "deferred",
    EventType.BOUNCED: "bounced",
    EventType.REJECTED: "bounced",
    EventType.FAILED: "bounced",
    EventType.OPENED: "opened",
    EventType.CLICKED: "clicked",
    EventType.COMPLAINED: "complained",
    EventType.UNSUBSCRIBED: "unsubscribed",
}
# The provider keeps a list of its own and did not write for that reason.
REFUSED_BEFORE: dict[str, str] = {
    RejectReason.INVALID: "hard_bounce",
    RejectReason.BOUNCED: "hard_bounce",
    RejectReason.SPAM: "complaint",
    RejectReason.UNSUBSCRIBED: "unsubscribed",
}
# RFC 3463. Codes that say nothing against the mailbox, whatever else the provider calls it: it is
# full, the text was not liked, the servers could not talk.
_ENHANCED = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_NOT_THE_MAILBOX = re.compile(r"4\..*|5\.2\.2|5\.3\..*|5\.4\.[0-35-9].*|5\.5\..*|5\.6\..*|5\.7\..*")


def check(request: HttpRequest, *, backend: str, credentials: Credentials) -> None:
    """Raises `ForgedReport`."""
    try:
        view = VIEWS[backend](credentials)
        view.run_validators(request)
    except AnymailWebhookValidationFailure as error:
        raise ForgedReport("Its signature or password is wrong or missing.") from error
    except (AnymailConfigurationError, LookupError, ValueError, TypeError, AttributeError) as error:
        # The validators trip over bodies and headers that are not in the provider's form.
        raise ForgedReport(f"It is not in the form of {backend}.") from error


def read(request: HttpRequest, *, backend: str) -> list[News]:
    """Raises `UnreadableReport`. Needs no secret: it was verified when it came."""
    try:
        # They ask for a secret, and do not use it.
        view = VIEWS[backend]({"webhook_secret": "unused00"})
        events = view.parse_events(request)
        return [_news(backend, event) for event in events if _is_tracking(event)]
    except (AnymailConfigurationError, SuspiciousOperation) as error:
        raise UnreadableReport(str(error)[:200]) from error
    except (LookupError, ValueError, TypeError, AttributeError, AssertionError) as error:
        raise UnreadableReport(f"It is not in the form of {backend}: {error!r}"[:200]) from error


def _is_tracking(event: object) -> bool:
    return isinstance(event, AnymailTrackingEvent)


def _news(backend: str, event: Any) -> News:
    metadata = event.metadata if isinstance(event.metadata, dict) else {}
    words = " ".join(str(said) for said in (event.mta_response, event.description) if said)
    at = event.timestamp
    recipient = str(event.recipient or "").lower()
    return News(
        kind=FEEDBACK.get(event.event_type, ""),
        key=_key(backend, event),
        at=None if at is None or is_naive(at) else at,
        attempt_id=str(metadata.get("attempt_id") or ""),
        provider_message_id=str(event.message_id or ""),
        recipient=recipient if _says_who(backend, event) else "",
        suppress=_suppress(backend, event, words),
        is_refusal=event.event_type in {EventType.REJECTED, EventType.FAILED},
        words=words[:500],
    )


def _key(backend: str, event: Any) -> str:
    """The provider's id of the event where it has one that its repeats share; else what it says.
    Mailgun's, as Anymail reads it, is that of the signature, and new with every repeat."""
    raw = event.esp_event
    who = (event.event_type, event.message_id, event.recipient)
    if event.event_id and backend != "mailgun":
        return key_of(backend, event.event_id, *who)
    said = raw.dict() if hasattr(raw, "dict") else raw
    if isinstance(said, dict):
        unsigned = {"signature", "token", "timestamp"} if backend == "mailgun" else set()
        said = {name: value for name, value in said.items() if name not in unsigned}
    return key_of(backend, json.dumps(said, sort_keys=True, default=str))


def _says_who(backend: str, event: Any) -> bool:
    """Resend names all recipients of a message that has several, not the one that it speaks of."""
    if backend != "resend":
        return True
    data = event.esp_event.get("data") or {}
    return sum(len(data.get(role) or ()) for role in ("to", "cc", "bcc")) == 1


def _suppress(backend: str, event: Any, words: str) -> str:
    if event.event_type == EventType.COMPLAINED:
        return "complaint"
    if event.event_type == EventType.UNSUBSCRIBED:
        return "unsubscribed"
    if event.event_type == EventType.REJECTED:
        return REFUSED_BEFORE.get(event.reject_reason, "")
    is_bounce = event.event_type == EventType.BOUNCED or backend == "postal"
    if not is_bounce or not HARD[backend](event.esp_event):
        return ""
    code = _ENHANCED.search(words)
    return "" if code and _NOT_THE_MAILBOX.fullmatch(code.group(0)) else "hard_bounce"


def _of_sparkpost(raw: Any) -> bool:
    # 10: no such recipient; 30: refused at RCPT for no other reason given.
    return any(str(event.get("bounce_class")) in {"10", "30"} for event in raw["msys"].values())


def _of_resend(raw: Any) -> bool:
    bounce = (raw.get("data") or {}).get("bounce") or {}
    if "type" in bounce:
        return bool(bounce["type"] == "Permanent")
    return "hard bounce" in str(bounce.get("message"))


def _of_mailgun(raw: Any) -> bool:
    event = raw.get("event-data")
    if not isinstance(event, dict):
        # The form of before 2018, which knows no other bounces.
        return True
    return event.get("reason") in {"bounce", "suppress-bounce"}


# Whether a bounce says that the mailbox does not exist, in the provider's own words.
HARD: dict[str, Callable[[Any], bool]] = {
    "brevo": lambda raw: raw.get("event") in {"hard_bounce", "invalid_email"},
    "mailersend": lambda raw: (raw.get("data") or {}).get("type") == "hard_bounced",
    "mailgun": _of_mailgun,
    "mailjet": lambda raw: (
        raw.get("hard_bounce") is True and raw.get("error") not in {"quota exceeded"}
    ),
    "mailtrap": lambda raw: raw.get("event") == "bounce",
    "mandrill": lambda raw: raw.get("event") == "hard_bounce",
    "postal": lambda raw: (
        (raw.get("payload") or {}).get("status") == "HardFail"
        and bool(_ENHANCED.search(str((raw.get("payload") or {}).get("output"))))
    ),
    "postmark": lambda raw: raw.get("Type") in {"HardBounce", "BadEmailAddress"},
    "resend": _of_resend,
    "sparkpost": _of_sparkpost,
    "unisender_go": lambda raw: (
        (raw.get("delivery_info") or {}).get("delivery_status")
        in {"err_user_unknown", "err_user_inactive", "err_domain_inactive"}
    ),
}

"""What the providers that Anymail knows post about messages, in the form of their documentation and
signed as they sign: `post_of("postmark", "delivered", …)`.

Every post speaks of one message and one recipient. `kind` is one of `KINDS`.
"""

import json
from typing import Any

from tests.imitations.webhook_signatures import SIGNERS, Post, by_password

KINDS = ("delivered", "hard", "soft", "complained")
AT = "2026-11-25T12:00:00Z"
STAMP = 1_795_608_000
UNKNOWN = "550 5.1.1 The email account that you tried to reach does not exist."
FULL = "552 5.2.2 The email account that you tried to reach is over quota."

# What each provider calls it. Postal has no word for a complaint.
WORDS: dict[str, dict[str, str]] = {
    "brevo": dict(zip(KINDS, ("delivered", "hard_bounce", "soft_bounce", "spam"), strict=True)),
    "mailersend": dict(
        zip(KINDS, ("delivered", "hard_bounced", "soft_bounced", "spam_complaint"), strict=True)
    ),
    "mailgun": dict(zip(KINDS, ("delivered", "failed", "failed", "complained"), strict=True)),
    "mailjet": dict(zip(KINDS, ("sent", "bounce", "bounce", "spam"), strict=True)),
    "mailtrap": dict(zip(KINDS, ("delivery", "bounce", "soft bounce", "spam"), strict=True)),
    "mandrill": dict(zip(KINDS, ("send", "hard_bounce", "soft_bounce", "spam"), strict=True)),
    "postal": dict(zip(KINDS, ("Sent", "HardFail", "SoftFail", ""), strict=True)),
    "postmark": dict(
        zip(KINDS, ("Delivery", "HardBounce", "SoftBounce", "SpamComplaint"), strict=True)
    ),
    "resend": dict(
        zip(
            KINDS,
            ("email.delivered", "email.bounced", "email.bounced", "email.complained"),
            strict=True,
        )
    ),
    "sparkpost": dict(zip(KINDS, ("delivery", "bounce", "bounce", "spam_complaint"), strict=True)),
    "unisender_go": dict(
        zip(KINDS, ("delivered", "hard_bounced", "soft_bounced", "spam"), strict=True)
    ),
}
BACKENDS = tuple(WORDS)


def post_of(
    backend: str,
    kind: str,
    *,
    recipient: str,
    url: str = "",
    attempt_id: str = "",
    provider_id: str = "provider-1",
    is_forged: bool = False,
) -> Post:
    metadata = {"attempt_id": attempt_id} if attempt_id else {}
    said = _BODIES[backend](WORDS[backend][kind], kind, recipient, metadata, provider_id)
    return SIGNERS.get(backend, by_password)(backend, said, url, is_forged)


def _reason(kind: str) -> str:
    return {"hard": UNKNOWN, "soft": FULL}.get(kind, "")


def _postmark(word: str, kind: str, recipient: str, metadata: Any, message_id: str) -> Any:
    shared = {"MessageID": message_id, "MessageStream": "outbound", "Metadata": metadata}
    if kind == "delivered":
        return shared | {
            "RecordType": word,
            "ServerID": 23,
            "Recipient": recipient,
            "Tag": "welcome",
            "DeliveredAt": AT,
            "Details": "250 2.0.0 OK",
        }
    return shared | {
        "RecordType": "SpamComplaint" if kind == "complained" else "Bounce",
        "ID": 42,
        "Type": word,
        "TypeCode": 1,
        "Name": word,
        "Description": "The server was unable to deliver your message.",
        "Details": f"smtp;{_reason(kind)}",
        "Email": recipient,
        "From": "sender@example.com",
        "BouncedAt": AT,
        "Inactive": kind == "hard",
        "Subject": "Hello",
    }


def _mailgun(word: str, kind: str, recipient: str, metadata: Any, message_id: str) -> Any:
    event = {
        "id": "CPgfbmQMTCKtHW6uIWtuVe",
        "event": word,
        "timestamp": STAMP + 0.375,
        "recipient": recipient,
        "message": {"headers": {"to": recipient, "message-id": message_id.strip("<>")}},
        "user-variables": metadata,
        "tags": [],
    }
    if kind in {"hard", "soft"}:
        event |= {
            "severity": "permanent" if kind == "hard" else "temporary",
            "reason": "bounce" if kind == "hard" else "generic",
            "delivery-status": {"code": 550, "message": _reason(kind), "description": ""},
        }
    return {"event-data": event}


def _brevo(word: str, kind: str, recipient: str, metadata: Any, message_id: str) -> Any:
    return {
        "event": word,
        "email": recipient,
        "id": 26224,
        "date": "2026-11-25 13:00:00",
        "ts": STAMP,
        "ts_event": STAMP,
        "ts_epoch": STAMP * 1000,
        "message-id": message_id,
        "subject": "Hello",
        "X-Mailin-custom": json.dumps(metadata),
        "reason": _reason(kind),
    }


def _resend(word: str, kind: str, recipient: str, metadata: Any, message_id: str) -> Any:
    data: dict[str, Any] = {
        "created_at": AT,
        "email_id": message_id,
        "from": "Sender <sender@example.com>",
        "to": [recipient],
        "subject": "Hello",
        "headers": [{"name": "X-Metadata", "value": json.dumps(metadata)}],
    }
    if kind in {"hard", "soft"}:
        data["bounce"] = {
            "message": "The recipient's email provider sent a bounce message.",
            "subType": "General" if kind == "hard" else "MailboxFull",
            "type": "Permanent" if kind == "hard" else "Transient",
        }
    return {"type": word, "created_at": AT, "data": data}


def _sparkpost(word: str, kind: str, recipient: str, metadata: Any, message_id: str) -> Any:
    event = {
        "type": word,
        "event_id": f"event-{kind}-{message_id}",
        "raw_rcpt_to": recipient,
        "rcpt_to": recipient.lower(),
        "transmission_id": message_id,
        "rcpt_meta": metadata,
        "timestamp": str(STAMP),
    }
    if kind in {"hard", "soft"}:
        event |= {"bounce_class": "10" if kind == "hard" else "22", "raw_reason": _reason(kind)}
    name = "track_event" if kind == "complained" else "message_event"
    return [{"msys": {name: event}}]


def _mailjet(word: str, kind: str, recipient: str, metadata: Any, message_id: str) -> Any:
    event: dict[str, Any] = {
        "event": word,
        "time": STAMP,
        "MessageID": message_id,
        "email": recipient,
        "CustomID": "",
        "Payload": json.dumps(metadata),
    }
    if kind in {"hard", "soft"}:
        event |= {
            "blocked": False,
            "hard_bounce": kind == "hard",
            "error_related_to": "recipient",
            "error": "user unknown" if kind == "hard" else "quota exceeded",
        }
    return [event]


def _mandrill(word: str, kind: str, recipient: str, metadata: Any, message_id: str) -> Any:
    message = {
        "ts": STAMP,
        "_id": message_id,
        "email": recipient,
        "state": "bounced" if kind in {"hard", "soft"} else "sent",
        "metadata": metadata,
        "tags": [],
    }
    if kind in {"hard", "soft"}:
        message |= {"bounce_description": "bad_mailbox", "diag": f"smtp;{_reason(kind)}"}
    return [{"event": word, "_id": message_id, "ts": STAMP, "msg": message}]


def _mailersend(word: str, kind: str, recipient: str, metadata: Any, message_id: str) -> Any:
    morphs = {
        "hard": "recipient_bounce",
        "soft": "recipient_bounce",
        "complained": "spam_complaint",
    }
    morph = {"object": morphs.get(kind), "id": "morph-1", "reason": _reason(kind)}
    return {
        "type": f"activity.{word}",
        "domain_id": "7z3m5jgrogdpyo6n",
        "created_at": AT,
        "webhook_id": "2351ndgwr4zqx8ko",
        "data": {
            "object": "activity",
            "id": f"activity-{word}",
            "type": word,
            "created_at": AT,
            "email": {
                "object": "email",
                "subject": "Hello",
                "status": "rejected",
                "tags": None,
                "message": {"object": "message", "id": message_id, "created_at": AT},
                "recipient": {"object": "recipient", "id": "recipient-1", "email": recipient},
            },
            "morph": morph if kind in morphs else None,
            "template_id": "",
        },
    }


def _mailtrap(word: str, kind: str, recipient: str, metadata: Any, message_id: str) -> Any:
    event = {
        "event": word,
        "message_id": message_id,
        "sending_stream": "transactional",
        "email": recipient,
        "timestamp": STAMP,
        "event_id": f"event-{kind}",
        "custom_variables": metadata,
    }
    if kind in {"hard", "soft"}:
        event |= {"response": f"bounced ({_reason(kind)})", "response_code": 550}
    return {"events": [event]}


def _postal(word: str, kind: str, recipient: str, metadata: Any, message_id: str) -> Any:
    number = int("".join(c for c in message_id if c.isdigit()) or "1")
    return {
        "event": "MessageSent" if kind == "delivered" else "MessageDeliveryFailed",
        "timestamp": float(STAMP),
        "payload": {
            "message": {
                "id": number,
                "token": "abcdef123",
                "direction": "outgoing",
                "message_id": "5817a64332f44_4ec93ff59e79d154565eb@app.mail",
                "to": recipient,
                "from": "sender@example.com",
                "subject": "Hello",
                "tag": None,
            },
            "status": word,
            "details": "Message was handed over.",
            "output": _reason(kind) or "250 2.0.0 OK",
            "time": 0.22,
        },
        "uuid": f"0d2b6a5c-{kind}",
    }


def _unisender(word: str, kind: str, recipient: str, metadata: Any, message_id: str) -> Any:
    info = {"hard": "err_user_unknown", "soft": "err_mailbox_full"}.get(kind, "ok_delivered")
    event = {
        "job_id": message_id,
        "metadata": metadata,
        "email": recipient,
        "status": word,
        "event_time": "2026-11-25 12:00:00",
        "delivery_info": {"delivery_status": info, "destination_response": _reason(kind)},
    }
    events = [{"event_name": "transactional_email_status", "event_data": event}]
    return {
        "auth": "0" * 32,
        "events_by_user": [{"user_id": 456, "project_id": "6432890213745872", "events": events}],
    }


_BODIES = {
    "brevo": _brevo,
    "mailersend": _mailersend,
    "mailgun": _mailgun,
    "mailjet": _mailjet,
    "mailtrap": _mailtrap,
    "mandrill": _mandrill,
    "postal": _postal,
    "postmark": _postmark,
    "resend": _resend,
    "sparkpost": _sparkpost,
    "unisender_go": _unisender,
}

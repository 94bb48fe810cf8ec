"""What an SMTP server's reply means, by the phase in which it came (RFC 5321, RFC 3463)."""

import re

from messaging.channels.base import (
    DeliveryError,
    PermanentFailure,
    SenderFailure,
    TemporaryFailure,
)

ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
GREYLIST_SECONDS = 60.0


def judge_auth(code: int, words: str) -> DeliveryError:
    if 400 <= code < 500:
        kind = "throttled"
    elif 500 <= code < 600:
        kind = "credentials"
    else:
        kind = "transient"
    return SenderFailure(kind, phase="auth", code=shown_code(code, words), words=words)


def judge_mail(code: int, words: str) -> DeliveryError:
    """A refusal of MAIL FROM is about the account."""
    if 400 <= code < 500:
        kind = "throttled"
    elif code in {530, 534, 535, 538}:
        kind = "credentials"
    elif 500 <= code < 600:
        kind = "identity"
    else:
        kind = "transient"
    return SenderFailure(kind, phase="mail", code=shown_code(code, words), words=words)


def judge_rcpt(code: int, words: str) -> DeliveryError:
    shown, detail = shown_code(code, words), enhanced_code(words)
    if code in {530, 535, 538}:
        return SenderFailure("credentials", phase="rcpt", code=shown, words=words)
    # RFC 5321 gives 552 to a full mailbox; many servers write 550 5.2.2.
    if detail in {"4.2.2", "5.2.2"} or (code == 552 and not detail):
        return TemporaryFailure("mailbox_full", phase="rcpt", code=shown, words=words)
    if 400 <= code < 500:
        return TemporaryFailure(
            "greylisted", phase="rcpt", code=shown, words=words, retry_after=GREYLIST_SECONDS
        )
    if not 500 <= code < 600:
        return SenderFailure("transient", phase="rcpt", code=shown, words=words)
    if detail.startswith("5.7.") or (not detail and code == 554):
        kind = "blocked"
    elif detail.startswith("5.1.") or detail == "5.2.1" or (not detail and code in {550, 551, 553}):
        kind = "hard_bounce"
    else:
        kind = "rejected"
    return PermanentFailure(kind, phase="rcpt", code=shown, words=words)


def judge_data(phase: str, code: int, words: str) -> DeliveryError:
    """A refusal of DATA or of the message behind it. A complete reply is never ambiguous."""
    shown, detail = shown_code(code, words), enhanced_code(words)
    if code == 454:
        return SenderFailure("throttled", phase=phase, code=shown, words=words)
    if code == 421 and phase == "data":
        return SenderFailure("transient", phase=phase, code=shown, words=words)
    if 400 <= code < 500:
        return TemporaryFailure("temporary", phase=phase, code=shown, words=words)
    if not 500 <= code < 600:
        return SenderFailure("transient", phase=phase, code=shown, words=words)
    kind = "blocked" if detail.startswith("5.7.") else "rejected"
    return PermanentFailure(kind, phase=phase, code=shown, words=words)


def enhanced_code(words: str) -> str:
    found = ENHANCED.match(words)
    return found.group(0) if found else ""


def shown_code(code: int, words: str) -> str:
    return f"{code} {enhanced_code(words)}".strip()


def reply_text(reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
    return " ".join(text.split())[:400]

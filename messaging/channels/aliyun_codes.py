"""What the codes of Aliyun's SMS mean (help.aliyun.com/document_detail/101346.html, read in
2026-11): each failure in one line."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from messaging.channels.base import (
    DeliveryError,
    OutcomeUnknown,
    PermanentFailure,
    SenderFailure,
    TemporaryFailure,
)

# The provider counts days, and writes times, in its own.
CHINA = timezone(timedelta(hours=8))

Verdict = tuple[type[DeliveryError], str]

_LATER: Verdict = (TemporaryFailure, "temporary")
_REFUSED: Verdict = (PermanentFailure, "rejected")
_CREDENTIALS: Verdict = (SenderFailure, "credentials")
_QUOTA: Verdict = (SenderFailure, "quota")
_MISCONFIGURED: Verdict = (SenderFailure, "misconfigured")

VERDICTS: dict[str, Verdict] = {
    # This message, later.
    "isp.SYSTEM_ERROR": _LATER,
    "isp.GATEWAY_ERROR": _LATER,
    "isp.UNKNOWN": _LATER,
    "ServiceUnavailable": _LATER,
    "isv.BUSINESS_LIMIT_CONTROL": _LATER,
    # The recipient.
    "isv.MOBILE_NUMBER_ILLEGAL": (PermanentFailure, "hard_bounce"),
    "isv.MOBILE_COUNT_OVER_LIMIT": _REFUSED,
    "isv.BLACK_KEY_CONTROL_LIMIT": (PermanentFailure, "blocked"),
    # The content.
    "isv.TEMPLATE_MISSING_PARAMETERS": _REFUSED,
    "isv.TEMPLATE_PARAMS_ILLEGAL": _REFUSED,
    "isv.INVALID_JSON_PARAM": _REFUSED,
    "isv.INVALID_PARAMETERS": _REFUSED,
    "isv.PARAM_LENGTH_LIMIT": _REFUSED,
    "isv.PARAM_NOT_SUPPORT_URL": _REFUSED,
    "isv.SMS_TEMPLATE_ILLEGAL": _REFUSED,
    "isv.SMS_SIGNATURE_ILLEGAL": _REFUSED,
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL": _REFUSED,
    "isv.SMS_SIGN_ILLEGAL": _REFUSED,
    "isv.SMS_CONTENT_ILLEGAL": _REFUSED,
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": _REFUSED,
    # The account.
    "isv.OUT_OF_SERVICE": _QUOTA,
    "isv.AMOUNT_NOT_ENOUGH": _QUOTA,
    # Limits that the account has set itself (help.aliyun.com/document_detail/101346.html).
    "isv.DAY_LIMIT_CONTROL": _QUOTA,
    "isv.MONTH_LIMIT_CONTROL": _QUOTA,
    "isv.PRODUCT_UN_SUBSCRIPT": _MISCONFIGURED,
    "isv.PRODUCT_UNSUBSCRIBE": _MISCONFIGURED,
    "isv.DENY_IP_RANGE": _MISCONFIGURED,
    "isv.ACCOUNT_NOT_EXISTS": _CREDENTIALS,
    "isv.ACCOUNT_ABNORMAL": (SenderFailure, "blocked"),
    "isp.RAM_PERMISSION_DENY": _CREDENTIALS,
    # The gateway in front of it.
    "SignatureDoesNotMatch": _CREDENTIALS,
    "IncompleteSignature": _CREDENTIALS,
    # Nonces are never used twice here: something in between sent the request again, and the first
    # one may have been taken.
    "SignatureNonceUsed": (OutcomeUnknown, "no_answer"),
}
# By how a code begins.
FAMILIES: tuple[tuple[str, Verdict], ...] = (
    ("Throttling", (SenderFailure, "throttled")),
    ("InvalidAccessKeyId", _CREDENTIALS),
    ("Forbidden", _CREDENTIALS),
    ("NoPermission", _CREDENTIALS),
    # The clock of this machine is wrong.
    ("InvalidTimeStamp", _MISCONFIGURED),
)
# Levels of the flow control, as the provider's words name them.
_LEVELS = (("分钟级", 60.0), ("小时级", 3600.0))
_BY_DAY = ("天级", "日级")
_NUMBER = re.compile(r"\d{5,}")
# The words of these quote the whole request, with the recipient and the content.
_QUOTING = ("SignatureDoesNotMatch", "IncompleteSignature")


def verdict_of(code: str) -> Verdict | None:
    """None for a code that is not known here."""
    known = VERDICTS.get(code)
    if known is not None:
        return known
    return next((verdict for start, verdict in FAMILIES if code.startswith(start)), None)


def judge(code: str, words: str, *, now: datetime | None = None) -> DeliveryError:
    """Of an answer that says `code`. An unknown code refuses this message."""
    failure, kind = verdict_of(code) or _REFUSED
    shown: dict[str, Any] = {"phase": "response", "code": code, "words": told(code, words)}
    if failure is TemporaryFailure or kind == "throttled":
        shown["retry_after"] = _wait(code, words, now or datetime.now(UTC))
    return failure(kind, **shown)


def told(code: str, words: str) -> str:
    """The provider's words without numbers and contents."""
    if code.startswith(_QUOTING):
        return "The signature does not fit."
    return _NUMBER.sub("***", " ".join(words.split()))[:200]


def _wait(code: str, words: str, now: datetime) -> float | None:
    """Seconds until it is worth another try, where the provider says."""
    if code == "isv.BUSINESS_LIMIT_CONTROL":
        for level, seconds in _LEVELS:
            if level in words:
                return seconds
    if code == "isv.BUSINESS_LIMIT_CONTROL" and any(level in words for level in _BY_DAY):
        here = now.astimezone(CHINA)
        midnight = here.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return (midnight - here).total_seconds()
    return 1.0 if code.startswith("Throttling") else None

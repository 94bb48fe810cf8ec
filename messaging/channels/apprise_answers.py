"""What the calls of a hand-over mean for its message.

Apprise says only whether it was content. Of some services it takes every HTTP 200 for a yes,
although they refuse in its body; here the body is read.
"""

from messaging.channels.apprise_http import Exchange, words_of
from messaging.channels.base import (
    DeliveryError,
    OutcomeUnknown,
    PermanentFailure,
    SenderFailure,
    TemporaryFailure,
)

# How often a message is tried that is refused in words that nobody here knows.
MAX_TRIES = 5
# Services that refuse in the body of a 200: where it says so, and what it says when all is well.
WELL: dict[str, tuple[str, object]] = {
    "bark": ("code", 200),
    "dingtalk": ("errcode", 0),
    "feishu": ("code", 0),
    "lark": ("code", 0),
    "pushdeer": ("code", 0),
    "serverchan": ("code", 0),
    "synology": ("success", True),
}
# Their codes, where they say more than no (open.dingtalk.com, "custom robot"; open.feishu.cn,
# "custom bot"). DingTalk blocks a robot for ten minutes that sends more than 20 a minute.
CODES: dict[tuple[str, str], tuple[type[DeliveryError], str, float | None]] = {
    ("dingtalk", "130101"): (SenderFailure, "throttled", 600.0),
    ("dingtalk", "410100"): (SenderFailure, "throttled", 600.0),
    ("dingtalk", "300001"): (SenderFailure, "credentials", None),
    ("dingtalk", "400101"): (SenderFailure, "credentials", None),
    ("dingtalk", "400102"): (SenderFailure, "blocked", None),
    ("feishu", "11232"): (SenderFailure, "throttled", 60.0),
    ("feishu", "19001"): (SenderFailure, "credentials", None),
    ("feishu", "19021"): (SenderFailure, "credentials", None),
    ("lark", "11232"): (SenderFailure, "throttled", 60.0),
    ("lark", "19001"): (SenderFailure, "credentials", None),
    ("lark", "19021"): (SenderFailure, "credentials", None),
}


def judge(exchange: Exchange, *, service: str, is_taken: bool, tries: int) -> DeliveryError | None:
    """None if the message was taken."""
    outcomes = exchange.outcomes
    if is_taken and exchange.reply is not None and outcomes[-1] is None:
        return None if _is_well(service, exchange) else _refusal(service, exchange, tries)
    for outcome in outcomes:
        if isinstance(outcome, OutcomeUnknown):
            return outcome
    if not outcomes:
        return PermanentFailure("rejected", phase="serialize", words="Apprise sent nothing.")
    return outcomes[-1] or _refusal(service, exchange, tries)


def _code(service: str, exchange: Exchange) -> object:
    """None where there is none."""
    reply = exchange.reply
    if service not in WELL or reply is None:
        return None
    return (reply.object() or {}).get(WELL[service][0])


def _is_well(service: str, exchange: Exchange) -> bool:
    code = _code(service, exchange)
    return code is None or code == WELL[service][1]


def _refusal(service: str, exchange: Exchange, tries: int) -> DeliveryError:
    """It was answered with a 2xx, and that was no yes."""
    assert exchange.reply is not None
    words = words_of(exchange.reply)
    code = str(exchange.reply.status)
    said = str(_code(service, exchange))
    if (service, said) in CODES:
        failure, kind, seconds = CODES[service, said]
        return failure(kind, phase="response", code=code, words=words, retry_after=seconds)
    # Whether it is for good nobody knows: a few tries tell.
    if tries + 1 < MAX_TRIES:
        return TemporaryFailure("temporary", phase="response", code=code, words=words)
    return PermanentFailure("rejected", phase="response", code=code, words=words)

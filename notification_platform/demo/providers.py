"""What providers answer to a hand-over and report later, in their own words, and how often."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from random import Random

from core.masking import mask_addresses
from messaging.channels.base import (
    DeliveryError,
    OutcomeUnknown,
    PermanentFailure,
    SenderFailure,
    TemporaryFailure,
)
from messaging.models import Attempt

_OUTCOMES: dict[type[DeliveryError], Attempt.Outcome] = {
    TemporaryFailure: Attempt.Outcome.TEMPORARY,
    PermanentFailure: Attempt.Outcome.PERMANENT,
    SenderFailure: Attempt.Outcome.SENDER,
    OutcomeUnknown: Attempt.Outcome.UNKNOWN,
}


@dataclass(frozen=True)
class Refusal:
    """Any answer but yes."""

    failure: type[DeliveryError]
    kind: str
    phase: str = "response"
    code: str = ""
    words: str = ""
    retry_after: float | None = None

    @property
    def outcome(self) -> Attempt.Outcome:
        return _OUTCOMES[self.failure]

    @cached_property
    def detail(self) -> str:
        """As a message keeps it."""
        error = self.failure(self.kind, phase=self.phase, code=self.code, words=self.words)
        return mask_addresses(str(error))[:500]


_LATE = "The server did not answer in time."
_BUSY = (-1, "system error")
# By adapter and by what happens. `gone` is a recipient that does not exist.
REFUSALS: dict[str, dict[str, Refusal]] = {
    "smtp": {
        "gone": Refusal(PermanentFailure, "hard_bounce", "rcpt", "550 5.1.1", "User unknown"),
        "blocked": Refusal(PermanentFailure, "blocked", "rcpt", "554 5.7.1", "Refused by policy"),
        "rejected": Refusal(
            PermanentFailure, "rejected", "final_dot", "552 5.3.4", "Message too large"
        ),
        "later": Refusal(
            TemporaryFailure, "greylisted", "rcpt", "451 4.7.1", "Greylisted, try again later", 60
        ),
        "full": Refusal(TemporaryFailure, "mailbox_full", "rcpt", "452 4.2.2", "Mailbox full"),
        "silent": Refusal(OutcomeUnknown, "no_answer", "final_dot", words=_LATE),
        "down": Refusal(
            SenderFailure,
            "transient",
            "connect",
            words="ConnectionRefusedError: Connection refused",
        ),
    },
    "anymail": {
        "gone": Refusal(PermanentFailure, "rejected", words="invalid"),
        "blocked": Refusal(PermanentFailure, "rejected", words="rejected"),
        "rejected": Refusal(PermanentFailure, "rejected", code="400", words="Bad request"),
        "silent": Refusal(OutcomeUnknown, "no_answer", code="504", words="Gateway timeout"),
        "down": Refusal(SenderFailure, "transient", code="503", words="Service unavailable"),
    },
    "aliyun_sms": {
        "gone": Refusal(
            PermanentFailure, "hard_bounce", code="isv.MOBILE_NUMBER_ILLEGAL", words="非法手机号"
        ),
        "blocked": Refusal(
            PermanentFailure, "blocked", code="isv.BLACK_KEY_CONTROL_LIMIT", words="黑名单管控"
        ),
        "rejected": Refusal(
            PermanentFailure,
            "rejected",
            code="isv.TEMPLATE_MISSING_PARAMETERS",
            words="模板缺少变量",
        ),
        "later": Refusal(
            TemporaryFailure,
            "temporary",
            code="isv.BUSINESS_LIMIT_CONTROL",
            words="触发分钟级流控",
            retry_after=60,
        ),
        "silent": Refusal(OutcomeUnknown, "no_answer", words=_LATE),
        "down": Refusal(SenderFailure, "transient", code="503", words="Service Unavailable"),
    },
    "wecom_app": {
        "gone": Refusal(PermanentFailure, "hard_bounce", code="81013", words="invalid user"),
        "rejected": Refusal(PermanentFailure, "rejected", code="45002", words="content too long"),
        "later": Refusal(TemporaryFailure, "temporary", code=str(_BUSY[0]), words=_BUSY[1]),
        "silent": Refusal(OutcomeUnknown, "no_answer", words=_LATE),
    },
    "wecom_robot": {
        "rejected": Refusal(PermanentFailure, "rejected", code="40058", words="invalid parameter"),
        "later": Refusal(TemporaryFailure, "temporary", code=str(_BUSY[0]), words=_BUSY[1]),
    },
    "wechat_official": {
        "gone": Refusal(PermanentFailure, "hard_bounce", code="43004", words="require subscribe"),
        "blocked": Refusal(
            PermanentFailure, "blocked", code="43101", words="user refuse to accept"
        ),
        "later": Refusal(TemporaryFailure, "temporary", code=str(_BUSY[0]), words=_BUSY[1]),
    },
    "apprise": {
        "rejected": Refusal(PermanentFailure, "rejected", code="413", words="Payload too large"),
        "down": Refusal(SenderFailure, "credentials", code="401", words="Unauthorized"),
    },
}
# Seconds that a hand-over takes: the median, and how far it spreads (of its logarithm).
PACES = {
    "smtp": (0.18, 0.6),
    "anymail": (0.25, 0.5),
    "aliyun_sms": (0.15, 0.5),
    "wecom_app": (0.12, 0.4),
    "wecom_robot": (0.12, 0.4),
    "wechat_official": (0.14, 0.5),
    "apprise": (0.3, 0.6),
}
_LETTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZbcdfghjklmnpqrstvwxyz"


def pace(adapter: str, rng: Random) -> float:
    middle, spread = PACES.get(adapter, (0.01, 0.2))
    return min(middle * math.exp(spread * rng.gauss(0, 1)), 25.0)


def receipt(adapter: str, attempt_id: str, rng: Random) -> tuple[str, str, str]:
    """Of a yes: the provider's id, code and words."""
    if adapter == "smtp":
        number = "".join(rng.choices(_LETTERS, k=12))
        return "", "250 2.0.0", f"Ok: queued as 4{number}"
    if adapter == "anymail":
        return f"<{rng.getrandbits(80):020x}@mailgun.example.com>", "", "queued"
    if adapter == "aliyun_sms":
        return f"{rng.randrange(10**17, 10**18)}^0", "OK", ""
    if adapter == "wechat_official":
        return str(rng.randrange(10**18, 10**19)), "0", "ok"
    if adapter == "wecom_app":
        return f"msg{rng.getrandbits(120):030x}", "0", "ok"
    if adapter == "wecom_robot":
        return "", "0", "ok"
    if adapter == "apprise":
        return "", "200", ""
    return f"simulated-{attempt_id}", "250", "Simulated: nothing was sent."


@dataclass(frozen=True, slots=True)
class Told:
    """A later report: `after` so many seconds, and whether its recipient is suppressed for it."""

    kind: str
    after: float
    words: str = ""
    suppress: str = ""


def reports(adapter: str, *, is_bulk: bool, is_last: bool, rng: Random) -> Iterator[Told]:
    """What a provider tells of a message that it took. `is_last`: its recipient gets no more."""
    if adapter == "anymail":
        yield from _of_mail(is_bulk, is_last, rng)
    elif adapter == "aliyun_sms":
        after = 2 + rng.expovariate(1 / 5)
        if rng.random() < 0.985:
            yield Told("delivered", after, "DELIVERED")
        else:
            yield Told("bounced", after + 40, "UNDELIVERED 终端不可达")
    elif adapter == "wechat_official":
        yield Told("delivered", 1 + rng.random() * 3, "success")
    elif adapter.startswith("simulator"):
        yield Told("delivered", 1 + rng.random(), "Simulated: delivered.")


def _of_mail(is_bulk: bool, is_last: bool, rng: Random) -> Iterator[Told]:
    dice, after = rng.random(), 1.5 + rng.expovariate(1 / 6)
    if is_last and dice < 0.5:
        yield Told("bounced", after, "550 5.1.1 No such mailbox", "hard_bounce")
        return
    if dice > 0.985:
        yield Told("deferred", after, "421 4.7.0 Try again later")
        after += 300 + rng.expovariate(1 / 1200)
    elif dice > 0.98:
        yield Told("bounced", after, "552 5.2.2 Mailbox full")
        return
    yield Told("delivered", after, "250 OK")
    if is_last:
        kind, why = ("complained", "complaint") if dice > 0.8 else ("unsubscribed", "unsubscribed")
        yield Told(kind, after + 60 + rng.expovariate(1 / 7200), suppress=why)
    elif rng.random() < (0.28 if is_bulk else 0.55):
        after += 30 + rng.expovariate(1 / 9000)
        yield Told("opened", after)
        if rng.random() < 0.22:
            yield Told("clicked", after + 5 + rng.expovariate(1 / 60))

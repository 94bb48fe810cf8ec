"""Accounts at providers which keep a ledger, and which fall ill and get well while they run."""

import json
import random
import ssl
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from typing import Any

from tests.faults.ledger import CopyLedger
from tests.imitations.certificates import make_certificate, server_context
from tests.imitations.http_provider import Act as HttpAct
from tests.imitations.http_provider import Answer, HttpProvider
from tests.imitations.smtp import Act, Mail, Reply, SmtpServer

PASSWORD = "right"
CODES: dict[str, tuple[str, ...]] = {
    "banner": ("421 4.3.2", "450 4.3.2", "554 5.3.2"),
    "auth": ("421 4.7.0", "454 4.7.0", "535 5.7.8"),
    "mail": ("421 4.7.0", "450 4.7.1", "451 4.7.1", "452 4.3.1", "550 5.7.1"),
    "rcpt": ("421 4.7.0", "450 4.2.0", "451 4.7.1", "452 4.5.3", "550 5.1.1", "552 5.2.2"),
    "data": ("421 4.3.2", "451 4.3.0", "452 4.3.1", "550 5.7.1", "554 5.7.1"),
    "final_dot": (
        *("421 4.3.2", "450 4.3.0", "451 4.3.0", "452 4.3.1", "454 4.7.0"),
        *("550 5.7.1", "552 5.3.4", "554 5.7.1"),
    ),
}


@dataclass(frozen=True, slots=True)
class Illness:
    """What is wrong with an SMTP account. `is_taken`: a message without an answer is kept."""

    phase: str = ""
    reply: Reply | None = None
    is_taken: bool = False
    byte_seconds: float = 0.0
    delay: float = 0.0
    has_wrong_name: bool = False

    @property
    def is_silent(self) -> bool:
        """The client has to wait until it gives up."""
        return self.reply in {Act.SILENCE, Act.DEAF}


ILLNESSES: dict[str, Illness] = {
    **{
        f"{code[:3]} at {phase}": Illness(phase, f"{code} not today")
        for phase, codes in CODES.items()
        for code in codes
    },
    "closes at the banner": Illness("banner", Act.CLOSE),
    "closes before DATA": Illness("data", Act.CLOSE),
    "closes after the dot, taken": Illness("final_dot", Act.CLOSE, is_taken=True),
    "closes after the dot, not taken": Illness("final_dot", Act.CLOSE),
    "resets after the dot, taken": Illness("final_dot", Act.RESET, is_taken=True),
    "half-closes after the dot, taken": Illness("final_dot", Act.HALF_CLOSE, is_taken=True),
    "hangs after the dot, taken": Illness("final_dot", Act.SILENCE, is_taken=True),
    "hangs after the dot, not taken": Illness("final_dot", Act.SILENCE),
    "hangs at MAIL": Illness("mail", Act.SILENCE),
    "one byte a second": Illness(byte_seconds=1.0),
    "certificate for another name": Illness(has_wrong_name=True),
    "slow": Illness(delay=0.5),
}


@dataclass(frozen=True, slots=True)
class Certificates:
    right: ssl.SSLContext
    wrong_name: ssl.SSLContext
    # Both, for SSL_CERT_FILE: only the name is wrong then.
    bundle: Path


def make_certificates(folder: Path) -> Certificates:
    right = make_certificate(folder)
    wrong = make_certificate(folder, host="mail.example.org")
    bundle = folder / "bundle.pem"
    bundle.write_bytes(right.read_bytes() + wrong.read_bytes())
    return Certificates(server_context(right), server_context(wrong), bundle)


class SmtpAccount(SmtpServer):
    """One login at an SMTP server of its own, on a fixed port."""

    def __init__(
        self, name: str, ledger: CopyLedger, *, certificates: Certificates | None, seed: int = 0
    ) -> None:
        super().__init__(users={name: PASSWORD})
        self.name = name
        self.ledger = ledger
        self.certificates = certificates
        # Seconds between taking a message and saying so while the account is well.
        self.usual_delay = 0.0
        self.illness: Illness | None = None
        self._probability = 1.0
        self._dice = random.Random(f"{seed} {name}")

    def __enter__(self) -> "SmtpAccount":
        super().__enter__()
        self.get_well()
        return self

    def fall_ill(self, illness: str | Illness, *, probability: float = 1.0) -> None:
        """From now on, in this share of the answers of its phase."""
        self.illness = found = ILLNESSES[illness] if isinstance(illness, str) else illness
        self._probability = probability
        self.keeps_unanswered = found.is_taken
        self.byte_seconds = found.byte_seconds
        if self.certificates and found.has_wrong_name:
            self.tls = self.certificates.wrong_name
        # Open connections know nothing of it yet where it shows at the beginning.
        if found.phase in {"banner", "auth"} or found.has_wrong_name:
            self.drop_connections()

    def get_well(self) -> None:
        self.illness = None
        self.byte_seconds = 0.0
        self.keeps_unanswered = False
        self.tls = self.certificates.right if self.certificates else None

    def next_reply(self, phase: str, default: str) -> Reply:
        illness = self.illness
        if (
            illness is not None
            and illness.reply is not None
            and illness.phase == phase
            and self._dice.random() < self._probability
        ):
            return illness.reply
        return super().next_reply(phase, default)

    def take(self, mail: Mail, *, is_answered: bool) -> None:
        headers = message_from_bytes(mail.data)
        self.ledger.add(
            message_id=headers.get("Message-ID", "<>")[1:].split("@")[0],
            attempt_id=headers.get("X-Notification-Attempt", ""),
            recipients=mail.recipients,
            account=mail.username,
            is_answered=is_answered,
        )
        delay = max(self.usual_delay, self.illness.delay if self.illness else 0.0)
        if delay:
            self.wait_until_stopped(delay)


@dataclass(frozen=True, slots=True)
class HttpIllness:
    reply: Answer | HttpAct
    is_taken: bool = False


def http_illnesses(provider: HttpProvider) -> dict[str, HttpIllness]:
    after_30 = {"Retry-After": "30"}
    return {
        "429": HttpIllness(provider.failure(429, headers=after_30)),
        "401": HttpIllness(provider.failure(401)),
        "422": HttpIllness(provider.failure(422)),
        "500": HttpIllness(provider.failure(500)),
        "503": HttpIllness(provider.failure(503, headers=after_30)),
        "silence, taken": HttpIllness(HttpAct.SILENCE, is_taken=True),
        "reset, taken": HttpIllness(HttpAct.RESET, is_taken=True),
        "reset, not taken": HttpIllness(HttpAct.RESET),
    }


class HttpAccount(HttpProvider):
    """One account at Postmark."""

    def __init__(self, name: str, ledger: CopyLedger) -> None:
        super().__init__("postmark")
        self.name = name
        self.ledger = ledger
        self.illness: HttpIllness | None = None

    def fall_ill(self, illness: str) -> None:
        self.illness = http_illnesses(self)[illness]

    def get_well(self) -> None:
        self.illness = None

    def answer(self, path: str, headers: Any, body: bytes) -> Answer | HttpAct:
        illness = self.illness
        if illness is None:
            return super().answer(path, headers, body)
        if illness.is_taken:
            self._keep(json.loads(body), is_answered=False)
        return illness.reply

    def _success(self, fields: dict[str, Any]) -> Answer:
        self._keep(fields, is_answered=True)
        return super()._success(fields)

    def _keep(self, fields: dict[str, Any], *, is_answered: bool) -> None:
        headers = {header["Name"]: header["Value"] for header in fields.get("Headers", ())}
        self.ledger.add(
            message_id=headers.get("Message-ID", "<>")[1:].split("@")[0],
            attempt_id=fields.get("Metadata", {}).get("attempt_id", ""),
            recipients=self._recipients(fields),
            account=self.name,
            is_answered=is_answered,
        )

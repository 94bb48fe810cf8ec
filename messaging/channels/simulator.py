"""A provider that exists nowhere, for trying out what real ones do. See `docs/test-mode.md`."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from django.utils.dateparse import parse_datetime

from messaging.channels.base import (
    Account,
    Channel,
    ChannelAdapter,
    Outbound,
    OutcomeUnknown,
    ProbeStep,
    Receipt,
    TemporaryFailure,
)
from messaging.channels.reports import News, UnreadableReport, key_of

# Reserved by RFC 2606: no name below `.invalid` will ever exist.
DOMAIN = "simulator.invalid"
FORMS = (
    f"There are delivered@{DOMAIN}, bounce@, complaint@, slow@, unknown@ and tempfail-1@ to "
    "tempfail-9@; a + and anything may follow the name, as in bounce+4711@."
)
SLOW_SECONDS = 3.0
_NAME = re.compile(r"(delivered|bounce|complaint|slow|unknown|tempfail-[1-9])(\+.*)?")


def is_simulated(address: str) -> bool:
    return address.lower().endswith(f"@{DOMAIN}")


def behaviour_of(address: str) -> str:
    """What happens to mail to `address`; every address elsewhere behaves as `delivered`. Empty for
    a name of the simulator's domain that means nothing."""
    if not is_simulated(address):
        return "delivered"
    named = _NAME.fullmatch(address.lower().rpartition("@")[0])
    return named.group(1) if named else ""


class Simulator(ChannelAdapter):
    """Sends nothing. What it answers follows from the addresses alone, so that any number of
    workers agree. There is one of each channel; it takes only what is bound to it."""

    is_named = True
    options = ()

    def send(self, outbound: Outbound) -> Receipt:
        told = {address: behaviour_of(address) for _, address in outbound.content.recipients()}
        kinds = set(told.values())
        if "slow" in kinds:
            time.sleep(SLOW_SECONDS)
        fails = max((int(kind[-1]) for kind in kinds if kind.startswith("tempfail-")), default=0)
        if outbound.tries < fails:
            words = f"Simulated: try {outbound.tries + 1} of {fails} that fail."
            raise TemporaryFailure("temporary", phase="response", code="451 4.3.0", words=words)
        if "unknown" in kinds:
            raise OutcomeUnknown("no_answer", phase="response", words="Simulated silence.")
        return Receipt(
            provider_message_id=f"simulated-{outbound.attempt_id}",
            code="250",
            words="Simulated: nothing was sent.",
            report=_report(told, attempt_id=outbound.attempt_id),
        )

    @classmethod
    def takes_reports(cls, options: dict[str, Any]) -> bool:
        """None from outside: it has its own in the answer to each message."""
        return False

    @classmethod
    def read_report(cls, request: HttpRequest, account: Account) -> list[News]:
        try:
            return [_news(event) for event in json.loads(request.body)["events"]]
        except (LookupError, ValueError, TypeError) as error:
            raise UnreadableReport(f"It is not the simulator's: {error!r}"[:200]) from error

    def probe(self) -> Iterator[ProbeStep]:
        yield ProbeStep("configure", True, "The simulator is part of the platform.", 0.0)


# By channel.
SIMULATORS: dict[Channel, type[Simulator]] = {
    channel: type(
        "Simulator",
        (Simulator,),
        {
            "name": "simulator" if channel is Channel.EMAIL else f"simulator-{channel.value}",
            "channel": channel,
        },
    )
    for channel in Channel
}
NAMES = frozenset(adapter.name for adapter in SIMULATORS.values())


def _report(told: dict[str, str], *, attempt_id: str) -> bytes:
    at = datetime.now(UTC).isoformat()
    steps = {"bounce": ["bounced"], "complaint": ["delivered", "complained"]}
    events = [
        {"event": kind, "recipient": address, "attempt_id": attempt_id, "at": at}
        for address, behaviour in told.items()
        for kind in steps.get(behaviour, ["delivered"])
    ]
    return json.dumps({"events": events}).encode()


def _news(event: dict[str, str]) -> News:
    kind, recipient = event["event"], event["recipient"].lower()
    suppress = {"bounced": "hard_bounce", "complained": "complaint"}.get(kind, "")
    words = {"bounced": "550 5.1.1 Simulated: no such mailbox."}.get(kind, f"Simulated: {kind}.")
    return News(
        kind=kind,
        key=key_of("simulator", event["attempt_id"], kind, recipient),
        at=parse_datetime(event["at"]),
        attempt_id=event["attempt_id"],
        recipient=recipient,
        # Nobody real is suppressed because of a game.
        suppress=suppress if is_simulated(recipient) else "",
        words=words,
    )

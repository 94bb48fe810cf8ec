"""Mailboxes that do not exist, as the answer to a hand-over says: they are not written to again."""

import re
from collections.abc import Iterator, Sequence

from core.masking import mask_addresses
from messaging import suppressions
from messaging.attempts import Outcome
from messaging.channels.base import PermanentFailure, Receipt
from messaging.channels.partial import addresses_of
from messaging.models import Suppression
from messaging.suppressions import Entry

# RFC 3463: no such mailbox or domain, a mailbox that moved or is disabled. Not 5.1.7 and 5.1.8,
# which speak of the sender; and not a bare 550, which may mean anything.
_NO_MAILBOX = re.compile(r"5\d\d 5\.(1\.(0|1|2|3|6|10)|2\.1)\b")


def suppress_bounced(outcomes: Sequence[Outcome]) -> None:
    """Within the transaction that writes `outcomes`. For nobody else costs it a query."""
    for outcome in outcomes:
        message = outcome.job.claim.message
        for address, words in _bounced(outcome):
            suppressions.add(
                Entry(address.lower(), Suppression.Reason.HARD_BOUNCE, mask_addresses(words)[:200]),
                channel=message.channel,
                application_id=None,
                source=outcome.job.sender.name,
                now=outcome.at,
            )


def _bounced(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Addresses, and what was said of each."""
    result, content = outcome.result, outcome.job.claim.content
    if isinstance(result, Receipt):
        for refusal in result.refused:
            role, _, index = refusal.position.partition("/")
            people = content.get(role, ())
            if _NO_MAILBOX.match(refusal.code) and int(index) < len(people):
                yield people[int(index)][1], f"{refusal.code} {refusal.words}"
    elif isinstance(result, PermanentFailure) and _NO_MAILBOX.match(result.code):
        addresses = addresses_of(content)
        # Of several nobody said which it was.
        if len(addresses) == 1:
            yield addresses[0], f"{result.code} {result.words}"

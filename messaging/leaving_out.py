"""Looks, before each hand-over, for recipients that were suppressed since the acceptance."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from messaging import states, suppressions
from messaging.channels.partial import addresses_of, without
from messaging.models import Reason
from messaging.states import Claim


def leave_out(claims: Sequence[Claim], *, channel: str, now: datetime) -> list[Claim]:
    """`claims` without suppressed recipients. Those that have nobody left are failed, and gone from
    the list. At most one query, however many there are, and none while nobody is suppressed."""
    none_at = suppressions.none_at()
    if none_at is not None and not any(_may_be_partial(claim, none_at) for claim in claims):
        return list(claims)
    addresses = {a for claim in claims for a in addresses_of(claim.message.content)}
    found = suppressions.find_for_many(channel=channel, addresses=addresses, now=now)
    if not found:
        return list(claims)
    kept, nobody = [], []
    for claim in claims:
        owners = (None, claim.message.application_id)
        suppressed = {address for address, owner in found if owner in owners}
        partial = without(claim.message.content, suppressed)
        if partial is None:
            kept.append(claim)
        elif partial.content:
            kept.append(replace(claim, partial=partial))
        else:
            nobody.append(claim.message)
    if nobody:
        detail = "Every recipient was put on the suppression list after it was accepted."
        states.fail_unsent(nobody, reason=Reason.SUPPRESSED, detail=detail, now=now)
    return kept


def _may_be_partial(claim: Claim, none_at: datetime) -> bool:
    """Whether somebody may have been told of one of its recipients that he is left out: those who
    accept always look."""
    content = claim.message.content
    try:
        has_others = len(content.get("to", ())) > 1 or "cc" in content or "bcc" in content
    except (AttributeError, TypeError):
        return False
    return has_others and claim.message.created_at >= none_at

"""Slows down who tries secrets: failed attempts are counted by key id and by network."""

from ipaddress import ip_network
from math import ceil

from django.conf import settings

from accounts.limits import REFUSED, tally_key
from accounts.networks import IPAddress
from accounts.quotas import hidden
from core import tallies
from core.errors import Code, DomainError

# Both limits are for a minute.
WINDOW = 60.0


def enter(key_id: str, address: IPAddress | None) -> None:
    """Count an attempt as failed, before anything is looked up, so that many at the same time get
    no further. Raises `DomainError` (`rate_limited`), the same for keys that there are and those
    that there are not."""
    asked = _tallies(key_id, address)
    if not asked:
        return
    refused = [verdict.wait for verdict in tallies.ask(asked) if not verdict.is_granted]
    if refused:
        REFUSED.labels(Code.RATE_LIMITED).inc()
        raise DomainError(
            Code.RATE_LIMITED,
            "Too many attempts with this key or from this network failed. Wait for as long as"
            " Retry-After says.",
            retry_after=max(1, ceil(max(refused))),
        )


def succeed(key_id: str, address: IPAddress | None) -> None:
    """It was no failure after all."""
    if given := _tallies(key_id, address, amount=-1):
        tallies.ask(given)


def _tallies(key_id: str, address: IPAddress | None, *, amount: int = 1) -> list[tallies.Tally]:
    # Hidden: callers type secrets into the wrong field.
    named = {
        tally_key("token", "network", hidden(network_of(address))): (
            settings.TOKEN_FAILURES_PER_NETWORK
        ),
        tally_key("token", "key", hidden(key_id)): settings.TOKEN_FAILURES_PER_KEY,
    }
    return [
        tallies.Bucket(key, size=size, seconds=WINDOW, amount=amount)
        for key, size in named.items()
        if size
    ]


def network_of(address: IPAddress | None) -> str:
    """An IPv4 address, or the /64 of an IPv6 one: who has one address of it has all of them."""
    if address is None:
        return "unknown"
    return str(ip_network((address, 32 if address.version == 4 else 64), strict=False))

"""Who is calling, and from which network."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

IPAddress = IPv4Address | IPv6Address


def parse_network(text: object) -> IPv4Network | IPv6Network:
    """Raises `ValueError` with a sentence for people."""
    try:
        return ip_network(str(text).strip())
    except ValueError as error:
        raise ValueError(
            _("%(text)s is no network: %(why)s.") % {"text": repr(str(text)[:60]), "why": error}
        ) from error


def client_address(meta: dict[str, Any]) -> IPAddress | None:
    """The caller's address: the peer's, or, behind TRUSTED_PROXIES proxies, the entry of
    X-Forwarded-For that the outermost of them wrote. Entries further left are the caller's own
    claims."""
    address = str(meta.get("REMOTE_ADDR") or "")
    if settings.TRUSTED_PROXIES:
        hops = [hop.strip() for hop in str(meta.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
        if len(hops) >= settings.TRUSTED_PROXIES and hops[-settings.TRUSTED_PROXIES]:
            address = hops[-settings.TRUSTED_PROXIES]
    try:
        found = ip_address(address)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_allowed(address: IPAddress | None, networks: Iterable[str]) -> bool:
    allowed = [ip_network(network) for network in networks]
    if not allowed:
        return True
    return address is not None and any(address in network for network in allowed)

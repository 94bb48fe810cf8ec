"""Which URLs and addresses may be called at all.

An address is allowed if it is public (the special-purpose registries of IANA, read on 2026-11-25),
or in a network that the operator has named. Whatever carries an IPv4 address inside an IPv6 one is
refused, whichever that is.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

import idna

Networks = Sequence[IPv4Network | IPv6Network]

MAX_URL = 500
HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
# What browsers and C libraries take for a number in a host: 0x7f.1, 017700000001, 2130706433.
NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
# Below are services that were never meant to be spoken to by strangers, whatever the protocol.
FIRST_FREE_PORT = 1024
PORTS = {"https": 443, "http": 80}

NOT_PUBLIC: Networks = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; the metadata of Alibaba Cloud
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; the metadata of Oracle Cloud
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments, ORCHID and benchmarks among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
]
# Of IPv6 only this is public: no loopback, local, site-local, multicast or reserved address.
GLOBAL_UNICAST = ip_network("2000::/3")
# These lead to an IPv4 address inside them, past a look at IPv4 networks. No setting allows them.
WITH_IPV4_INSIDE: Networks = [
    ip_network(text)
    for text in (
        "::ffff:0:0/96",  # mapped
        "::ffff:0:0:0/96",  # translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, local
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
    )
]
# ISATAP keeps one in its last half: …:0:5efe:a.b.c.d (RFC 5214).
ISATAP = {0x0000_5EFE, 0x0200_5EFE}

# What a cloud tells its machines about themselves, passwords included. No setting allows these.
METADATA_ADDRESSES = {
    ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
    )
}
METADATA_HOSTS = {"metadata", "metadata.google.internal", "metadata.goog", "instance-data"}


class ForbiddenUrl(Exception):
    """It must not be called; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be called, if its addresses may. `authority` is for the header `Host`."""

    scheme: str
    host: str
    port: int
    path: str
    authority: str


def read_url(url: str, *, networks: Networks = (), allows_http: bool = False) -> Target:
    """The parts of `url`, its host in ASCII. Asks no name server. Raises `ForbiddenUrl`."""
    if len(url) > MAX_URL:
        raise ForbiddenUrl(f"It is longer than {MAX_URL} characters.")
    if re.search(r"[\x00-\x20\x7f-\xa0\\\u2000-\u200f\u2028-\u202f\ud800-\udfff\ufeff]", url):
        raise ForbiddenUrl("It holds blanks, backslashes or control characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ForbiddenUrl("It is no URL.") from None
    if parts.scheme not in PORTS or not url.lower().startswith(f"{parts.scheme}://"):
        raise ForbiddenUrl("It must start with https://.")
    if parts.scheme == "http" and not allows_http:
        raise ForbiddenUrl("It must start with https://; plain http is not allowed here.")
    if "@" in parts.netloc:
        raise ForbiddenUrl("It holds a user name or password, which would be no secret there.")
    if "#" in url:
        raise ForbiddenUrl("It holds a fragment (#), which is never sent.")
    host = read_host(parts.hostname or "", networks)
    standard = PORTS[parts.scheme]
    if port is None and parts.netloc.endswith(":"):
        raise ForbiddenUrl("Its port is missing.")
    if port not in (None, standard) and not FIRST_FREE_PORT <= int(port or 0) <= 65_535:
        raise ForbiddenUrl(f"Its port must be {standard}, or from {FIRST_FREE_PORT} on.")
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port in (None, standard) else f"{shown}:{port}"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise ForbiddenUrl("Characters beyond ASCII in its path must be percent-encoded.")
    return Target(parts.scheme, host, port or standard, path, authority)


def read_host(text: str, networks: Networks = ()) -> str:
    """A name in ASCII, or an address that may be called. Raises `ForbiddenUrl`."""
    if ":" in text:
        judge_addresses(text, [text], networks)
        return text
    try:
        host = text if text.isascii() else idna.encode(text, uts46=True).decode()
    except idna.IDNAError as error:
        raise ForbiddenUrl("Its host is no valid name.") from error
    host = host.lower()
    if len(host) > 253 or not HOST.fullmatch(host):
        raise ForbiddenUrl("Its host is no valid name.")
    if host in METADATA_HOSTS:
        raise ForbiddenUrl(f"{host} tells a machine's own secrets.")
    if NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            IPv4Address(host)
        except ValueError:
            raise ForbiddenUrl("Its host is an address in an unusual spelling.") from None
        judge_addresses(host, [host], networks)
    return host


def judge_addresses(host: str, addresses: Iterable[str], networks: Networks = ()) -> list[str]:
    """All of them, if each may be called: a name that also leads inside is refused as a whole.
    Raises `ForbiddenUrl`."""
    judged = []
    for text in addresses:
        try:
            address = ip_address(text)
        except ValueError:
            address = None
        if address is None or not is_allowed(address, networks):
            which = "It" if text == host else f"{host} leads to {text}, which"
            raise ForbiddenUrl(f"{which} is no public address.")
        judged.append(text)
    return judged


def is_allowed(address: IPv4Address | IPv6Address, networks: Networks = ()) -> bool:
    if address in METADATA_ADDRESSES or getattr(address, "scope_id", None):
        return False
    if isinstance(address, IPv6Address) and _has_ipv4_inside(address):
        return False
    return any(address in network for network in networks) or _is_public(address)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return not any(address in network for network in NOT_PUBLIC)


def _has_ipv4_inside(address: IPv6Address) -> bool:
    is_isatap = (int(address) >> 32) & 0xFFFF_FFFF in ISATAP
    # `::a.b.c.d`, out of use since 2006. `::` and `::1` are no such ones.
    is_compatible = 1 < int(address) < 1 << 32
    return is_isatap or is_compatible or any(address in each for each in WITH_IPV4_INSIDE)

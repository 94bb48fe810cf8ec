"""Where calls may lead, and what they may cost. A canary on loopback must never be reached."""

import socket
from ipaddress import ip_network

import pytest

from core.outgoing import Answer as Got
from core.outgoing import CallFailed, Rules, post
from core.outgoing_addresses import METADATA_ADDRESSES, ForbiddenUrl, read_url
from tests.imitations.canary import resolve_to

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
PUBLIC = "93.184.216.34"

# Of IPv4 and IPv6, as the resolver writes them.
FORBIDDEN_ADDRESSES = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254"),
    *("127.0.0.1", "127.0.1.1", "127.255.255.254", "169.254.0.1", "169.254.169.254"),
    *("169.254.170.2", "172.16.0.1", "172.31.255.254", "192.0.0.1", "192.0.0.192"),
    *("192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.254", "198.18.0.1"),
    *("198.19.255.254", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250"),
    *("240.0.0.1", "255.255.255.255", "168.63.129.16", "100.100.100.200"),
    *("::", "::1", "::2", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::8.8.8.8"),
    *("64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1"),
    *("2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "3fff::1", "5f00::1"),
    *("fc00::1", "fd00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fec0::1"),
    *("ff02::1", "ff0e::1", "4000::1", "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:7f00:1"),
]
# Spellings of hosts that lead inside somewhere: in browsers, in C libraries, or in careless checks.
FORBIDDEN_HOSTS = [
    *("127.1", "127.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.0.0.1", "0X7F.1"),
    *("0177.0.0.1", "127.0.0.01", "00000177.0.0.1", "127.0.0.1.", "localhost.", "0", "0x0"),
    *("１２７.０.０.１", "127。0。0。1", "①②⑦.⓪.⓪.①", "%31%32%37.0.0.1", "127.0.0.1%00"),
    *("[::1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[::]"),
    *("[fe80::1%25lo]", "[::1%25lo]", "127.0.0.1:80", "256.0.0.1", "127.0.0.1.1", "1.2.3.4.5"),
    *("metadata.google.internal", "METADATA.google.internal", "metadata", "instance-data"),
    *("", "-a.example.com", "a..example.com", "a_b.example.com", "xn--", "[v1.fe80::a]"),
]
FORBIDDEN_URLS = [
    "https://user@{name}:{port}/",
    "https://user:password@{name}:{port}/",
    "https://{public}@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}#@{public}/",
    "https://{public}\\@127.0.0.1:{port}/",
    "https:/127.0.0.1:{port}/",
    "https:127.0.0.1:{port}/",
    "https:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "http://{public}:{port}/",
    "HTTP://{public}/",
    "ftp://{public}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_",
    "https://{public}:22/",
    "https://{public}:0/",
    "https://{public}:/",
    "https://{public}:65536/",
    "https://{public}:-1/",
    "https://{public}:4４3/",
    "https://{public}:80/",
    "https://{public}/a b",
    "https://{public}/\r\nHost: inside",
    "https://{public}/\tx",
    " https://{public}/",
    "https://{public}/ü",
    "https://exam\u200bple.com/",
    "https://exam\u202eple.com/",
    "https://{public}/#fragment",
    "https://{public}/" + "a" * 500,
]


def call(url, *, rules=Rules(), seconds=2.0) -> Got:  # noqa: B008
    return post(url, b"{}", headers={"X-Test": "1"}, rules=rules, seconds=seconds)


@pytest.fixture
def connected(monkeypatch):
    """Where a connection was asked for; none is made but on loopback."""
    asked = []
    connect = socket.create_connection

    def spy(address, *args, **kwargs):
        asked.append(address[0])
        if address[0] in {"127.0.0.1", "::1"}:
            return connect(address, *args, **kwargs)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", spy)
    return asked


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
def test_a_name_that_leads_inside_is_not_called(address, canary, connected, monkeypatch):
    resolve_to(monkeypatch, [address])

    with pytest.raises(ForbiddenUrl, match="no public address"):
        call(f"https://hooks.example.com:{canary.port}/")

    assert connected == []


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
def test_an_address_inside_is_refused_before_anything_is_resolved(address, canary, monkeypatch):
    looks = resolve_to(monkeypatch, [PUBLIC])
    host = f"[{address}]" if ":" in address else address

    with pytest.raises(ForbiddenUrl):
        call(f"https://{host}:{canary.port}/")

    assert looks == []


@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
def test_no_spelling_of_a_host_gets_past(host, canary, connected):
    with pytest.raises(ForbiddenUrl):
        call(f"https://{host}:{canary.port}/")

    assert connected == []


@pytest.mark.parametrize("url", FORBIDDEN_URLS)
def test_no_other_url_gets_past(url, canary, connected, monkeypatch):
    resolve_to(monkeypatch, ["127.0.0.1"])

    with pytest.raises(ForbiddenUrl):
        call(url.format(port=canary.port, public=PUBLIC, name="hooks.example.com"))

    assert connected == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "ip6-localhost"])
def test_the_systems_own_names_are_judged_by_where_they_lead(host, canary, connected, monkeypatch):
    resolve_to(monkeypatch, ["127.0.0.1", "::1"])

    with pytest.raises(ForbiddenUrl):
        call(f"https://{host}:{canary.port}/")

    assert connected == []


def test_one_address_inside_among_public_ones_is_enough(canary, connected, monkeypatch):
    resolve_to(monkeypatch, [PUBLIC, "2606:4700::1111", "127.0.0.1"])

    with pytest.raises(ForbiddenUrl):
        call(f"https://hooks.example.com:{canary.port}/")

    assert connected == []


def test_what_was_judged_is_what_is_connected_whatever_the_next_look_would_say(
    canary, connected, monkeypatch
):
    looks = resolve_to(monkeypatch, [PUBLIC], ["127.0.0.1"])

    with pytest.raises(CallFailed, match="refused"):
        call(f"https://hooks.example.com:{canary.port}/")

    assert looks == ["hooks.example.com"]
    assert connected == [PUBLIC]


def test_every_call_looks_anew(canary, connected, monkeypatch):
    resolve_to(monkeypatch, [PUBLIC], ["127.0.0.1"])
    with pytest.raises(CallFailed):
        call(f"https://hooks.example.com:{canary.port}/")

    with pytest.raises(ForbiddenUrl):
        call(f"https://hooks.example.com:{canary.port}/")

    assert connected == [PUBLIC]


@pytest.mark.parametrize("address", sorted(map(str, METADATA_ADDRESSES)))
def test_no_setting_opens_the_way_to_metadata(address, monkeypatch):
    everything = Rules(networks=[ip_network("0.0.0.0/0"), ip_network("::/0")])
    resolve_to(monkeypatch, [address])

    with pytest.raises(ForbiddenUrl):
        call("https://hooks.example.com/", rules=everything)


@pytest.mark.parametrize("address", ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"])
def test_nor_a_way_around(address, monkeypatch):
    resolve_to(monkeypatch, [address])

    with pytest.raises(ForbiddenUrl):
        call("https://hooks.example.com/", rules=Rules(networks=[ip_network("::/0")]))


@pytest.mark.parametrize(
    ("url", "host", "authority"),
    [
        ("https://hooks.example.com", "hooks.example.com", "hooks.example.com"),
        ("https://Hooks.Example.com:443/a?b=c", "hooks.example.com", "hooks.example.com"),
        ("https://hooks.example.com:8443/", "hooks.example.com", "hooks.example.com:8443"),
        ("https://93.184.216.34/", "93.184.216.34", "93.184.216.34"),
        ("https://[2606:4700::1111]/", "2606:4700::1111", "[2606:4700::1111]"),
        ("https://bücher.example/", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("https://例子.example/", "xn--fsqu00a.example", "xn--fsqu00a.example"),
    ],
)
def test_public_urls_are_read(url, host, authority):
    target = read_url(url)

    assert (target.host, target.authority) == (host, authority)

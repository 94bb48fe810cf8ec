"""Where calls may lead, and what they may cost. A canary on loopback must never be reached."""

import socket
import ssl
import threading
import time
from ipaddress import ip_network

import pytest

from core import outgoing
from core.outgoing import Answer as Got
from core.outgoing import CallFailed, Rules, post
from core.outgoing_addresses import METADATA_ADDRESSES, ForbiddenUrl, read_url
from tests.imitations.certificates import make_certificate
from tests.imitations.webhook_receiver import Act, Answer, WebhookReceiver

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


class Canary:
    """Counts who connects to it."""

    def __init__(self) -> None:
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._listening.settimeout(0.02)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                continue
            self.connections += 1
            connection.close()

    def end(self) -> None:
        time.sleep(0.05)
        self._ended.set()
        self._thread.join()
        self._listening.close()


@pytest.fixture(scope="module")
def canary():
    canary = Canary()
    yield canary
    canary.end()
    assert canary.connections == 0


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


def resolve_to(monkeypatch, *answers):
    """The resolver answers each look with the next of `answers`, a list of addresses each."""
    left = [list(answer) for answer in answers]
    looks = []

    def getaddrinfo(host, port, *_, **__):
        looks.append(host)
        answer = left.pop(0) if len(left) > 1 else left[0]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, port))
            for each in answer
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return looks


def call(url, *, rules=Rules(), seconds=2.0) -> Got:  # noqa: B008
    return post(url, b"{}", headers={"X-Test": "1"}, rules=rules, seconds=seconds)


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


# --- over a real connection ----------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path):
    return make_certificate(tmp_path, host="hooks.example.com")


@pytest.fixture
def rules(certificate):
    return Rules(networks=LOOPBACK, ca_file=str(certificate))


@pytest.fixture
def receiver(certificate, monkeypatch):
    resolve_to(monkeypatch, ["127.0.0.1"])
    with WebhookReceiver(certificate, host="hooks.example.com") as receiver:
        yield receiver


def test_a_call_arrives_with_the_urls_host_and_path(receiver, rules):
    got = call(receiver.url, rules=rules)

    (heard,) = receiver.heard
    assert got.status == 204
    assert heard.path == "/hooks?from=us"
    assert heard.body == b"{}"
    assert heard.headers["host"] == f"hooks.example.com:{receiver.port}"
    assert heard.headers["x-test"] == "1"


def test_a_certificate_for_another_name_is_not_accepted(receiver, rules):
    with pytest.raises(CallFailed, match="certificate is not valid"):
        call(receiver.url.replace("hooks.", "other."), rules=rules)

    assert receiver.heard == []


def test_a_certificate_of_an_unknown_authority_is_not_accepted(receiver):
    with pytest.raises(CallFailed, match="certificate is not valid"):
        call(receiver.url, rules=Rules(networks=LOOPBACK))

    assert receiver.heard == []


def test_the_next_address_is_tried_when_one_does_not_answer(receiver, rules, monkeypatch):
    resolve_to(monkeypatch, ["::1", "127.0.0.1"])

    assert call(receiver.url, rules=rules).status == 204


def test_no_proxy_of_the_environment_is_asked(receiver, rules, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert call(receiver.url, rules=rules).status == 204


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_followed(receiver, rules, canary, status):
    receiver.script = [Answer(status, headers={"Location": f"http://127.0.0.1:{canary.port}/"})]

    assert call(receiver.url, rules=rules).status == status
    assert len(receiver.heard) == 1


@pytest.mark.parametrize("act", [Act.SILENCE, Act.DRIP_HEADERS, Act.CONTINUE_FOR_EVER])
def test_a_call_ends_in_time_however_slowly_the_answer_comes(receiver, rules, act):
    receiver.script = [act]
    started = time.monotonic()

    with pytest.raises(CallFailed, match=r"within 0\.5 s"):
        call(receiver.url, rules=rules, seconds=0.5)

    assert time.monotonic() - started < 1.5


def test_a_body_that_drips_does_not_hold_the_call_longer(receiver, rules):
    receiver.script = [Act.DRIP_BODY]
    started = time.monotonic()

    got = call(receiver.url, rules=rules, seconds=0.5)

    assert got.status == 500
    assert time.monotonic() - started < 1.5


def test_a_good_answer_is_not_waited_out(receiver, rules, monkeypatch):
    monkeypatch.setattr(outgoing, "GOOD_ANSWER_SECONDS", 0.2)
    receiver.script = [Act.DRIP_GOOD_BODY]
    started = time.monotonic()

    got = call(receiver.url, rules=rules, seconds=10)

    assert got.status == 200
    assert time.monotonic() - started < 2


def test_of_an_endless_body_64_kb_are_read(receiver, rules):
    receiver.script = [Act.FLOOD]

    got = call(receiver.url, rules=rules)

    assert len(got.body) == 65_536


def test_whoever_hangs_up_gave_no_answer(receiver, rules):
    receiver.script = [Act.CLOSE]

    with pytest.raises(CallFailed, match="broke off"):
        call(receiver.url, rules=rules)


def test_a_server_that_is_silent_during_the_handshake_is_given_up(monkeypatch, rules):
    resolve_to(monkeypatch, ["127.0.0.1"])
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        with pytest.raises(CallFailed, match="No TLS connection: it took too long"):
            call(f"https://hooks.example.com:{port}/", rules=rules, seconds=0.3)

    assert time.monotonic() - started < 1.5


def test_a_name_server_that_is_silent_is_given_up(monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(5) and [])
    started = time.monotonic()

    with pytest.raises(CallFailed, match="could not be resolved within"):
        call("https://hooks.example.com/", seconds=0.2)

    assert time.monotonic() - started < 1
    answered.set()


def test_a_name_that_is_not_there_says_so(monkeypatch):
    def getaddrinfo(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    with pytest.raises(CallFailed, match="Name or service not known"):
        call("https://hooks.example.com/")


def test_old_tls_is_not_spoken(rules, certificate, monkeypatch):
    resolve_to(monkeypatch, ["127.0.0.1"])

    assert outgoing._context(str(certificate)).minimum_version >= ssl.TLSVersion.TLSv1_2


def test_plain_http_needs_to_be_allowed(monkeypatch):
    resolve_to(monkeypatch, ["127.0.0.1"])
    with WebhookReceiver() as receiver:
        got = call(receiver.url, rules=Rules(networks=LOOPBACK, allows_http=True))

        with pytest.raises(ForbiddenUrl, match="https"):
            call(receiver.url, rules=Rules(networks=LOOPBACK))

    assert got.status == 204
    assert len(receiver.heard) == 1

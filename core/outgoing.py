"""Calls to addresses that strangers give us (OWASP, "Server-Side Request Forgery Prevention").

Every call resolves the name anew, judges every address it has, and connects to a judged address
itself, so that no second look at the DNS can lead elsewhere. It follows no redirect, knows no
proxy, and is bounded in time and size as a whole, however slowly the other side drips.
"""

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import certifi

from core.outgoing_addresses import Networks, Target, judge_addresses, read_url

MAX_BYTES = 65_536
# After a 2xx nobody needs the body; it is read for a moment so that the other side may end well.
GOOD_ANSWER_SECONDS = 1.0
# Of a name with many addresses.
MAX_ADDRESSES = 4


class CallFailed(Exception):
    """There was no answer: the sentence says how far it came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is cut off at `MAX_BYTES`."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator allows beyond public addresses by HTTPS."""

    networks: Networks = ()
    allows_http: bool = False
    # Of an authority of one's own, beside the public ones.
    ca_file: str = ""


def post(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    rules: Rules,
    seconds: float,
) -> Answer:
    """POST `body` to `url`. Raises `ForbiddenUrl` before anything is connected, and `CallFailed`
    when no answer came within `seconds`, all in all."""
    deadline = _Deadline(seconds)
    target = read_url(url, networks=rules.networks, allows_http=rules.allows_http)
    addresses = judge_addresses(
        target.host, resolve(target.host, target.port, seconds=seconds), rules.networks
    )
    sock = _connect(target, addresses[:MAX_ADDRESSES], rules, deadline)
    try:
        return _exchange(sock, target, body, headers, deadline)
    except TimeoutError as error:
        raise CallFailed(f"No answer within {seconds:g} s.") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CallFailed(f"The answer broke off: {_words(error)}") from error
    finally:
        sock.close()


def resolve(host: str, port: int, *, seconds: float) -> list[str]:
    """The addresses of a name. The system's resolver knows no time limit, so it is asked in a
    thread that is left behind when it takes too long. Raises `CallFailed`."""
    found: list[Any] = []
    failed: list[OSError | UnicodeError] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            failed.append(error)

    asking = threading.Thread(target=ask, name="resolver", daemon=True)
    asking.start()
    asking.join(seconds)
    if asking.is_alive():
        raise CallFailed(f"{host} could not be resolved within {seconds:g} s.")
    if failed or not found:
        raise CallFailed(f"{host} could not be resolved: {_words(failed[0] if failed else None)}")
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def left(self) -> float:
        """Raises `TimeoutError` when nothing is."""
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def shorten(self, seconds: float) -> None:
        self._ends_at = min(self._ends_at, time.monotonic() + seconds)


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.left())
        return self._sock.recv_into(buffer)


class _BoundedSocket:
    """What `http.client` needs of a socket. One call of a Python socket, a TLS handshake among
    them, takes as long as its timeout at most; here all of them together do."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._sock.settimeout(self._deadline.left())
            view = view[self._sock.send(view) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline))

    def close(self) -> None:
        """`post` closes it, after the answer was read."""


def _connect(
    target: Target, addresses: Sequence[str], rules: Rules, deadline: _Deadline
) -> socket.socket:
    """To the first that takes it. Raises `CallFailed`."""
    failure: Exception | None = None
    for number, address in enumerate(addresses):
        try:
            # Each gets its part of the time, the last all that is left.
            share = deadline.left() / (len(addresses) - number)
            sock = socket.create_connection((address, target.port), timeout=share)
        except OSError as error:
            failure = error
            continue
        if target.scheme == "http":
            return sock
        try:
            # The certificate must be for the name, whichever address was connected.
            encrypted = _context(rules.ca_file).wrap_socket(
                sock, server_hostname=target.host, do_handshake_on_connect=False
            )
            sock = encrypted
            encrypted.settimeout(deadline.left())
            encrypted.do_handshake()
        except (OSError, ValueError) as error:
            sock.close()
            raise CallFailed(f"No TLS connection: {_words(error)}") from error
        return encrypted
    raise CallFailed(f"No connection: {_words(failure)}") from failure


@lru_cache(maxsize=4)
def _context(ca_file: str) -> ssl.SSLContext:
    """Made once: reading the public authorities takes 20 ms."""
    context = ssl.create_default_context(cafile=certifi.where())
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _exchange(
    sock: socket.socket,
    target: Target,
    body: bytes,
    headers: Mapping[str, str],
    deadline: _Deadline,
) -> Answer:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = cast(socket.socket, _BoundedSocket(sock, deadline))
    connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
    # The host as the URL has it: its name, not the address that was connected.
    sent = {"Host": target.authority, **headers, "Connection": "close"}
    for name, value in (sent | {"Content-Length": str(len(body))}).items():
        connection.putheader(name, value)
    connection.endheaders(body)
    with connection.getresponse() as response:
        if 200 <= response.status < 300:
            deadline.shorten(GOOD_ANSWER_SECONDS)
        return Answer(response.status, dict(response.headers.items()), _beginning_of(response))


def _beginning_of(response: http.client.HTTPResponse) -> bytes:
    """At most `MAX_BYTES` of the body. What breaks off is no failure: the status is the answer, the
    body only words for people."""
    text = bytearray()
    try:
        while len(text) < MAX_BYTES and (piece := response.read1(MAX_BYTES - len(text))):
            text += piece
    except (OSError, http.client.HTTPException, ValueError):
        pass
    return bytes(text)


def _words(error: Exception | None) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({error.verify_message})."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    return f"{type(error).__name__}."

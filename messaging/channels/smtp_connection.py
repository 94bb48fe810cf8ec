"""The socket of an SMTP dialogue: commands out, replies in (RFC 5321, section 4.2).

`smtplib` waits anew for every byte, so a server that drips is never given up, and it cannot send
commands in one piece (RFC 2920). Here every wait ends at a moment: deadlines are values of
`time.monotonic()`. All that goes wrong on the wire is an `OSError`; what cannot be put on it is a
`ValueError`.
"""

import contextlib
import select
import socket
import ssl
import time
from typing import NamedTuple

# Bytes. Real replies have some hundred; an EHLO with everything has one thousand.
LONGEST_REPLY = 16_384
CHUNK = 8192
# The code of a line that is no reply.
GARBAGE = -1


class Reply(NamedTuple):
    """`lines` are without codes; those of garbage are as they came."""

    code: int
    lines: list[bytes]

    @property
    def words(self) -> str:
        """In one line of at most 400 characters."""
        return " ".join(b" ".join(self.lines).decode("utf-8", "replace").split())[:400]


class Connection:
    """One connection to one server. Not for threads. `awaited` counts the replies to come."""

    def __init__(self, host: str, port: int, *, deadline: float) -> None:
        self._host = host
        self._buffer = bytearray()
        # Of a reply that is not complete: its lines, and their size on the wire.
        self._lines: list[bytes] = []
        self._size = 0
        self.awaited = 0
        self.unwritten = 0
        self._socket = _connected(host, port, deadline)
        # Nothing here is written in small pieces for the system to gather.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A socket with a timeout asks the system twice more for every call.
        self._socket.setblocking(False)
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(self._socket, select.POLLIN)
        self._writable.register(self._socket, select.POLLOUT)
        self._is_encrypted = False

    @property
    def has_unread(self) -> bool:
        """Whether the server said more than it was asked, as far as we have seen."""
        return bool(self._buffer)

    def encrypt(self, context: ssl.SSLContext, *, deadline: float) -> str:
        """TLS from here on. Returns its version. What came in the clear behind the last reply
        would be read as if it had come encrypted: it is refused (CVE-2011-0411 and its like)."""
        if self._buffer:
            raise ConnectionError("the server spoke on before the TLS handshake")
        self._socket.settimeout(_left(deadline))
        # On failure it closes the socket itself.
        wrapped = context.wrap_socket(self._socket, server_hostname=self._host)
        self._socket, self._is_encrypted = wrapped, True
        self._socket.setblocking(False)
        return wrapped.version() or "TLS"

    def write_commands(self, commands: list[str], *, deadline: float) -> None:
        """All in one write; a reply to each is to be read after it."""
        self.awaited += len(commands)
        self.write(on_the_wire(commands), deadline=deadline)

    def write(self, data: bytes, *, deadline: float) -> None:
        """If this raises, the system did not take the last `unwritten` bytes of it."""
        rest = memoryview(data)
        self.unwritten = len(rest)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
                self.unwritten = len(rest)
            except ssl.SSLWantReadError:
                _wait(self._readable, deadline)
            except (BlockingIOError, ssl.SSLWantWriteError):
                _wait(self._writable, deadline)

    def read_reply(self, *, deadline: float) -> Reply:
        """The next complete reply, be it asked for or not."""
        while (reply := self._buffered_reply()) is None:
            if len(self._buffer) + self._size > LONGEST_REPLY:
                raise ConnectionError("a reply without end")
            self._receive(deadline)
        self.awaited = max(0, self.awaited - 1)
        return reply

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def _receive(self, deadline: float) -> None:
        """What is there, or nothing after some waiting. TLS may have bytes that the system does not
        know of, so it is asked before it is waited for."""
        try:
            if not self._is_encrypted:
                _wait(self._readable, deadline)
            chunk = self._socket.recv(CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError):
            _wait(self._readable, deadline)
        except ssl.SSLWantWriteError:
            _wait(self._writable, deadline)
        else:
            if not chunk:
                raise ConnectionError("the server closed the connection")
            self._buffer += chunk

    def _buffered_reply(self) -> Reply | None:
        start = 0
        found = None
        while found is None and (end := self._buffer.find(b"\n", start)) >= 0:
            line = bytes(self._buffer[start:end])
            start = end + 1
            if not line[:3].isdigit():
                found = Reply(GARBAGE, [*self._lines, line.strip()])
                break
            self._lines.append(line[4:].strip())
            if line[3:4] != b"-":
                found = Reply(int(line[:3]), self._lines)
        if start:
            del self._buffer[:start]
            self._size += start
        if found:
            self._lines, self._size = [], 0
        return found


def on_the_wire(commands: list[str]) -> bytes:
    """Raises `ValueError` for what is no command."""
    for command in commands:
        if "\r" in command or "\n" in command:
            raise ValueError("a line break in a command")
    return ("\r\n".join(commands) + "\r\n").encode("ascii")


def _connected(host: str, port: int, deadline: float) -> socket.socket:
    """The first of the host's addresses that answers. Each gets its share of the time, so that a
    dead one does not use up all of it. Only the look-up ends when the system's resolver says."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError("the name has no address")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        candidate = None
        try:
            candidate = socket.socket(family, kind, protocol)
            candidate.settimeout(_left(deadline) / (len(addresses) - index))
            candidate.connect(address)
            return candidate
        except BaseException as error:
            if candidate is not None:
                candidate.close()
            if not isinstance(error, OSError):
                raise
            failure = error
    raise failure


def _left(deadline: float) -> float:
    """Seconds until then; raises `TimeoutError` when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _wait(way: select.poll, deadline: float) -> None:
    if not way.poll(_left(deadline) * 1000):
        raise TimeoutError

"""An SMTP server on a loopback port that can misbehave in every phase.

    with SmtpServer() as server:
        server.script["rcpt"] = "451 4.7.1 greylisted"

`script` says what a phase answers from now on, `once` what it answers the next times, `recipients`
what RCPT answers for one address. An answer is a text (several lines with "\\n"), or an `Act`.
Everything may be changed while the server runs.
"""

import contextlib
import hmac
import socket
import ssl
import struct
import threading
from base64 import b64decode, b64encode
from collections import defaultdict, deque
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.imitations.certificates import server_context


class Act(Enum):
    CLOSE = auto()
    RESET = auto()
    # Reads on and says nothing.
    SILENCE = auto()
    # Does not even read.
    DEAF = auto()
    # The first of two lines, then the end.
    HALF = auto()
    # Says that nothing more will come, and reads on.
    HALF_CLOSE = auto()


Reply = str | Act


@dataclass(frozen=True, slots=True)
class Mail:
    """What one final dot ended. `raw` is as it came, `data` without the stuffed dots."""

    sender: str
    recipients: list[str]
    raw: bytes
    username: str
    is_encrypted: bool

    @property
    def data(self) -> bytes:
        lines = self.raw.split(b"\r\n")
        return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)


@dataclass
class SmtpServer:
    """Phases: banner, ehlo, helo, starttls, tls (the handshake), auth, mail, rcpt, data, midway (in
    the message, when 64 kB of it came), final_dot, rset, quit."""

    certificate: Path | None = None
    implicit_tls: bool = False
    offers_starttls: bool = True
    offers_pipelining: bool = False
    # Empty: no AUTH is offered. Otherwise nobody sends without it.
    users: dict[str, str] = field(default_factory=dict)
    auth_methods: str = "PLAIN LOGIN"
    messages_per_connection: int | None = None
    # Whether a message is kept for which the final dot got no answer.
    keeps_unanswered: bool = False
    # Between the bytes of an answer.
    byte_seconds: float = 0.0
    script: dict[str, Reply] = field(default_factory=dict)
    once: defaultdict[str, deque[Reply]] = field(default_factory=lambda: defaultdict(deque))
    recipients: dict[str, Reply] = field(default_factory=dict)
    # Seconds between two bytes of what a phase answers.
    drips: dict[str, float] = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)
    # Every line of the dialogue, by connection.
    heard: list[list[str]] = field(default_factory=list)
    # In how many pieces it came: a client that waits for answers writes many.
    pieces: int = 0

    def __enter__(self) -> Self:
        self.tls = server_context(self.certificate) if self.certificate else None
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Small, so that a client feels it when nobody reads.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._hang_up(self._listener)
        self.drop_connections()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a thread of the SMTP imitation did not end"
        self._listener.close()

    @property
    def connections(self) -> int:
        return len(self.heard)

    @property
    def commands(self) -> list[str]:
        """The verbs of all connections, in order."""
        return [line.split(" ")[0].upper() for lines in self.heard for line in lines]

    def drop_connections(self, words: str = "") -> None:
        """Hang up on everyone, as on idle clients, with `words` before if there are any."""
        for connection in list(self._sockets):
            if words:
                with contextlib.suppress(OSError):
                    connection.sendall(f"{words}\r\n".encode())
            self._hang_up(connection)

    def next_reply(self, phase: str, default: str) -> Reply:
        waiting = self.once[phase]
        return waiting.popleft() if waiting else self.script.get(phase, default)

    def keep_socket(self, connection: socket.socket) -> None:
        self._sockets.append(connection)

    def wait_until_stopped(self, seconds: float | None = None) -> bool:
        """False if it was not stopped in that time."""
        return self._stopping.wait(seconds)

    def take(self, mail: Mail, *, is_answered: bool) -> None:
        """The server is responsible for `mail` from here on, whether it says so or not."""
        self.mails.append(mail)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            lines: list[str] = []
            self.heard.append(lines)
            self._sockets.append(connection)
            self._start(_Dialogue(self, connection, lines).run)

    def _start(self, target: object) -> None:
        thread = threading.Thread(target=target, name="smtp-imitation")  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    @staticmethod
    def _hang_up(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class _HangUp(Exception):
    """This connection is over."""


class _Dialogue:
    def __init__(self, server: SmtpServer, connection: socket.socket, lines: list[str]) -> None:
        self.server = server
        self.connection = connection
        self.lines = lines
        self.buffer = b""
        self.username = ""
        self.is_encrypted = False
        self.count = 0
        self.sender: str | None = None
        self.taken: list[str] = []

    def run(self) -> None:
        with contextlib.suppress(_HangUp, OSError):
            if self.server.implicit_tls:
                self._encrypt()
            self._answer("banner", "220 imitation ESMTP")
            while True:
                self._command(self._line())
        with contextlib.suppress(OSError):
            self.connection.close()

    def _command(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        handler = getattr(self, f"_on_{verb.lower()}", None)
        if handler is None:
            self._write("500 5.5.2 unknown command")
        else:
            handler(rest)

    def _on_ehlo(self, rest: str) -> None:
        extensions = ["imitation", "SIZE 20000000"]
        if self.server.tls and self.server.offers_starttls and not self.is_encrypted:
            extensions.append("STARTTLS")
        if self.server.offers_pipelining:
            extensions.append("PIPELINING")
        if self.server.users:
            extensions.append(f"AUTH {self.server.auth_methods}")
        lines = [f"250-{extension}" for extension in extensions]
        self._answer("ehlo", "\n".join([*lines, "250 HELP"]))

    def _on_helo(self, rest: str) -> None:
        self._answer("helo", "250 imitation")

    def _on_starttls(self, rest: str) -> None:
        if self._answer("starttls", "220 go ahead").startswith("220"):
            self._encrypt()

    def _on_auth(self, rest: str) -> None:
        method, _, first = rest.partition(" ")
        if method not in self.server.auth_methods.split():
            self._write("504 5.5.4 unknown method")
            return
        is_right: bool | None = None
        if method == "CRAM-MD5":
            challenge = b"<1896.697170952@imitation>"
            reply = b64decode(self._challenge(b64encode(challenge).decode())).decode()
            username, _, digest = reply.partition(" ")
            password = self.server.users.get(username, "")
            is_right = digest == hmac.new(password.encode(), challenge, "md5").hexdigest()
        elif method == "PLAIN":
            _, username, password = b64decode(first or self._challenge("")).decode().split("\0")
        else:
            username = b64decode(first or self._challenge("VXNlcm5hbWU6")).decode()
            password = b64decode(self._challenge("UGFzc3dvcmQ6")).decode()
        if is_right is None:
            is_right = self.server.users.get(username) == password
        default = "235 2.7.0 welcome" if is_right else "535 5.7.8 wrong user or password"
        if self._answer("auth", default).startswith("235"):
            self.username = username

    def _on_mail(self, rest: str) -> None:
        default = "250 2.1.0 OK"
        if self.server.users and not self.username:
            default = "530 5.7.0 log in first"
        elif self.sender is not None:
            default = "503 5.5.1 nested MAIL"
        elif self.count == self.server.messages_per_connection:
            default = "421 4.7.0 too many messages in this connection"
        if self._answer("mail", default).startswith("250"):
            self.sender = rest.removeprefix("FROM:<").split(">")[0]

    def _on_rcpt(self, rest: str) -> None:
        address = rest.removeprefix("TO:<").removesuffix(">")
        default = "250 2.1.5 OK" if self.sender is not None else "503 5.5.1 MAIL first"
        if self._answer("rcpt", default, by=address).startswith("25"):
            self.taken.append(address)

    def _on_data(self, rest: str) -> None:
        default = "354 go ahead" if self.taken else "554 5.5.1 no valid recipients"
        if not self._answer("data", default).startswith("354"):
            return
        raw = self._message()
        mail = Mail(self.sender or "", self.taken, raw, self.username, self.is_encrypted)
        self.count += 1
        self._reset()
        self._answer("final_dot", "250 2.0.0 queued as 4711", keep=mail)

    def _on_rset(self, rest: str) -> None:
        self._reset()
        self._answer("rset", "250 2.0.0 OK")

    def _on_quit(self, rest: str) -> None:
        self._answer("quit", "221 2.0.0 bye")
        raise _HangUp

    def _reset(self) -> None:
        self.sender = None
        self.taken = []

    def _answer(self, phase: str, default: str, *, by: str = "", keep: Mail | None = None) -> str:
        reply = self.server.recipients.get(by) or self.server.next_reply(phase, default)
        is_taken = self.server.keeps_unanswered if isinstance(reply, Act) else reply[:1] == "2"
        if keep and is_taken:
            self.server.take(keep, is_answered=not isinstance(reply, Act))
        if isinstance(reply, Act):
            self._act(reply)
        assert isinstance(reply, str)
        self._write(reply, pause=self.server.drips.get(phase, 0.0))
        if reply.startswith("421"):
            raise _HangUp
        return reply

    def _act(self, act: Act) -> None:
        if act is Act.HALF_CLOSE:
            self.connection.shutdown(socket.SHUT_WR)
        if act in {Act.SILENCE, Act.HALF_CLOSE}:
            while self.connection.recv(65_536):
                pass
        elif act is Act.DEAF:
            self.server.wait_until_stopped()
        elif act is Act.HALF:
            self._write("250-2.0.0 half of")
        elif act is Act.RESET:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        raise _HangUp

    def _encrypt(self) -> None:
        reply = self.server.next_reply("tls", "")
        if isinstance(reply, Act):
            self._act(reply)
        assert self.server.tls is not None
        with contextlib.suppress(ssl.SSLError):
            self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
            self.server.keep_socket(self.connection)
            self.is_encrypted, self.buffer = True, b""
            return
        raise _HangUp

    def _challenge(self, challenge: str) -> str:
        self._write(f"334 {challenge}")
        return self._line()

    def _message(self) -> bytes:
        """Up to the final dot, and only CRLF ends a line."""
        size = 0
        while not self.buffer.startswith(b".\r\n") and b"\r\n.\r\n" not in self.buffer[-70_000:]:
            size += self._read()
            reply = self.server.next_reply("midway", "") if size >= 65_536 else ""
            if isinstance(reply, Act):
                self._act(reply)
            elif reply:
                self._write(reply)
                raise _HangUp
        if self.buffer.startswith(b".\r\n"):
            raw, self.buffer = b"", self.buffer[3:]
            return raw
        raw, self.buffer = self.buffer.split(b"\r\n.\r\n", 1)
        return raw + b"\r\n"

    def _line(self) -> str:
        while b"\r\n" not in self.buffer:
            self._read()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        text = line.decode("ascii", "backslashreplace")
        self.lines.append(text)
        return text

    def _read(self) -> int:
        chunk = self.connection.recv(65_536)
        if not chunk:
            raise _HangUp
        self.buffer += chunk
        self.server.pieces += 1
        return len(chunk)

    def _write(self, reply: str, *, pause: float = 0.0) -> None:
        pause = pause or self.server.byte_seconds
        data = reply.replace("\n", "\r\n").encode() + b"\r\n"
        step = 1 if pause else len(data)
        for start in range(0, len(data), step):
            if pause and self.server.wait_until_stopped(pause):
                raise _HangUp
            self.connection.sendall(data[start : start + step])

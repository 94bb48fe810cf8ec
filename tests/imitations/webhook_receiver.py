"""Somebody's webhook receiver on a loopback port: HTTP or HTTPS, well-behaved or not.

with WebhookReceiver(certificate) as receiver:
    receiver.script = [Answer(500), Answer(204)]
"""

import socket
import threading
import time
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.imitations.certificates import server_context


class Act(Enum):
    """What happens instead of an answer, after the whole request was read."""

    SILENCE = auto()
    CLOSE = auto()
    # A byte of the status line, of a header, or of the body at a time, for ever.
    DRIP_HEADERS = auto()
    DRIP_BODY = auto()
    # The same after a 200.
    DRIP_GOOD_BODY = auto()
    # A body without end.
    FLOOD = auto()
    # Interim answers without end.
    CONTINUE_FOR_EVER = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    # How long it thinks first.
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class WebhookReceiver:
    certificate: Path | None = None
    host: str = "127.0.0.1"
    # One for each request in order; the last one stays. Empty: 204.
    script: list[Answer | Act] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    # Bytes of a flood that were taken from us.
    flooded: int = 0
    connections: int = 0

    def __enter__(self) -> Self:
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        handler = type("Handler", (_Handler,), {"receiver": self})
        kind = type("Server", (_Server,), {"receiver": self})
        self._server = kind(("127.0.0.1", 0), handler)
        self._server.daemon_threads = False
        if self.certificate:
            self._server.socket = server_context(self.certificate).wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="webhook-receiver"
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join(10)
        for connection in self._sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{self.host}:{self.port}/hooks?from=us"

    def ids(self) -> list[str]:
        return [heard.headers["webhook-id"] for heard in self.heard]

    def keep(self, connection: socket.socket) -> None:
        with self.lock:
            self.connections += 1
            self._sockets.append(connection)

    def next_act(self, heard: Heard) -> Answer | Act:
        with self.lock:
            self.heard.append(heard)
            if len(self.script) > 1:
                return self.script.pop(0)
            return self.script[0] if self.script else Answer(204)


class _Server(ThreadingHTTPServer):
    receiver: WebhookReceiver
    # Many calls come at once.
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    receiver: WebhookReceiver
    protocol_version = "HTTP/1.1"
    timeout = 10

    def setup(self) -> None:
        self.receiver.keep(self.request)
        super().setup()

    def log_message(self, *_: Any) -> None:
        """Nothing: what it heard is in `heard`."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        act = self.receiver.next_act(Heard(self.path, headers, body, time.monotonic()))
        self.close_connection = True
        try:
            self._answer(act) if isinstance(act, Answer) else self._misbehave(act)
        except OSError:
            return

    def _answer(self, answer: Answer) -> None:
        self.receiver.stopping.wait(answer.seconds)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        body = answer.body.encode()
        if answer.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _misbehave(self, act: Act) -> None:
        stopping = self.receiver.stopping
        if act is Act.SILENCE:
            stopping.wait(60)
        elif act is Act.DRIP_HEADERS:
            self._drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 10_000)
        elif act in {Act.DRIP_BODY, Act.DRIP_GOOD_BODY}:
            status = b"500 Bad" if act is Act.DRIP_BODY else b"200 OK"
            self.wfile.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 100000\r\n\r\n")
            self._drip(b"b" * 100_000)
        elif act is Act.FLOOD:
            self.wfile.write(b"HTTP/1.1 500 Bad\r\nConnection: close\r\n\r\n")
            while not stopping.is_set():
                self.wfile.write(b"x" * 65_536)
                self.receiver.flooded += 65_536
        elif act is Act.CONTINUE_FOR_EVER:
            while not stopping.wait(0.005):
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _drip(self, data: bytes) -> None:
        for byte in data:
            self.wfile.write(bytes([byte]))
            if self.receiver.stopping.wait(0.05):
                return

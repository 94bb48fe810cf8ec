"""An HTTP server on a loopback port, for imitations of providers.

with AliyunSms() as provider:
    provider.once.append(Act.RESET)
"""

import json
import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


class Act(Enum):
    """What happens after the whole request was read, instead of an answer."""

    CLOSE = auto()
    RESET = auto()
    SILENCE = auto()
    # Half of what Content-Length promised, then the end.
    TRUNCATE = auto()
    # An answer that begins and never ends.
    DRIP = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Any, status: int = 200) -> Self:
        """JSON."""
        return cls(status, json.dumps(content, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was read to its end. `headers` are by names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Raises `ValueError`."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that the provider took, as its recipient reads it."""

    to: str
    text: str
    title: str = ""
    # In the provider's own words: which template, who signed it, …
    details: dict[str, Any] = field(default_factory=dict)


class LocalProvider:
    """Subclasses say in `answer` what the provider would. `script` answers every request instead,
    `once` the next ones; both leave the provider without anything it would have taken."""

    def __init__(self, *, port: int = 0) -> None:
        self._port = port
        self.script: Answer | Act | None = None
        self.once: deque[Answer | Act] = deque()
        # After it was taken: the answer is lost.
        self.lose: deque[Act] = deque()
        self.requests = 0
        self.arrived: list[Arrival] = []
        self.on_arrival: Callable[[Arrival], None] = lambda arrival: None
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self._sockets: list[socket.socket] = []

    def answer(self, asked: Asked) -> Answer:
        raise NotImplementedError

    def keep(self, arrival: Arrival) -> None:
        """It is taken: its recipient has it."""
        self.arrived.append(arrival)
        self.on_arrival(arrival)

    # --- the server ------------------------------------------------------------------------------

    def start(self) -> Self:
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        # Its end waits for the threads of the connections.
        self._server.daemon_threads = False
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(0.02,),
            name=f"{type(self).__name__}-imitation",
            daemon=True,
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join(10)
        self.drop_connections()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def drop_connections(self) -> None:
        for connection in self._sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def keep_socket(self, connection: socket.socket) -> None:
        self._sockets.append(connection)

    def react(self, asked: Asked) -> Answer | Act:
        with self.lock:
            self.requests += 1
            if self.once:
                return self.once.popleft()
            if self.script is not None:
                return self.script
            answer = self.answer(asked)
            return self.lose.popleft() if self.lose else answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    provider: LocalProvider

    def setup(self) -> None:
        self.provider.keep_socket(self.request)
        super().setup()

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def do_POST(self) -> None:
        self._do()

    def do_GET(self) -> None:
        self._do()

    def _do(self) -> None:
        parts = urlsplit(self.path)
        asked = Asked(
            method=self.command,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        answer = self.provider.react(asked)
        if isinstance(answer, Act):
            self._act(answer)
            return
        content = answer.body.encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _act(self, act: Act) -> None:
        self.close_connection = True
        if act is Act.SILENCE:
            while self.request.recv(65_536):
                pass
        elif act is Act.RESET:
            linger = struct.pack("ii", 1, 0)
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            # Closed here: `socketserver` would say good-bye before the reset.
            os.close(self.request.detach())
        elif act is Act.TRUNCATE:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")
        elif act is Act.DRIP:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
            while not self.provider.stopping.wait(0.02):
                self.wfile.write(b" ")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: who is interested looks at the provider."""

"""The send calls of Postmark, Mailgun, Brevo and Resend on a loopback port.

Credentials are checked for real. The bodies of the answers follow what Anymail reads from each
provider, and for Resend its page of errors; the others' words for errors are not verified.

    with HttpProvider("postmark") as provider:
        provider.script = provider.failure(429, headers={"Retry-After": "7"})
"""

import json
import os
import socket
import ssl
import struct
import threading
from base64 import b64decode
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from tests.imitations.certificates import server_context

SECRET = "right-secret"
DOMAIN = "mg.example.com"


class Act(Enum):
    """What happens after the whole request was read."""

    CLOSE = auto()
    RESET = auto()
    SILENCE = auto()
    # Half of what Content-Length promised, then the end.
    TRUNCATE = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


SENT: dict[str, dict[str, Any]] = {
    "postmark": {
        "SubmittedAt": "2026-11-22T12:00:00.0000000Z",
        "MessageID": "0a129aee-e1cd-480d-b08d-4f48548ff48d",
        "ErrorCode": 0,
        "Message": "OK",
    },
    "mailgun": {"id": "<20261122120000.1.A1B2@mg.example.com>", "message": "Queued. Thank you."},
    "brevo": {"messageId": "<202611221200.12345678901@smtp-relay.mailin.fr>"},
    "resend": {"id": "49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"},
}
IDS = {
    kind: next(body[k] for k in ("MessageID", "id", "messageId") if k in body)
    for kind, body in SENT.items()
}

# Errors that a provider words in its own way; for the others, `failure` has a body of its kind.
ERRORS: dict[tuple[str, int], dict[str, Any]] = {
    ("postmark", 401): {
        "ErrorCode": 10,
        "Message": "Request does not contain a valid Server token.",
    },
    ("postmark", 422): {"ErrorCode": 300, "Message": "Invalid 'From' address: 'nobody'."},
    ("postmark", 500): {"ErrorCode": 100, "Message": "An internal server error occurred."},
    ("postmark", 503): {"ErrorCode": 100, "Message": "Service unavailable"},
    ("mailgun", 400): {"message": "from parameter is missing"},
    ("mailgun", 402): {"message": "Please activate your Mailgun account."},
    ("mailgun", 404): {"message": "Domain not found: wrong.example.com"},
    ("brevo", 401): {"message": "Key not found", "code": "unauthorized"},
    ("brevo", 402): {"code": "not_enough_credits", "message": "Not enough credits"},
    ("brevo", 400): {"code": "missing_parameter", "message": "sender is missing"},
    ("brevo", 405): {"code": "not_enough_credits", "message": "You have no credits left"},
    ("resend", 401): {
        "statusCode": 401,
        "name": "missing_api_key",
        "message": "Missing API key in the authorization header",
    },
    ("resend", 403): {
        "statusCode": 403,
        "name": "validation_error",
        "message": "The example.com domain is not verified.",
    },
    ("resend", 422): {
        "statusCode": 422,
        "name": "missing_required_field",
        "message": "Missing `subject` field.",
    },
    ("resend", 429): {
        "statusCode": 429,
        "name": "rate_limit_exceeded",
        "message": "Too many requests.",
    },
}


@dataclass
class HttpProvider:
    kind: str
    certificate: Path | None = None
    secret: str = SECRET
    script: Answer | Act | None = None
    # Instead of the TLS handshake.
    handshake: Act | None = None
    once: deque[Answer | Act] = field(default_factory=deque)
    # Addresses that the provider refuses.
    inactive: set[str] = field(default_factory=set)
    # Parsed bodies of the requests that were answered with success.
    sent: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0
    connections: int = 0

    def __enter__(self) -> Self:
        self.stopping = threading.Event()
        self._sockets: list[socket.socket] = []
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        # Its end waits for the threads of the connections.
        self._server.daemon_threads = False
        if self.certificate:
            self._server.socket = server_context(self.certificate).wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="http-imitation"
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
        self.drop_connections()
        self._server.server_close()

    @property
    def url(self) -> str:
        scheme = "https" if self.certificate else "http"
        path = {"mailgun": "/v3/", "brevo": "/v3/"}.get(self.kind, "/")
        return f"{scheme}://127.0.0.1:{self._server.server_address[1]}{path}"

    def failure(self, status: int, *, headers: dict[str, str] | None = None) -> Answer:
        """The provider's answer with this status."""
        known = ERRORS.get((self.kind, status), {"message": f"HTTP {status}"})
        if status in {502, 504}:
            return Answer(status, "<html><h1>Bad Gateway</h1></html>", headers or {})
        return Answer(status, json.dumps(known), headers or {})

    def drop_connections(self) -> None:
        for connection in self._sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def keep_socket(self, connection: socket.socket) -> None:
        self.connections += 1
        self._sockets.append(connection)

    # --- the providers ---------------------------------------------------------------------------

    def answer(self, path: str, headers: Any, body: bytes) -> Answer | Act:
        self.requests += 1
        if self.once:
            return self.once.popleft()
        if self.script is not None:
            return self.script
        if not self._is_authorized(headers):
            return self._unauthorized()
        paths = {"postmark": "/email", "brevo": "/v3/smtp/email", "resend": "/emails"}
        if path != paths.get(self.kind, f"/v3/{DOMAIN}/messages"):
            return self.failure(404)
        if self.kind == "mailgun":
            fields: dict[str, Any] = parse_qs(body.decode(), keep_blank_values=True)
        else:
            fields = json.loads(body)
        return self._refusal(fields) or self._success(fields)

    def _is_authorized(self, headers: Any) -> bool:
        if self.kind == "mailgun":
            scheme, _, coded = headers.get("Authorization", "").partition(" ")
            return scheme == "Basic" and b64decode(coded).decode() == f"api:{self.secret}"
        name, prefix = {
            "postmark": ("X-Postmark-Server-Token", ""),
            "brevo": ("api-key", ""),
            "resend": ("Authorization", "Bearer "),
        }[self.kind]
        return bool(headers.get(name) == prefix + self.secret)

    def _unauthorized(self) -> Answer:
        if self.kind == "mailgun":
            return Answer(401, "Forbidden", {"Content-Type": "text/plain"})
        if self.kind == "resend":
            named = {"statusCode": 403, "name": "invalid_api_key", "message": "API key is invalid"}
            return Answer(403, json.dumps(named))
        return self.failure(401)

    def _recipients(self, fields: dict[str, Any]) -> list[str]:
        found: list[Any] = []
        for role in ("to", "cc", "bcc", "To", "Cc", "Bcc"):
            value = fields.get(role, [])
            found += value.split(",") if isinstance(value, str) else value
        texts = [one["email"] if isinstance(one, dict) else one for one in found]
        return [text.split("<")[-1].strip(" >").lower() for text in texts]

    def _refusal(self, fields: dict[str, Any]) -> Answer | None:
        """All recipients refused. (Only Postmark tells of some, in `_success`.)"""
        recipients = self._recipients(fields)
        refused = [address for address in recipients if address in self.inactive]
        if not refused or (self.kind == "postmark" and len(refused) < len(recipients)):
            return None
        if self.kind == "postmark":
            words = (
                "You tried to send to recipient(s) that have been marked as inactive.\n"
                f"Found inactive addresses: {', '.join(refused)}.\n"
                "Inactive recipients are ones that have generated a hard bounce or a spam "
                "complaint."
            )
            return Answer(422, json.dumps({"ErrorCode": 406, "Message": words}))
        status, body = {
            "mailgun": (400, {"message": "to parameter is not a valid address. please check"}),
            "brevo": (400, {"code": "invalid_parameter", "message": "email is not valid in to"}),
            "resend": (
                422,
                {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field."},
            ),
        }[self.kind]
        return Answer(status, json.dumps(body))

    def _success(self, fields: dict[str, Any]) -> Answer:
        self.sent.append(fields)
        body = dict(SENT[self.kind])
        if self.kind == "postmark":
            body["To"] = fields["To"]
            refused = [one for one in self._recipients(fields) if one in self.inactive]
            if refused:
                body["Message"] = (
                    "Message OK, but will not deliver to these inactive addresses: "
                    f"{', '.join(refused)}. Inactive recipients are ones that have generated a "
                    "hard bounce or a spam complaint."
                )
        return Answer({"brevo": 201}.get(self.kind, 200), json.dumps(body))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    provider: HttpProvider

    def setup(self) -> None:
        self.provider.keep_socket(self.request)
        super().setup()

    def handle(self) -> None:
        try:
            if self.provider.handshake is Act.SILENCE:
                self.provider.stopping.wait()
                return
            if self.provider.handshake is not None:
                self._act(self.provider.handshake)
                return
            if isinstance(self.request, ssl.SSLSocket):
                self.request.do_handshake()
            super().handle()
        except OSError:
            self.close_connection = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.provider.answer(self.path, self.headers, body)
        if isinstance(answer, Act):
            self._act(answer)
            return
        content = answer.body.encode()
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", **answer.headers}
        for name, value in headers.items():
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

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at the provider."""

"""A server of the API under gunicorn, and requests to it."""

import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from accounts.authentication import issue_token
from accounts.keys import issue_key
from accounts.models import Application
from bench.letter import HTML, SUBJECT, TEXT
from bench.stage import ROOT, BenchError, Process, Stage, free_port, wait_for

CONNECTIONS = 16
# Enough for those that wait while a server stumbles, at any rate that two cores reach.
STEADY_CONNECTIONS = 128
PATH = "/api/v1/messages/email/send"
BATCH_PATH = "/api/v1/messages/batch"
HEADERS = {
    "Host": "127.0.0.1",
    "Content-Type": "application/json",
    "Accept": "application/json",
    "User-Agent": "bench",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "192.0.2.10",
}
LETTER = {"subject": SUBJECT, "content": HTML, "text": TEXT}
PLATFORM = ("notification_platform.wsgi", "notification_platform.settings")


@dataclass(frozen=True, slots=True)
class Web:
    """A running server."""

    name: str
    port: int
    process: Process


def serve(stage: Stage, stack: ExitStack, *, name: str, wsgi: str, settings: str) -> Web:
    """gunicorn with sync workers, one more than cores, as in production, until `stack` is left."""
    port = free_port()
    process = stage.start(
        f"gunicorn-{name}",
        [
            *(sys.executable, "-m", "gunicorn", f"{wsgi}:application"),
            *("--worker-class", "sync", "--workers", str((os.cpu_count() or 1) + 1)),
            *("--bind", f"127.0.0.1:{port}", "--log-level", "warning"),
        ],
        overrides={"DJANGO_SETTINGS_MODULE": settings},
    )
    stack.callback(process.stop)

    def listens() -> bool:
        process.check()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    wait_for(listens, seconds=30, what=f"gunicorn of {name} to listen")
    return Web(name, port, process)


def serve_platform(stage: Stage, stack: ExitStack) -> Web:
    wsgi, settings = PLATFORM
    return serve(stage, stack, name="platform", wsgi=wsgi, settings=settings)


def make_application() -> Application:
    """The one that all parts of a run send as."""
    return Application.objects.get_or_create(name="bench")[0]


def make_token() -> str:
    key = issue_key(application=make_application(), name=f"bench {secrets.token_hex(4)}").key
    return str(issue_token(key))


def load(
    web: Web,
    *,
    token: str,
    body: Mapping[str, Any] | None = None,
    path: str = PATH,
    **run: Any,
) -> dict[str, Any]:
    """As many requests as `CONNECTIONS` get through, for `duration` seconds; given a `rate`, as
    many a second. Every one must be answered with 202. `body` is what is sent, beside `to`
    for a single message; `%NUMBER%` in it is another one each time."""
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    to = {"to": "customer-%NUMBER%@example.com"} if path == PATH else {}
    connections = STEADY_CONNECTIONS if "rate" in run else CONNECTIONS
    asked = {
        "target": {
            "port": web.port,
            "head": f"POST {path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n{head}",
            "body": json.dumps(to | dict(body or LETTER)),
            "first_number": secrets.randbelow(10**11),
        },
        "run": {"connections": connections, **run},
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        cwd=ROOT,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=run["duration"] + 90,
    )
    if done.returncode:
        raise BenchError(f"The load on {web.name} broke off:\n{done.stderr[-1500:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    if set(result["statuses"]) != {"202"}:
        raise BenchError(f"{web.name} answered with other than 202: {result['statuses']}.")
    return result


def send(web: Web, *, token: str, priority: str) -> str:
    """One message; its id."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    asked = {"to": "customer@example.com", "priority": priority, "reference": secrets.token_hex(8)}
    body = json.dumps(asked | LETTER)
    connection.request("POST", PATH, body, HEADERS | {"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    words = answer.read()
    connection.close()
    if answer.status != 202:
        raise BenchError(f"{web.name} answered with {answer.status}: {words[:300]!r}.")
    return str(json.loads(words)["id"])

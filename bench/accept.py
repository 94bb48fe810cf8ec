"""How many single sends a second are taken in, against two references in the same rounds."""

import json
import os
import secrets
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from django.db import connection

from accounts.authentication import issue_token
from accounts.keys import issue_key
from accounts.models import Application
from bench.letter import HTML, SUBJECT, TEXT
from bench.report import Figure
from bench.stage import ROOT, BenchError, Stage, free_port, wait_for

CONNECTIONS = 16
PATH = "/api/v1/messages/email/send"
WARM_UP_SECONDS = 1.5


@dataclass(slots=True)
class Server:
    """One of the three that are compared, and what it did in each round."""

    name: str
    wsgi: str
    settings: str
    port: int = 0
    rates: list[float] = field(default_factory=list)
    p50s: list[float] = field(default_factory=list)
    p99s: list[float] = field(default_factory=list)


def measure(stage: Stage, *, rounds: int, seconds: float) -> list[Figure]:
    servers = [
        Server("platform", "notification_platform.wsgi", "notification_platform.settings"),
        Server("bare", "bench.references.wsgi", "bench.references.bare_settings"),
        Server("usual", "bench.references.wsgi", "bench.references.usual_settings"),
    ]
    application = Application.objects.create(name="bench")
    token = issue_token(issue_key(application=application, name="bench").key)
    with ExitStack() as stack:
        for server in servers:
            _serve(stage, server, stack)
        for server in servers:
            _load(server, token=token, seconds=WARM_UP_SECONDS)
        for number in range(rounds):
            # Nobody is always first.
            for server in servers[number % 3 :] + servers[: number % 3]:
                _round(server, token=token, seconds=seconds)
    platform, bare, usual = servers
    what, p50, p99 = "accept: single sends", median(platform.p50s), median(platform.p99s)
    against_bare = Figure(
        what, platform.rates, _told("bare", bare), bare.rates, 0.60, p50_ms=p50, p99_ms=p99
    )
    against_usual = Figure(
        what, platform.rates, _told("usual", usual), usual.rates, 6, is_factor=True
    )
    return [against_bare, against_usual]


def _told(name: str, server: Server) -> str:
    return f"{name} (p99 {median(server.p99s):.0f} ms)"


def _serve(stage: Stage, server: Server, stack: ExitStack) -> None:
    server.port = free_port()
    process = stage.start(
        f"gunicorn-{server.name}",
        [
            *(sys.executable, "-m", "gunicorn", f"{server.wsgi}:application"),
            *("--worker-class", "sync", "--workers", str(os.cpu_count())),
            *("--bind", f"127.0.0.1:{server.port}", "--log-level", "warning"),
        ],
        overrides={"DJANGO_SETTINGS_MODULE": server.settings},
    )
    stack.callback(process.stop)

    def listens() -> bool:
        process.check()
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 1):
            return True
        return False

    wait_for(listens, seconds=30, what=f"gunicorn of {server.name} to listen")


def _round(server: Server, *, token: str, seconds: float) -> None:
    """One server under load, from an empty table. What it answered must be what is stored."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE messaging_message CASCADE")
        result = _load(server, token=token, seconds=seconds)
        cursor.execute("SELECT COUNT(*) FROM messaging_message WHERE status = 'pending'")
        stored = cursor.fetchone()[0]
    took, waited = result["took"], result["seconds"]
    if stored != len(waited):
        raise BenchError(f"{server.name} answered {len(waited)} with 202 and stored {stored}.")
    server.rates.append(stored / took)
    server.p50s.append(waited[len(waited) // 2] * 1000)
    server.p99s.append(waited[int(len(waited) * 0.99)] * 1000)


def _load(server: Server, *, token: str, seconds: float) -> dict[str, Any]:
    body = {
        "to": "customer-%NUMBER%@example.com",
        "subject": SUBJECT,
        "content": HTML,
        "text": TEXT,
    }
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: bench\r\n"
        "X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.10\r\n"
    )
    asked = {
        "target": {
            "port": server.port,
            "head": head,
            "body": json.dumps(body),
            "first_number": secrets.randbelow(10**11),
        },
        "run": {"connections": CONNECTIONS, "duration": seconds},
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        cwd=ROOT,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=seconds + 90,
    )
    if done.returncode:
        raise BenchError(f"The load on {server.name} broke off:\n{done.stderr[-1500:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    if set(result["statuses"]) != {"202"}:
        raise BenchError(f"{server.name} answered with other than 202: {result['statuses']}.")
    return result

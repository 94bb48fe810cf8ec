"""The production way, as processes that a test can start, cut off and end."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from kombu import Connection

from tests.environment import DEFAULTS
from tests.imitations.mail_catcher import MailCatcher
from tests.imitations.ports import free_port
from tests.imitations.tcp_proxy import TcpProxy

CELERY = ("celery", "-A", "notification_platform")
ROOT = Path(__file__).resolve().parent.parent.parent


class Production:
    """A whole installation: its own database, queues and sender. Use as a context manager."""

    def __init__(
        self, *, folder: Path, postgres_url: str, rabbitmq_url: str, redis_url: str
    ) -> None:
        self.folder = folder
        self.admin_url = postgres_url
        self.rabbitmq_url = rabbitmq_url
        name = f"noti_flow_{secrets.token_hex(4)}"
        self.database, self.port = name, free_port()
        self.broker_proxy = TcpProxy(target=urlsplit(rabbitmq_url))
        self.mail = MailCatcher(username="mailer", password="right")
        self.environment = {
            **{key: value for key, value in os.environ.items() if key != "ENV_FILE"},
            **DEFAULTS,
            "DATABASE_URL": urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}")),
            "CELERY_BROKER_URL": with_port(rabbitmq_url, self.broker_proxy.port),
            "REDIS_URL": redis_url,
            "QUEUE_PREFIX": name,
            "PYTHONUNBUFFERED": "1",
            # Short, so that a test can see a lost lease being found.
            "LEASE_SECONDS": "5",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.api_key = self.api_secret = ""

    def __enter__(self) -> "Production":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        self.mail.start()
        self.broker_proxy.start()
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{self.database}"')
        self.manage("migrate", "--verbosity", "0")
        issued = self.manage("create_api_key", "flows")
        self.api_key = re.search(r"API key: +(\S+)", issued)[1]  # type: ignore[index]
        self.api_secret = re.search(r"API secret: (\S+)", issued)[1]  # type: ignore[index]
        self.manage(
            *("add_sender", "flow-1", "--adapter", "smtp", "--from", "noreply@example.com"),
            *("--option", "host=127.0.0.1", "--option", f"port={self.mail.port}"),
            *("--option", "security=none", "--option", "username=mailer", "--secret", "password"),
            given="right\n",
        )
        self.start("web", "gunicorn", "notification_platform.wsgi", "-w", "2", "-b", self.bind)
        self.start_worker()
        self.start("beat", *CELERY, "beat")
        until(lambda: self.status_of("/health/ready") == 200, seconds=60, what="ready")

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.mail.stop()
        self.broker_proxy.stop()
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')
        with Connection(self.rabbitmq_url) as broker:
            channel: Any = broker.default_channel
            for queue in ("email.high", "email.normal", "email.bulk", "housekeeping"):
                channel.queue_delete(f"{self.database}.{queue}")
            channel.exchange_delete(self.database)

    # --- processes -------------------------------------------------------------------------------

    @property
    def bind(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, name: str, *command: str) -> None:
        path = str(Path(sys.executable).parent / command[0])
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [path, *command[1:]], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )

    def start_worker(self) -> None:
        self.start("worker", *CELERY, "worker", "-P", "prefork", "-c", "2")

    def kill_worker(self) -> None:
        """Like a machine that loses its power: the worker and its children, at once."""
        worker = psutil.Process(self.processes["worker"].pid)
        for process in (*worker.children(recursive=True), worker):
            process.kill()
        self.processes["worker"].wait()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            return connection.execute(sql).fetchall()

    def manage(self, *arguments: str, given: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def stop(self, name: str) -> None:
        process = self.processes.pop(name)
        process.terminate()
        process.wait(timeout=20)

    # --- the API ---------------------------------------------------------------------------------

    def call(self, path: str, body: Any = None, *, token: str = "") -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://{self.bind}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def status_of(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://{self.bind}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def token(self) -> str:
        keys = {"api_key": self.api_key, "api_secret": self.api_secret}
        return str(self.call("/api/v1/auth/token", keys)["access_token"])

    def send(self, token: str, **fields: Any) -> str:
        body = {"to": "ann@example.com", "subject": "Flow", "content": "<p>Hi</p>"} | fields
        return str(self.call("/api/v1/messages/email/send", body, token=token)["id"])

    def message(self, token: str, message_id: str) -> dict[str, Any]:
        return self.call(f"/api/v1/messages/{message_id}", token=token)


def until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not {what} within {seconds} s"
        time.sleep(0.1)


def with_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}"))

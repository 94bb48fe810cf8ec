"""One installation as processes of their own, which a test can start, signal, kill and ask."""

import contextlib
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

from tests.environment import DEFAULTS
from tests.imitations.ports import free_port

APP = "notification_platform"
CELERY = ("celery", "-A", APP)
ROOT = Path(__file__).resolve().parent.parent
# For an end in good order; after it a process is killed.
PATIENCE = 20.0


class Installation:
    """A database and queues under a name of their own, the processes, and the HTTP API."""

    def __init__(self, *, folder: Path, postgres_url: str, broker_url: str, redis_url: str) -> None:
        self.folder = folder
        self.admin_url = postgres_url
        self.database, self.port = f"noti_flow_{secrets.token_hex(4)}", free_port()
        self.environment = {
            **{key: value for key, value in os.environ.items() if key != "ENV_FILE"},
            **DEFAULTS,
            "DATABASE_URL": urlunsplit(urlsplit(postgres_url)._replace(path=f"/{self.database}")),
            "CELERY_BROKER_URL": broker_url,
            "REDIS_URL": redis_url,
            "QUEUE_PREFIX": self.database,
            "PYTHONUNBUFFERED": "1",
            # Short, so that a test can see a lost lease being found.
            "LEASE_SECONDS": "5",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        # Children whose parent was killed; they may outlive it.
        self._orphans: list[psutil.Process] = []
        self.api_key = self.api_secret = ""

    def create(self) -> None:
        """The database with its tables, and a key to the API."""
        # Of the whole suite's run, see `run_suite`. Faults have servers of their own, without it.
        template = os.environ.get("SUITE_TEMPLATE", "")
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            named = "SELECT 1 FROM pg_database WHERE datname = %s"
            is_there = bool(template and connection.execute(named, [template]).fetchone())
            copied = f' TEMPLATE "{template}"' if is_there else ""
            connection.execute(f'CREATE DATABASE "{self.database}"{copied}')
        if not is_there:
            self.manage("migrate", "--verbosity", "0")
        issued = self.manage("create_api_key", "flows")
        self.api_key = re.search(r"API key: +(\S+)", issued)[1]  # type: ignore[index]
        self.api_secret = re.search(r"API secret: (\S+)", issued)[1]  # type: ignore[index]

    def drop(self) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')

    # --- processes -------------------------------------------------------------------------------

    @property
    def bind(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, name: str, *command: str, **extra: str) -> None:
        """`extra` is added to the environment."""
        path = str(Path(sys.executable).parent / command[0])
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [path, *command[1:]],
                cwd=ROOT,
                env={**self.environment, **extra},
                stdout=log,
                stderr=log,
            )

    def start_web(self, *, workers: int = 2, **extra: str) -> None:
        """As in production."""
        metrics = self.folder / "metrics"
        metrics.mkdir(exist_ok=True)
        command = ("gunicorn", "-c", "docker/gunicorn.conf.py", "-w", str(workers), "-b", self.bind)
        extra = {"PROMETHEUS_MULTIPROC_DIR": str(metrics)} | extra
        self.start("web", *command, "notification_platform.wsgi", **extra)

    def start_worker(
        self, name: str = "worker", *, pool: str = "prefork", app: str = APP, **extra: str
    ) -> None:
        self.start(name, "celery", "-A", app, "worker", "-P", pool, "-c", "2", **extra)

    def start_beat(self, name: str = "beat") -> None:
        self.start(name, *CELERY, "beat")

    def children(self, name: str) -> list[psutil.Process]:
        return list(psutil.Process(self.processes[name].pid).children(recursive=True))

    def kill(self, name: str) -> None:
        """Like a machine that loses its power: the process and its children, at once."""
        parent = psutil.Process(self.processes[name].pid)
        # Halted first, so that it makes no new children meanwhile.
        parent.suspend()
        for process in (*parent.children(recursive=True), parent):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.processes.pop(name).wait()

    def kill_parent(self, name: str) -> None:
        """Its children are left alone, in the double sense."""
        self._orphans += self.children(name)
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def kill_children(self, name: str, *, count: int | None = None) -> int:
        """Kill `count` of its children, or all; how many died."""
        victims = self.children(name)[:count]
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        return len(victims)

    def pause(self, name: str) -> None:
        for process in (psutil.Process(self.processes[name].pid), *self.children(name)):
            process.suspend()

    def resume(self, name: str) -> None:
        for process in (*self.children(name), psutil.Process(self.processes[name].pid)):
            process.resume()

    def stop(self, name: str, *, patience: float = PATIENCE) -> None:
        """In good order, or by force after `patience` seconds."""
        self.stop_all([name], patience=patience)

    def stop_all(self, names: list[str] | None = None, *, patience: float = PATIENCE) -> None:
        leaving = {name: self.processes.pop(name) for name in names or list(self.processes)}
        families: list[psutil.Process] = []
        for process in leaving.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                families += psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
        ends_at = time.monotonic() + patience
        for process in leaving.values():
            try:
                process.wait(timeout=max(0.1, ends_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in families:
            if child.is_running():
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()

    def end_orphans(self) -> None:
        orphans, self._orphans = self._orphans, []
        for process in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def manage(self, *arguments: str, given: str = "", patience: float = 60) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=patience,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # --- the rows --------------------------------------------------------------------------------

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            return connection.execute(sql, values or None).fetchall()

    def execute(self, sql: str) -> None:
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            connection.execute(sql)

    # --- the API ---------------------------------------------------------------------------------

    def call(
        self, path: str, body: Any = None, *, token: str = "", timeout: float = 10
    ) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://{self.bind}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def status_of(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://{self.bind}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return 0

    def token(self) -> str:
        keys = {"api_key": self.api_key, "api_secret": self.api_secret}
        return str(self.call("/api/v1/auth/token", keys)["access_token"])

    def send(self, token: str, **fields: Any) -> str:
        """One message, which differs from every other by its reference. Its id."""
        body = {
            "to": "ann@example.com",
            "subject": "Flow",
            "content": "<p>Hi</p>",
            "reference": secrets.token_hex(8),
        } | fields
        return str(self.call("/api/v1/messages/email/send", body, token=token)["id"])

    def message(self, token: str, message_id: str) -> dict[str, Any]:
        return self.call(f"/api/v1/messages/{message_id}", token=token)


def until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not {what} within {seconds} s"
        time.sleep(0.1)

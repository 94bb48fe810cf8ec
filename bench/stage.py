"""What a run makes on the services and takes away again: a database, queues, keys, processes."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from cryptography.fernet import Fernet
from kombu import Connection, Exchange
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent
DATABASE_URL = "postgres://postgres@127.0.0.1:5432/postgres"
BROKER_URL = "amqp://guest:guest@127.0.0.1:5672//"
REDIS_URL = "redis://127.0.0.1:6379/0"
STOP_SECONDS = 20


class BenchError(Exception):
    """The run cannot go on, or what it saw is not worth a figure. Says why in a sentence."""


class Stage:
    """Enter it to have a migrated database and a complete environment; leave it and all is gone.

    The services are those of DATABASE_URL (whose own database is only used to make another),
    CELERY_BROKER_URL and REDIS_URL, or the ones on this machine.
    """

    def __init__(self) -> None:
        self.name = f"noti_bench_{secrets.token_hex(4)}"
        self.server_url = os.environ.get("DATABASE_URL", DATABASE_URL)
        self.broker_url = os.environ.get("CELERY_BROKER_URL", BROKER_URL)
        self.redis_url = os.environ.get("REDIS_URL", REDIS_URL)
        if not self.server_url.startswith("postgres"):
            raise BenchError("DATABASE_URL must be a PostgreSQL: production is what is measured.")
        self._stack = ExitStack()

    def __enter__(self) -> "Stage":
        try:
            self._set_up()
        except BaseException:
            self._take_down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._take_down()

    def _set_up(self) -> None:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix=self.name))
        self.folder = Path(folder)
        self.server = self._stack.enter_context(psycopg.connect(self.server_url, autocommit=True))
        name = sql.Identifier(self.name)
        self._stack.callback(
            self.server.execute, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name)
        )
        self.server.execute(sql.SQL("CREATE DATABASE {}").format(name))
        self._stack.callback(self._forget_cache)
        self._stack.callback(self._forget_queues)
        self.environment = self._environment()
        # This process is a Django process too, of the same database.
        os.environ.update(self.environment)
        self.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"])

    def _take_down(self) -> None:
        # A second Ctrl-C must not leave half of it behind; each step has its own time limit.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._stack.close()
        finally:
            signal.signal(signal.SIGINT, before)

    def _environment(self) -> dict[str, str]:
        metrics = self.folder / "metrics"
        metrics.mkdir()
        return {
            "DJANGO_SETTINGS_MODULE": "notification_platform.settings",
            "DATABASE_URL": urlunsplit(urlsplit(self.server_url)._replace(path=f"/{self.name}")),
            "CELERY_BROKER_URL": self.broker_url,
            "REDIS_URL": self.redis_url,
            "QUEUE_PREFIX": self.name,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "API_KEY_PEPPER": secrets.token_urlsafe(48),
            "JWT_SIGNING_KEY": secrets.token_urlsafe(48),
            "CREDENTIALS_KEYS": Fernet.generate_key().decode(),
            "MESSAGE_ID_DOMAIN": "bench.example.com",
            # As behind one reverse proxy that speaks TLS.
            "ALLOWED_HOSTS": "127.0.0.1",
            "TRUSTED_PROXIES": "1",
            "HTTPS": "true",
            "DEBUG": "false",
            "EMBEDDED": "false",
            # Several processes serve, so their metrics live in files, as in production.
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
        }

    def run(self, command: Sequence[str], *, overrides: Mapping[str, str] = {}) -> str:
        """What `command` printed. Raises `BenchError` when it failed."""
        environment = self._child(overrides)
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise BenchError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"[-3000:])
        return done.stdout

    def another_database(self, stack: ExitStack, suffix: str) -> str:
        """The address of an empty one, which goes when `stack` is left."""
        name = f"{self.name}_{suffix}"
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        stack.callback(self.server.execute, drop)
        self.server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return urlunsplit(urlsplit(self.server_url)._replace(path=f"/{name}"))

    def _child(self, overrides: Mapping[str, str] = {}) -> dict[str, str]:
        return {**os.environ, **self.environment, **overrides}

    # --- processes -------------------------------------------------------------------------------

    def start(
        self, name: str, command: Sequence[str], *, overrides: Mapping[str, str] = {}
    ) -> "Process":
        """Start `command` in a session of its own, so that Ctrl-C reaches it through us only."""
        process = Process(name, command, folder=self.folder, environment=self._child(overrides))
        self._stack.callback(process.stop)
        return process

    # --- what is left on the services ------------------------------------------------------------

    def empty_queues(self) -> None:
        """Drop what the parts before left in them: hints, and the tasks of the usual design."""
        from django.conf import settings

        with Connection(self.broker_url, connect_timeout=3) as connection:
            for queue in settings.CELERY_TASK_QUEUES:
                bound = queue(connection.default_channel)
                bound.declare()
                bound.purge()

    def _forget_queues(self) -> None:
        from django.conf import settings

        with Connection(self.broker_url, connect_timeout=3) as connection:
            channel = connection.default_channel
            for queue in settings.CELERY_TASK_QUEUES:
                queue(channel).delete()
            Exchange(self.name)(channel).delete()

    def _forget_cache(self) -> None:
        with suppress(redis.RedisError):
            client = redis.Redis.from_url(self.redis_url, socket_timeout=3)
            for key in client.scan_iter(f"{self.name}:*"):
                client.delete(key)
            client.close()


class Process:
    """A process that we started and will end by its own id."""

    def __init__(
        self, name: str, command: Sequence[str], *, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self._log = folder / f"{name}-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def first_line(self) -> str:
        assert self._process.stdout is not None
        line: IO[bytes] = self._process.stdout
        return line.readline().decode().strip()

    def check(self) -> None:
        if self._process.poll() is not None:
            words = self._log.read_text(errors="replace")[-2000:]
            raise BenchError(f"{self.name} ended with {self._process.returncode}:\n{words}")

    def stop(self) -> None:
        """SIGTERM, some time, then SIGKILL to the session that it leads."""
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        # Children of a process that had to be killed belong to its session.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition, *, seconds: float, what: str, every: float = 0.05) -> None:
    """Raises `BenchError` when `condition()` does not become true in time."""
    ends_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends_at:
            raise BenchError(f"Waited for {seconds:.0f} s in vain: {what}.")
        time.sleep(every)

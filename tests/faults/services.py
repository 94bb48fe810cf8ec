"""PostgreSQL, RabbitMQ and Redis of a test's own, to be stopped, killed and emptied at will.

Each keeps its port, so that it comes back at the same address. Nothing is a daemon: what was
started is ended by its own process id.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from kombu import Connection

from tests.imitations.ports import free_port

# Where distributions keep what is not in PATH, or is there only behind a script that changes users.
_FOLDERS = ("/usr/lib/rabbitmq/bin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"))))
NEEDED = ("postgres", "initdb", "rabbitmq-server", "rabbitmqctl", "epmd", "redis-server")


def find(binary: str) -> str:
    """Its path, or nothing; of several versions the newest."""
    return shutil.which(binary, path=os.pathsep.join(reversed(_FOLDERS))) or (
        shutil.which(binary) or ""
    )


def missing() -> list[str]:
    return [binary for binary in NEEDED if not find(binary)]


class Service:
    """One process in a folder of its own."""

    name = ""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"faults-{self.name}-"))
        self.process: subprocess.Popen[bytes] | None = None

    def _run(
        self,
        command: Sequence[str],
        *,
        environment: dict[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **(environment or {})},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                user=user,
            )

    def _end(self, sign: signal.Signals, *, patience: float = 30.0) -> None:
        """Send `sign` and wait; whoever does not hear is killed with all its children."""
        process, self.process = self.process, None
        if process is None:
            return
        family: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(sign)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        # Until they are gone the port may still be theirs.
        psutil.wait_procs(family, timeout=10)

    def _wait_until(self, is_there: Callable[[], bool]) -> None:
        ends_at = time.monotonic() + 60
        while not is_there():
            is_dead = self.process is None or self.process.poll() is not None
            if is_dead or time.monotonic() > ends_at:
                log = (self.folder / "log").read_text(errors="replace")
                raise RuntimeError(f"{self.name} does not start: {log[-2000:]}")
            time.sleep(0.05)

    def is_listening(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def remove(self) -> None:
        self._end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Service):
    """Everything is flushed to the disk, as in production: a crash must not lose what it said."""

    name = "postgres"

    def __init__(self) -> None:
        super().__init__()
        # It refuses to run as root.
        self.user = "postgres" if os.geteuid() == 0 else None
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        if self.user:
            owner = pwd.getpwnam(self.user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        done = subprocess.run(
            [
                *(find("initdb"), "-D", str(self.folder / "data"), "-U", "postgres"),
                *("-A", "trust", "-E", "UTF8", "--no-sync"),
            ],
            cwd=self.folder,
            user=self.user,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        self.begin()
        self.wait()

    def begin(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "on",
            "max_connections": "200",
            "logging_collector": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._run(
            [find("postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), *options],
            user=self.user,
        )

    def wait(self) -> None:
        self._wait_until(self._answers)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True

    def stop(self) -> None:
        """The fast way: clients are thrown out."""
        self._end(signal.SIGINT)

    def stop_immediate(self) -> None:
        """Without a checkpoint, like a crash: the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def restart_immediate(self, *, away_for: float = 0.0) -> None:
        self.stop_immediate()
        time.sleep(away_for)
        self.start()


class RabbitMq(Service):
    """A node under a name of its own, with an `epmd` of its own, so that it meets no other."""

    name = "rabbitmq"

    def __init__(self) -> None:
        super().__init__()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self.node = f"faults-{secrets.token_hex(4)}@localhost"
        self._epmd: subprocess.Popen[bytes] | None = None
        (self.folder / "plugins").write_text("[].\n")
        self._environment = {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # The script becomes the node, so that its process id is the node's.
            "RUNNING_UNDER_SYSTEMD": "1",
        }

    def start(self) -> None:
        self.begin()
        self.wait()

    def begin(self) -> None:
        if self._epmd is None:
            port = self._environment["ERL_EPMD_PORT"]
            self._epmd = subprocess.Popen(
                [find("epmd"), "-port", port, "-address", "127.0.0.1"],
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._run([find("rabbitmq-server")], environment=self._environment)

    def wait(self) -> None:
        self._wait_until(self._answers)

    def _answers(self) -> bool:
        if not self.is_listening():
            return False
        try:
            with Connection(self.url, connect_timeout=5) as connection:
                connection.connect()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def purge(self, prefix: str) -> int:
        """Empty the queues whose names begin with `prefix`; how many hints were lost."""
        lost = 0
        with Connection(self.url) as connection:
            channel: Any = connection.default_channel
            for name in self.control("-q", "list_queues", "name").split():
                if name.startswith(prefix):
                    lost += channel.queue_purge(name)
        return lost

    def set_memory_alarm(self, is_on: bool) -> None:
        """On, every publisher is blocked."""
        self.control("set_vm_memory_high_watermark", "0.00001" if is_on else "0.4")

    def control(self, *words: str) -> str:
        done = subprocess.run(
            [find("rabbitmqctl"), "-n", self.node, *words],
            cwd=self.folder,
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def remove(self) -> None:
        super().remove()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()


class Redis(Service):
    name = "redis"

    def __init__(self) -> None:
        super().__init__()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [find("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1"]
        self._run([*command, "--save", "", "--appendonly", "no", "--dir", str(self.folder)])
        self._wait_until(self.is_listening)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def flush(self) -> None:
        with contextlib.closing(redis.Redis(port=self.port)) as client:
            client.flushall()

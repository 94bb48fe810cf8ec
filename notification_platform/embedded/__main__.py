"""`python -m notification_platform.embedded [--port 8000]`; what `make run` starts."""

import argparse
import fcntl
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import IO, NoReturn

import environ

from notification_platform.embedded.environment import prepare

# All that is stopped gets this long; what still hangs then is left to the sweep of the next start.
STOP_SECONDS = 2.0


def main() -> None:
    arguments = argparse.ArgumentParser(prog="make run")
    arguments.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000))
    arguments.add_argument("--data", type=Path, default=Path("var"))
    chosen = arguments.parse_args()
    # Messages and keys are in there: the data is for its owner's eyes.
    os.umask(0o077)
    data: Path = chosen.data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    lock = take_lock(data)
    web_socket = take_port(chosen.port)
    env_file = prepare(data)
    # What the shell happens to export must not lead the embedded mode to other servers.
    environ.Env.read_env(str(env_file), overwrite=True)
    os.environ["ENV_FILE"] = str(env_file)
    status = run(data=data, port=chosen.port, web_socket=web_socket)
    sys.stdout.flush()
    lock.close()
    # Threads that wait for a network are not waited for: their messages are leased, not lost.
    os._exit(status)


def run(*, data: Path, port: int, web_socket: socket.socket) -> int:
    say("Preparing the database …")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    # These need the apps, and the apps need the environment: hence not at the top of the file.
    from notification_platform.embedded import demo, first_data, parts

    mailbox = parts.start_mailbox(data / "mailbox")
    providers = parts.start_providers(data / "phone")
    access = first_data.make(
        data / "access.json",
        port=port,
        mailbox_port=mailbox.port,
        providers=providers.senders,
    )
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    worker = parts.start_worker()
    running = [
        mailbox,
        providers,
        parts.start_web(web_socket),
        worker,
        parts.start_presence(worker),
        parts.start_beat(),
    ]
    status = 0
    try:
        demo.show(port=port, access=access, stopped=stopped)
    except demo.DemoFailed as error:
        say(f"The demonstration failed: {error}")
        status = 1
    else:
        stopped.wait()
        say("\nStopping …")
    stop(running)
    return status


def stop(running: list["parts.Part"]) -> None:  # type: ignore[name-defined]  # noqa: F821
    from messaging import delivery

    delivery.stopping.set()
    deadline = time.monotonic() + STOP_SECONDS
    threads = [threading.Thread(target=part.stop, daemon=True) for part in reversed(running)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def take_lock(data: Path) -> IO[str]:
    """One process per data folder."""
    lock = (data / "embedded.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        refuse(f"It is running already (process {lock.read().strip()}). Stop that one first.")
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def take_port(port: int) -> socket.socket:
    """The listening socket, so that nobody takes the port between looking and serving."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except (OSError, OverflowError):
        refuse(
            f"Port {port} is taken. Stop what uses it, or serve elsewhere: make run PORT={port + 1}"
        )
    listening.listen(128)
    return listening


def refuse(line: str) -> NoReturn:
    say(line)
    raise SystemExit(1)


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

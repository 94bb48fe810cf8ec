"""The parts of the one process. Each starts in the background and can be stopped."""

import json
import socket
import threading
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import waitress
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from celery import beat
from celery.worker import WorkController, state

from core.ids import uuid7
from notification_platform.celery import app
from notification_platform.embedded.local_senders import LocalSender, usable
from notification_platform.embedded.providers.server import Arrival, LocalProvider

# Of the worker.
THREADS = 4


class Part(Protocol):
    def stop(self) -> None: ...


class _Handler:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the mail as it came, its envelope in a header on top."""
        name = str(uuid7())
        recipients = ", ".join(envelope.rcpt_tos)
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        draft = self.folder / f"{name}.part"
        draft.write_bytes(f"X-Envelope-To: {recipients}\r\n".encode() + raw)
        # Renamed when complete: whoever lists the folder never reads half a mail.
        draft.rename(self.folder / f"{name}.eml")
        return f"250 2.0.0 kept as {name}"


@dataclass(slots=True)
class Mailbox:
    """A real SMTP server on a loopback port that delivers into a folder."""

    controller: Controller
    port: int

    def stop(self) -> None:
        self.controller.stop(no_assert=True)


def start_mailbox(folder: Path) -> Mailbox:
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(_Handler(folder), hostname="127.0.0.1", port=port)
    controller.start()
    return Mailbox(controller, port)


@dataclass(slots=True)
class Providers:
    """Imitated providers on loopback ports, and who sends through which."""

    senders: list[tuple[LocalSender, LocalProvider]]

    def stop(self) -> None:
        for provider in {id(provider): provider for _, provider in self.senders}.values():
            provider.stop()


def start_providers(folder: Path) -> Providers:
    """What they take is kept in `folder`, for the pages of `phone`."""
    folder.mkdir(parents=True, exist_ok=True)
    running: dict[str, LocalProvider] = {}
    senders = []
    for local in usable():
        if local.provider not in running:
            provider = local.make_provider()
            provider.on_arrival = partial(_keep, folder, channel=local.channel.value)
            running[local.provider] = provider.start()
        senders.append((local, running[local.provider]))
    return Providers(senders)


def _keep(folder: Path, arrival: Arrival, *, channel: str) -> None:
    name = str(uuid7())
    draft = folder / f"{name}.part"
    content = {"channel": channel, **asdict(arrival)}
    draft.write_text(json.dumps(content, ensure_ascii=False, default=str), encoding="utf-8")
    draft.rename(folder / f"{name}.json")


class _Web:
    def __init__(self, listening: socket.socket) -> None:
        from notification_platform.wsgi import application

        self.server = waitress.create_server(
            application, sockets=[listening], threads=4, ident=None
        )
        threading.Thread(target=self.server.run, name="web", daemon=True).start()

    def stop(self) -> None:
        self.server.close()


def start_web(listening: socket.socket) -> Part:
    return _Web(listening)


class _Worker:
    def __init__(self) -> None:
        self.controller: Any = WorkController(
            app=app,
            pool_cls="threads",
            concurrency=THREADS,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="WARNING",
        )
        self.thread = threading.Thread(target=self.controller.start, name="worker", daemon=True)
        self.thread.start()

    def stop(self) -> None:
        # Zero is the exit code; the worker looks at it in its loop.
        setattr(state, "should_stop", 0)  # noqa: B010
        self.thread.join()


def start_worker() -> Part:
    return _Worker()


class _Presence:
    def __init__(self, worker: Any) -> None:
        # Not at the top: it needs the apps.
        from reporting.presence import Presence

        self.shown = Presence(worker.controller.hostname, processes=THREADS)
        self.shown.start()

    def stop(self) -> None:
        self.shown.end(wait=1.0)


def start_presence(worker: Any) -> Part:
    """Shows on the first page that the worker is there."""
    return _Presence(worker)


class _Beat:
    def __init__(self) -> None:
        self.service: Any = beat.Service(app, scheduler_cls=beat.Scheduler)
        threading.Thread(target=self.service.start, name="beat", daemon=True).start()

    def stop(self) -> None:
        self.service.stop()


def start_beat() -> Part:
    return _Beat()

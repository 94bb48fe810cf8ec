"""The production way on the services of the machine, with a line to the broker that can be cut."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from kombu import Connection

from tests.imitations.mail_catcher import MailCatcher
from tests.imitations.tcp_proxy import TcpProxy
from tests.installation import Installation, until


class Production(Installation):
    """A whole installation: its own database, queues and sender. Use as a context manager."""

    def __init__(
        self, *, folder: Path, postgres_url: str, rabbitmq_url: str, redis_url: str
    ) -> None:
        self.rabbitmq_url = rabbitmq_url
        self.broker_proxy = TcpProxy(target=urlsplit(rabbitmq_url))
        self.mail = self.make_mail()
        super().__init__(
            folder=folder,
            postgres_url=postgres_url,
            broker_url=with_port(rabbitmq_url, self.broker_proxy.port),
            redis_url=redis_url,
        )
        # Receivers of webhooks are on loopback here.
        self.environment |= {
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
            "WEBHOOK_ALLOW_HTTP": "true",
        }

    def make_mail(self) -> MailCatcher:
        return MailCatcher(username="mailer", password="right")

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
        self.create()
        self.furnish()
        self.start_web()
        self.start_worker()
        self.start_beat()
        until(lambda: self.status_of("/health/ready") == 200, seconds=60, what="ready")

    def furnish(self) -> None:
        """What is there before the first process starts."""
        self.add_mailer("flow-1")

    def add_mailer(self, name: str, *more: str) -> None:
        """A sender whose mail arrives in `self.mail`; `more` goes to the command."""
        self.manage(
            *("add_sender", name, "--adapter", "smtp", "--from", "noreply@example.com"),
            *("--option", "host=127.0.0.1", "--option", f"port={self.mail.port}"),
            *("--option", "security=none", "--option", "username=mailer", "--secret", "password"),
            *more,
            given="right\n",
        )

    def __exit__(self, *_: object) -> None:
        self.stop_all()
        self.mail.stop()
        self.broker_proxy.stop()
        self.drop()
        remove_queues(self.rabbitmq_url, prefix=self.database)

    def kill_worker(self) -> None:
        self.kill("worker")


def remove_queues(broker_url: str, *, prefix: str) -> None:
    """Those of every channel, and what they are bound to."""
    with Connection(broker_url) as broker:
        channel: Any = broker.default_channel
        for name in settings.QUEUE_NAMES:
            channel.queue_delete(prefix + name.removeprefix(settings.QUEUE_PREFIX))
        channel.exchange_delete(prefix)


def with_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}"))

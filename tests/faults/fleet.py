"""An installation on services of its own, with accounts that keep a ledger: nothing here is shared,
so anything may be killed."""

import contextlib
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.faults.accounts import PASSWORD, HttpAccount, SmtpAccount, make_certificates
from tests.faults.clients import Clients
from tests.faults.ledger import CopyLedger
from tests.faults.services import Postgres, RabbitMq, Redis
from tests.faults.sms import SmsAccount, adding_template
from tests.flows.production import with_port
from tests.imitations.http_provider import SECRET
from tests.imitations.tcp_proxy import TcpProxy
from tests.installation import APP, Installation, until

# Every change of a status, as the database saw it; `tests.faults.verifier` reads it.
_WATCH = """
CREATE TABLE fault_moves (
    id bigserial PRIMARY KEY, message_id uuid NOT NULL, was text, became text NOT NULL,
    old_reason text, old_token integer, new_token integer NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION fault_note_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO fault_moves (message_id, became, new_token)
        VALUES (NEW.id, NEW.status, NEW.lease_token);
    ELSIF NEW.status <> OLD.status OR NEW.lease_token <> OLD.lease_token THEN
        INSERT INTO fault_moves (message_id, was, became, old_reason, old_token, new_token)
        VALUES (NEW.id, OLD.status, NEW.status, OLD.reason, OLD.lease_token, NEW.lease_token);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER fault_moves AFTER INSERT OR UPDATE ON messaging_message
    FOR EACH ROW EXECUTE FUNCTION fault_note_move();
"""
_IN_HAND = """
SELECT worker FROM messaging_attempt JOIN messaging_message ON messaging_message.id = message_id
WHERE outcome = '' AND status = 'sending' AND leased_until > now() ORDER BY started_at DESC
"""
_RESET = """
TRUNCATE fault_moves, messaging_message, messaging_attempt, messaging_event,
    messaging_otherrecipient, messaging_senderwindow CASCADE;
UPDATE messaging_sender SET failures = 0, benched_until = NULL, last_failure_kind = '',
    last_failure_words = '', last_failure_at = NULL, is_active = adapter = 'smtp';
"""


class Fleet(Installation):
    """gunicorn, workers and beats; three SMTP accounts, and two that are switched off until a test
    asks for them: at Postmark, and for SMS at Aliyun. Use as a context manager."""

    def __init__(self, *, folder: Path, seed: int = 0) -> None:
        self.postgres, self.rabbitmq, self.redis = Postgres(), RabbitMq(), Redis()
        self.broker_line = TcpProxy(target=urlsplit(self.rabbitmq.url))
        self.copies = CopyLedger()
        certificates = make_certificates(folder)
        # The first speaks in the clear, through a line that sees where the final dot is.
        self.accounts = [
            SmtpAccount("plain", self.copies, certificates=None, seed=seed),
            SmtpAccount("tls-1", self.copies, certificates=certificates, seed=seed),
            SmtpAccount("tls-2", self.copies, certificates=certificates, seed=seed),
        ]
        self.postmark = HttpAccount("postmark", self.copies)
        self.aliyun = SmsAccount("aliyun", self.copies)
        self.providers: list[SmtpAccount | HttpAccount | SmsAccount] = [
            *self.accounts,
            self.postmark,
            self.aliyun,
        ]
        self.mail_line: TcpProxy
        self._open: list[Any] = []
        super().__init__(
            folder=folder,
            postgres_url=self.postgres.url,
            broker_url=with_port(self.rabbitmq.url, self.broker_line.port),
            redis_url=self.redis.url,
        )
        self.environment["SSL_CERT_FILE"] = str(certificates.bundle)

    def __enter__(self) -> "Fleet":
        try:
            self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _begin(self) -> None:
        # It takes longest: the others start meanwhile.
        self.rabbitmq.begin()
        self.postgres.create()
        self.postgres.start()
        self.redis.start()
        for account in self.providers:
            account.__enter__()
            self._open.append(account)
        self.mail_line = TcpProxy(target=urlsplit(f"//127.0.0.1:{self.accounts[0].port}"))
        self.mail_line.start()
        self.broker_line.start()
        self.create()
        self.execute(_WATCH)
        self._add_senders()
        self.rabbitmq.wait()
        self.start_web()
        self.start_worker()
        self.start_beat()
        until(lambda: self.status_of("/health/ready") == 200, seconds=60, what="ready")

    def _add_senders(self) -> None:
        """In one process, which costs a second or two to start."""
        lines = ["from messaging.models import Sender", "from messaging.senders import save_sender"]
        for account in self.accounts:
            is_plain = account.certificates is None
            options = {
                "host": "127.0.0.1",
                "port": self.mail_line.port if is_plain else account.port,
                "security": "none" if is_plain else "starttls",
                "username": account.name,
            }
            lines.append(_adding(account.name, "smtp", options, {"password": PASSWORD}))
        options = {"backend": "postmark", "api_url": self.postmark.url}
        lines.append(_adding("postmark", "anymail", options, {"server_token": SECRET}))
        options, credentials = self.aliyun.account()
        lines.append(_adding("aliyun", "aliyun_sms", options, credentials, channel="sms"))
        lines.append(adding_template(self.folder))
        self.manage("shell", "-c", "\n".join(lines))

    def __exit__(self, *_: object) -> None:
        # Nobody waits for hand-overs to servers that hang.
        self.stop_all(patience=1)
        self.end_orphans()
        for account in self._open:
            account.__exit__(None, None, None)
        self.broker_line.stop()
        if hasattr(self, "mail_line"):
            self.mail_line.stop()
        for service in (self.rabbitmq, self.postgres, self.redis):
            service.remove()

    def reset(self, *, app: str = APP, **extra: str) -> None:
        """Everything is there, well, idle and empty, and no worker remembers anything. The worker
        is one of `app`; `extra` is added to its environment."""
        for name in [name for name in self.processes if name.startswith("worker")]:
            self.kill(name)
        self.end_orphans()
        for name in [name for name in self.processes if name not in {"web", "beat"}]:
            self.stop(name)
        for line in (self.broker_line, self.mail_line):
            line.mend()
        for account in self.providers:
            account.get_well()
        self.slow_down(0.0)
        for service in (self.postgres, self.rabbitmq, self.redis):
            if not service.is_running:
                service.start()
        self.execute(_RESET)
        self.copies.clear()
        if "web" not in self.processes:
            self.start_web()
        if "beat" not in self.processes:
            self.start_beat()
        self.start_worker(app=app, **extra)
        until(lambda: self.status_of("/health/ready") == 200, seconds=60, what="ready")

    def slow_down(self, seconds: float) -> None:
        """Every SMTP account takes its time, so that a kill hits messages that are held."""
        for account in self.accounts:
            account.usual_delay = seconds

    # --- senders ---------------------------------------------------------------------------------

    def use_only(self, *names: str) -> None:
        listed = ", ".join(f"'{name}'" for name in names)
        self.execute(f"UPDATE messaging_sender SET is_active = name IN ({listed})")

    def mend_senders(self) -> None:
        """As an operator who tests each of them after the provider said that it is well."""
        for account in self.accounts:
            self.manage("test_sender", account.name)

    # --- waiting ---------------------------------------------------------------------------------

    def wait_for_copies(self, count: int, *, seconds: float = 60) -> None:
        until(lambda: len(self.copies) >= count, seconds=seconds, what=f"{count} copies taken")

    def wait_for_one_in_hand(self, name: str, *, seconds: float = 30) -> psutil.Process:
        """Until a provider has a message of which a child of `name` does not know the outcome;
        that child."""
        found: list[psutil.Process] = []

        def look() -> bool:
            children = {child.pid: child for child in self.children(name)}
            holders = [int(worker.rpartition(":")[2]) for (worker,) in self.query(_IN_HAND)]
            found[:] = [children[pid] for pid in holders if pid in children]
            return bool(found)

        until(look, seconds=seconds, what="a message in the hands of a provider")
        return found[0]

    def kill_busy_child(self, name: str) -> None:
        """The child that holds the newest message, so that it is hit."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.wait_for_one_in_hand(name).kill()

    def wait_for_statuses(self, *statuses: str, seconds: float = 120) -> None:
        """Until every message has one of `statuses`."""
        listed = ", ".join(f"'{status}'" for status in statuses)
        sql = f"SELECT 1 FROM messaging_message WHERE status NOT IN ({listed}) LIMIT 1"
        until(lambda: not self.query(sql), seconds=seconds, what=f"all {' or '.join(statuses)}")

    def send_under_load(
        self, clients: Clients, *, rate: float, seconds: float, every: float, act: Any
    ) -> None:
        """Send `rate` messages a second for `seconds`, and call `act` again and again."""
        clients.start(rate=rate)
        ends_at = time.monotonic() + seconds
        while time.monotonic() + every < ends_at:
            time.sleep(every)
            act()
        time.sleep(max(0.0, ends_at - time.monotonic()))
        clients.stop()


def _adding(
    name: str,
    adapter: str,
    options: dict[str, Any],
    credentials: dict[str, str],
    *,
    channel: str = "email",
) -> str:
    from_address = "noreply@example.com" if channel == "email" else ""
    return (
        f"save_sender(Sender(name={name!r}, channel={channel!r}, adapter={adapter!r}, "
        f"from_address={from_address!r}, options={options!r}), credentials={credentials!r})"
    )

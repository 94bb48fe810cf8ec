"""E-mail through any SMTP server, judged by phase and reply code.

Exception classes do not tell enough: a connection that is lost before the message and one that is
lost after the final dot raise the same. So the dialogue is led command by command (RFC 5321), and
each reply is judged where it came: `smtp_opening` until the server knows us, `smtp_envelope` for a
message, over the `smtp_dialogue` of one `smtp_connection`.
"""

import contextlib
import re
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property

from django.utils.translation import gettext as _

from messaging.channels.base import (
    Account,
    Channel,
    ChannelAdapter,
    DeliveryError,
    Option,
    Outbound,
    PermanentFailure,
    ProbeStep,
    Receipt,
    SenderFailure,
)
from messaging.channels.mime import check_person, serialize
from messaging.channels.smtp_dialogue import Dialogue, Seconds
from messaging.channels.smtp_envelope import Envelope, Stale, hand_over
from messaging.channels.smtp_opening import Endpoint, opening

# Seconds. A short wait after the final dot makes duplicates: the server may be working.
CONNECT, COMMAND, DATA, FINAL_DOT = 10.0, 30.0, 60.0, 120.0
# Servers hang up after some silence, and some after so many messages.
REUSE_SECONDS, REUSE_MESSAGES = 30.0, 100
# For the answer to QUIT, which means nothing.
GOOD_BYE = 1.0
# Of a server or of ourselves: a domain, an address, or an address literal.
NAME = re.compile(r"[A-Za-z0-9._:%\[\]-]{1,255}")


class SmtpEmail(ChannelAdapter):
    """One SMTP account. Keeps its connection open between messages."""

    name = "smtp"
    channel = Channel.EMAIL
    options = (
        Option("host", "Name or address of the server.", is_required=True),
        Option("port", "587 with STARTTLS, 465 with TLS, 25 without.", int, default=587),
        Option(
            "security",
            "starttls, tls (from the first byte) or none.",
            default="starttls",
            choices=("starttls", "tls", "none"),
        ),
        Option("username", "Leave empty to send without logging in."),
        Option("password", "Of the account, or an app password.", is_secret=True),
        Option("verify_certificate", "Check the server's certificate.", bool, default=True),
        Option("helo_name", "How we introduce ourselves; the host's name if empty."),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._dialogue: Dialogue | None = None
        self._upcoming: Outbound | None = None
        # The attempt whose envelope went out behind the message before it.
        self._announced = ""

    @classmethod
    def problems(cls, options: dict[str, object], credentials: dict[str, object]) -> dict[str, str]:
        found = super().problems(options, credentials)
        for name, value in (
            ("username", options.get("username")),
            ("password", credentials.get("password")),
        ):
            if isinstance(value, str) and not (value.isascii() and value.isprintable()):
                found[name] = _("SMTP logins take printable ASCII characters only.")
        for name in ("host", "helo_name"):
            value = options.get(name)
            if isinstance(value, str) and value and not NAME.fullmatch(value):
                found[name] = _("It must be a name or an address, without spaces.")
        port = options.get("port", 587)
        if isinstance(port, int) and not 1 <= port <= 65_535:
            found["port"] = _("It must be 1 to 65535.")
        if bool(options.get("username")) != bool(credentials.get("password")):
            found.setdefault("password", _("A username and a password belong together."))
        return found

    def expect(self, upcoming: Outbound) -> None:
        self._upcoming = upcoming

    def send(self, outbound: Outbound) -> Receipt:
        upcoming, self._upcoming = self._upcoming, None
        try:
            check_person(self.account.from_name, self.account.from_address)
        except ValueError as error:
            raise SenderFailure("misconfigured", phase="serialize", words=str(error)) from error
        try:
            data = serialize(
                outbound,
                from_name=self.account.from_name,
                from_address=self.account.from_address,
                date=datetime.now(UTC),
            )
        except (ValueError, LookupError) as error:
            raise PermanentFailure(
                "rejected", phase="serialize", words=f"{type(error).__name__}"
            ) from error
        envelope = Envelope(self.account.from_address, outbound.content.recipients())
        is_announced, self._announced = self._announced == outbound.attempt_id, ""
        kept = self._dialogue if is_announced else self._fresh()
        if kept is not None:
            with contextlib.suppress(Stale):
                return self._hand_over(
                    kept, envelope, data, upcoming, is_reused=True, is_announced=is_announced
                )
        for _step in self._opening():
            pass
        assert self._dialogue is not None
        return self._hand_over(self._dialogue, envelope, data, upcoming)

    def probe(self) -> Iterator[ProbeStep]:
        started = time.monotonic()
        try:
            for phase, words in self._opening():
                yield ProbeStep(phase, True, words, (time.monotonic() - started) * 1000)
                started = time.monotonic()
        except DeliveryError as error:
            words = f"{error.kind}: {error.code} {error.words}".strip()
            yield ProbeStep(error.phase, False, words, (time.monotonic() - started) * 1000)
        finally:
            self.close()

    def close(self) -> None:
        dialogue, self._dialogue = self._dialogue, None
        if dialogue is not None:
            dialogue.quit(seconds=GOOD_BYE)

    def _hand_over(
        self,
        dialogue: Dialogue,
        envelope: Envelope,
        data: bytes,
        upcoming: Outbound | None,
        *,
        is_reused: bool = False,
        is_announced: bool = False,
    ) -> Receipt:
        following = None
        if upcoming is not None and dialogue.messages + 1 < REUSE_MESSAGES:
            following = Envelope(self.account.from_address, upcoming.content.recipients())
        try:
            return hand_over(
                dialogue,
                envelope,
                data,
                following=following,
                is_reused=is_reused,
                is_announced=is_announced,
            )
        finally:
            if upcoming is not None and dialogue.is_announced:
                self._announced = upcoming.attempt_id

    def _fresh(self) -> Dialogue | None:
        """The dialogue that was kept open, if it is worth a try."""
        kept = self._dialogue
        if kept is None or not kept.is_ready:
            return None
        idle = time.monotonic() - kept.used_at
        return None if idle > REUSE_SECONDS or kept.messages >= REUSE_MESSAGES else kept

    def _opening(self) -> Iterator[tuple[str, str]]:
        """A new dialogue in place of the old one; yields each phase with the server's words."""
        self.close()
        security = self.option("security")
        self._dialogue = Dialogue(Seconds(CONNECT, COMMAND, DATA, FINAL_DOT))
        yield from opening(
            self._dialogue,
            Endpoint(
                host=self.option("host"),
                port=self.option("port"),
                security=security,
                context=None if security == "none" else self._tls,
                helo_name=self.option("helo_name") or _own_name(),
                username=self.option("username") or "",
                password=self.option("password") or "",
            ),
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made once, and only if it is used: it reads all the certificates of the system."""
        context = ssl.create_default_context()
        if not self.option("verify_certificate"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _own_name() -> str:
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"

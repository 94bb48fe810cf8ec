"""E-mail through any SMTP server, judged by phase and reply code.

Exception classes do not tell enough: `SMTPServerDisconnected` is raised both for "no banner" and
for "lost after the final dot", and AUTH 454 and 535 share a class. So the dialogue is led command
by command (RFC 5321), and each reply is judged where it came.
"""

import contextlib
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import NoReturn

from messaging.channels.base import (
    Account,
    Channel,
    ChannelAdapter,
    DeliveryError,
    Option,
    Outbound,
    OutcomeUnknown,
    PermanentFailure,
    ProbeStep,
    Receipt,
    Refusal,
    SenderFailure,
    TemporaryFailure,
    without_code,
)
from messaging.channels.mime import check_person, serialize
from messaging.channels.smtp_commands import (
    METHODS,
    UNKNOWN_METHOD,
    log_in,
    login_methods,
    start_tls,
)
from messaging.channels.smtp_replies import (
    judge_auth,
    judge_data,
    judge_mail,
    judge_rcpt,
    reply_text,
    shown_code,
)

# Seconds. A short wait after the final dot makes duplicates: the server may be working.
CONNECT, COMMAND, DATA, FINAL_DOT = 10.0, 30.0, 60.0, 120.0
# Servers hang up after some silence, and some after so many messages.
REUSE_SECONDS, REUSE_MESSAGES = 30.0, 100
# For the answer to QUIT, which means nothing.
GOOD_BYE = 1.0
# Of a server or of ourselves: a domain, an address, or an address literal.
NAME = re.compile(r"[A-Za-z0-9._:%\[\]-]{1,255}")


class _Stale(Exception):
    """A connection that was kept open turned out to be closed before anything was handed over."""


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
        self._server: smtplib.SMTP | None = None
        self._used_at = 0.0
        self._messages = 0

    @classmethod
    def problems(cls, options: dict[str, object], credentials: dict[str, object]) -> dict[str, str]:
        found = super().problems(options, credentials)
        for name, value in (
            ("username", options.get("username")),
            ("password", credentials.get("password")),
        ):
            if isinstance(value, str) and not (value.isascii() and value.isprintable()):
                found[name] = "SMTP logins take printable ASCII characters only."
        for name in ("host", "helo_name"):
            value = options.get(name)
            if isinstance(value, str) and value and not NAME.fullmatch(value):
                found[name] = "It must be a name or an address, without spaces."
        port = options.get("port", 587)
        if isinstance(port, int) and not 1 <= port <= 65_535:
            found["port"] = "It must be 1 to 65535."
        if bool(options.get("username")) != bool(credentials.get("password")):
            found.setdefault("password", "A username and a password belong together.")
        return found

    def send(self, outbound: Outbound) -> Receipt:
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
        if self._is_fresh():
            with contextlib.suppress(_Stale):
                return self._hand_over(outbound, data, is_reused=True)
        self._open()
        return self._hand_over(outbound, data, is_reused=False)

    def probe(self) -> Iterator[ProbeStep]:
        self.close()
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
        if self._server is not None and self._server.sock is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self._server.sock.settimeout(GOOD_BYE)
                self._server.quit()
        self._drop()

    def _drop(self) -> None:
        """Hang up without a word: the server does not listen, or must not hear more."""
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(OSError):
                server.close()

    # --- connection ------------------------------------------------------------------------------

    def _is_fresh(self) -> bool:
        if self._server is None:
            return False
        idle = time.monotonic() - self._used_at
        if idle > REUSE_SECONDS or self._messages >= REUSE_MESSAGES:
            self.close()
            return False
        return True

    def _open(self) -> None:
        for _ in self._opening():
            pass

    def _opening(self) -> Iterator[tuple[str, str]]:
        """Connect, greet, encrypt, log in; yields each phase with the server's words."""
        self.close()
        security = self.option("security")
        helo = self.option("helo_name") or _own_name()
        server: smtplib.SMTP
        if security == "tls":
            server = smtplib.SMTP_SSL(local_hostname=helo, timeout=CONNECT, context=self._tls)
        else:
            server = smtplib.SMTP(local_hostname=helo, timeout=CONNECT)
        # smtplib leaves the name unset when it does not connect by itself; TLS needs it.
        server._host = self.option("host")  # type: ignore[attr-defined]  # noqa: SLF001
        self._server = server
        code, words = self._ask(
            "connect", CONNECT, lambda: server.connect(self.option("host"), self.option("port"))
        )
        if code != 220:
            kind = "blocked" if 500 <= code < 600 else "transient"
            self._give_up(SenderFailure(kind, phase="banner", code=str(code), words=words))
        assert server.sock is not None
        server.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield "connect", f"{code} {words}"
        yield "ehlo", self._greet(server)
        if security == "starttls":
            if not server.has_extn("starttls"):
                self._give_up(
                    SenderFailure(
                        "misconfigured",
                        phase="tls",
                        words="The server does not offer STARTTLS; nothing is sent in the clear.",
                    )
                )
            code, words = self._ask("tls", CONNECT, partial(start_tls, server, self._tls))
            if code != 220:
                self._give_up(SenderFailure("transient", phase="tls", code=str(code), words=words))
            yield "tls", getattr(server.sock, "version", lambda: "")() or words
            self._greet(server)
        if self.option("username"):
            yield "auth", self._log_in(server)
        self._messages = 0

    def _greet(self, server: smtplib.SMTP) -> str:
        code, words = self._ask("ehlo", COMMAND, server.ehlo)
        if 500 <= code < 600:
            code, words = self._ask("ehlo", COMMAND, server.helo)
        if code != 250:
            kind = "blocked" if 500 <= code < 600 else "transient"
            self._give_up(SenderFailure(kind, phase="ehlo", code=str(code), words=words))
        return f"{code} {words}"

    def _log_in(self, server: smtplib.SMTP) -> str:
        methods = login_methods(server, is_encrypted=self.option("security") != "none")
        if not methods:
            words = f"The server offers none of {', '.join(METHODS)}."
            self._give_up(SenderFailure("misconfigured", phase="auth", words=words))
        code, words = UNKNOWN_METHOD, ""
        for method in methods:
            code, words = self._ask(
                "auth",
                COMMAND,
                partial(
                    log_in,
                    server,
                    method=method,
                    username=self.option("username"),
                    password=self.option("password"),
                ),
            )
            if code != UNKNOWN_METHOD:
                break
        # 503: already logged in.
        if code not in {235, 503}:
            self._give_up(judge_auth(code, words))
        return f"{code} {words}"

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made once, and only if it is used: it reads all the certificates of the system."""
        context = ssl.create_default_context()
        if not self.option("verify_certificate"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    # --- dialogue --------------------------------------------------------------------------------

    def _hand_over(self, outbound: Outbound, data: bytes, *, is_reused: bool) -> Receipt:
        server = self._server
        assert server is not None
        try:
            code, words = self._ask(
                "mail", COMMAND, lambda: server.docmd("MAIL", f"FROM:<{self.account.from_address}>")
            )
        except SenderFailure:
            if is_reused:
                raise _Stale from None
            raise
        if code == 421 and is_reused:
            self._drop()
            raise _Stale
        if code != 250:
            self._give_up(judge_mail(code, words))
        refused = self._name_recipients(server, outbound)
        code, words = self._ask("data", COMMAND, lambda: server.docmd("DATA"))
        if code != 354:
            self._give_up(judge_data("data", code, words))
        receipt = self._send_data(server, data, refused)
        self._used_at = time.monotonic()
        self._messages += 1
        return receipt

    def _name_recipients(
        self, server: smtplib.SMTP, outbound: Outbound
    ) -> tuple[tuple[str, int, str], ...]:
        """RCPT for everyone. Returns who was refused; raises when nobody was taken."""
        recipients = outbound.content.recipients()
        refused: list[tuple[str, int, str]] = []
        for position, address in recipients:
            command = f"TO:<{address}>"
            code, words = self._ask("rcpt", COMMAND, partial(server.docmd, "RCPT", command))
            if not 200 <= code < 300:
                refused.append((position, code, words))
            if code == 421:
                self._give_up(judge_rcpt(code, words))
        if len(refused) == len(recipients):
            judged = [judge_rcpt(code, words) for _, code, words in refused]
            later = [error for error in judged if isinstance(error, TemporaryFailure)]
            self._give_up(later[0] if later else judged[0])
        return tuple(refused)

    def _send_data(
        self, server: smtplib.SMTP, data: bytes, refused: tuple[tuple[str, int, str], ...]
    ) -> Receipt:
        payload = re.sub(rb"(?m)^\.", b"..", data)
        if not payload.endswith(b"\r\n"):
            payload += b"\r\n"
        assert server.sock is not None
        server.sock.settimeout(DATA)
        try:
            # If this raises, not all of it was taken by the system: the final dot did not leave.
            server.sock.sendall(payload + b".\r\n")
        except OSError as error:
            refusal = self._early_refusal(server)
            self._drop()
            words = _describe(error)
            raise refusal or SenderFailure("transient", phase="data", words=words) from error
        server.sock.settimeout(FINAL_DOT)
        try:
            code, reply = server.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise OutcomeUnknown("no_answer", phase="final_dot", words=_describe(error)) from error
        words = reply_text(reply)
        if 400 <= code < 600:
            self._give_up(judge_data("final_dot", code, words))
        if not 200 <= code < 300:
            self._drop()
            raise OutcomeUnknown("no_answer", phase="final_dot", words=f"{code} {words}")
        shown = shown_code(code, words)
        return Receipt(
            code=shown,
            words=without_code(shown, words),
            refused=tuple(
                Refusal(position, shown, without_code(shown, reply))
                for position, code, reply in refused
                if (shown := shown_code(code, reply))
            ),
        )

    def _early_refusal(self, server: smtplib.SMTP) -> DeliveryError | None:
        """What a server said before it hung up on half a message, if anything: a message that is
        too large must not look like a fault of the account."""
        with contextlib.suppress(OSError, smtplib.SMTPException):
            if server.sock is not None:
                server.sock.settimeout(1.0)
                code, reply = server.getreply()
                if 400 <= code < 600:
                    return judge_data("data", code, reply_text(reply))
        return None

    def _ask(
        self, phase: str, deadline: float, call: Callable[[], tuple[int, bytes]]
    ) -> tuple[int, str]:
        """One command and its reply. A lost or mute server is the sender's failure: nothing that
        lets it act has left yet."""
        server = self._server
        assert server is not None
        if server.sock is not None:
            server.sock.settimeout(deadline)
        try:
            code, reply = call()
        except ssl.SSLCertVerificationError as error:
            self._give_up(SenderFailure("misconfigured", phase="tls", words=error.verify_message))
        except ssl.SSLError as error:
            self._give_up(SenderFailure("transient", phase="tls", words=_describe(error)))
        except (OSError, smtplib.SMTPException) as error:
            self._give_up(SenderFailure("transient", phase=phase, words=_describe(error)))
        except (ValueError, OverflowError) as error:
            # A host, port or name that cannot be put on the wire.
            self._give_up(SenderFailure("misconfigured", phase=phase, words=_describe(error)))
        return code, reply_text(reply)

    def _give_up(self, error: DeliveryError) -> NoReturn:
        """End the dialogue in a state from which the next message can start, and raise."""
        answered = error.phase in {"mail", "rcpt", "data", "final_dot"} and error.code
        is_usable = answered and error.code[:1] in {"4", "5"} and not error.code.startswith("421")
        if is_usable and self._server is not None and self._server.sock is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self._server.sock.settimeout(COMMAND)
                if self._server.rset()[0] == 250:
                    self._used_at = time.monotonic()
                    raise error
        self._drop()
        raise error


def _describe(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "The server did not answer in time."
    return f"{type(error).__name__}: {error}"[:400]


def _own_name() -> str:
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"

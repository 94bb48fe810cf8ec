"""A dialogue with an SMTP server in which whatever goes wrong is a `DeliveryError`."""

import contextlib
import ssl
import time
from typing import NamedTuple, NoReturn

from messaging.channels.base import DeliveryError, SenderFailure
from messaging.channels.smtp_connection import Connection, Reply

# A host, port or name that cannot be put on the wire is a `ValueError` or an `OverflowError`.
FAULTS = (OSError, ValueError, OverflowError)


class Seconds(NamedTuple):
    """How long each phase may take in all, however slowly a server drips."""

    connect: float
    command: float
    data: float
    final_dot: float


class Dialogue:
    """One connection and what is known of it. Whoever raises out of it has ended it in a state from
    which the next message can start, or has hung up."""

    def __init__(self, seconds: Seconds) -> None:
        self.seconds = seconds
        # What the server offers: its words by keyword.
        self.extensions: dict[str, str] = {}
        self.messages = 0
        self.used_at = 0.0
        # False from the first command of a message to the reply to its final dot, so that a
        # dialogue that was torn off in between is not taken up again.
        self.is_at_rest = False
        # The envelope of the next message went out behind the final dot of the last one.
        self.is_announced = False
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        assert self._connection is not None
        return self._connection

    @property
    def is_ready(self) -> bool:
        """Whether the next message can start. What the server said unasked would be taken for the
        answer to it."""
        known = self._connection
        return known is not None and self.is_at_rest and not known.has_unread

    def connect(self, host: str, port: int, context: ssl.SSLContext | None) -> Reply:
        """The banner; with a context by TLS from the first byte."""
        deadline = time.monotonic() + self.seconds.connect
        try:
            self._connection = Connection(host, port, deadline=deadline)
            if context is not None:
                self._connection.encrypt(context, deadline=deadline)
            return self._connection.read_reply(deadline=deadline)
        except FAULTS as error:
            self.lose("connect", error)

    def start_tls(self, context: ssl.SSLContext) -> str:
        """Returns the version of TLS that was agreed on."""
        deadline = time.monotonic() + self.seconds.connect
        try:
            self.connection.write_commands(["STARTTLS"], deadline=deadline)
            reply = self.connection.read_reply(deadline=deadline)
            if reply.code != 220:
                code = str(reply.code)
                self.give_up(SenderFailure("transient", phase="tls", code=code, words=reply.words))
            return self.connection.encrypt(context, deadline=deadline)
        except FAULTS as error:
            self.lose("tls", error)

    def ask(self, phase: str, command: str) -> Reply:
        self.say(phase, [command])
        return self.listen(phase)

    def say(self, phase: str, commands: list[str]) -> None:
        """All of them in one write. `listen` to each."""
        try:
            self.connection.write_commands(
                commands, deadline=time.monotonic() + self.seconds.command
            )
        except FAULTS as error:
            self.lose(phase, error)

    def listen(self, phase: str) -> Reply:
        try:
            return self.connection.read_reply(deadline=time.monotonic() + self.seconds.command)
        except OSError as error:
            self.lose(phase, error)

    def lose(self, phase: str, error: BaseException) -> NoReturn:
        """A lost or mute server is the sender's failure: nothing that lets it act has left yet."""
        self.drop()
        kind, words = "transient", describe(error)
        if isinstance(error, ssl.SSLError):
            phase = "tls"
        if isinstance(error, ssl.SSLCertVerificationError):
            kind, words = "misconfigured", error.verify_message
        elif not isinstance(error, OSError):
            kind = "misconfigured"
        raise SenderFailure(kind, phase=phase, words=words) from error

    def give_up(self, error: DeliveryError) -> NoReturn:
        """Raise, after taking the message back, or else after hanging up."""
        is_refusal = error.phase in {"mail", "rcpt", "data", "final_dot"} and (
            error.code[:1] in {"4", "5"} and not error.code.startswith("421")
        )
        if not (is_refusal and self._took_back()):
            self.drop()
        raise error

    def rest(self) -> None:
        self.used_at = time.monotonic()
        self.is_at_rest = True

    def quit(self, *, seconds: float) -> None:
        """Say good-bye if the server can listen, and hang up. Never raises."""
        if self.is_ready:
            deadline = time.monotonic() + seconds
            with contextlib.suppress(OSError):
                self.connection.write_commands(["QUIT"], deadline=deadline)
                self.connection.read_reply(deadline=deadline)
        self.drop()

    def drop(self) -> None:
        """Hang up without a word: the server does not listen, or must not hear more."""
        connection, self._connection = self._connection, None
        self.is_at_rest = self.is_announced = False
        if connection is not None:
            connection.close()

    def _took_back(self) -> bool:
        """Hear what else was pipelined, and have the server forget the message. A server that waits
        for its text (354) is left: the only way on would be a final dot, which may send it."""
        if self._connection is None:
            return False
        deadline = time.monotonic() + self.seconds.command
        with contextlib.suppress(OSError):
            while self._connection.awaited:
                code = self._connection.read_reply(deadline=deadline).code
                if code == 421 or not (200 <= code < 300 or 400 <= code < 600):
                    return False
            self._connection.write_commands(["RSET"], deadline=deadline)
            if self._connection.read_reply(deadline=deadline).code == 250:
                self.rest()
                return True
        return False


def describe(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "The server did not answer in time."
    return f"{type(error).__name__}: {error}"[:400]

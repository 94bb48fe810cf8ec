"""One message over an open connection: who it is from and for, its text, its final dot.

Where the server takes commands in one piece (PIPELINING, RFC 2920), a message costs two round trips
and not as many as it has recipients and three more.
"""

import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple

from core.crash import crash_at, is_armed
from messaging.channels.base import (
    DeliveryError,
    OutcomeUnknown,
    Receipt,
    Refusal,
    SenderFailure,
    TemporaryFailure,
    without_code,
)
from messaging.channels.smtp_connection import Reply, on_the_wire
from messaging.channels.smtp_dialogue import Dialogue, describe
from messaging.channels.smtp_replies import judge_data, judge_mail, judge_rcpt, shown_code

# For what a server said before it hung up on half a message.
LAST_WORDS = 1.0

# Positions of recipients, and what was said to them.
Refused = list[tuple[str, Reply]]


class Stale(Exception):
    """A connection that was kept open turned out to be closed before anything was handed over."""


class Envelope(NamedTuple):
    """Who a message is from, and positions and addresses of whom it is for."""

    sender: str
    recipients: list[tuple[str, str]]

    def commands(self) -> list[str]:
        """MAIL, RCPT for everyone, DATA."""
        recipients = [f"RCPT TO:<{address}>" for _, address in self.recipients]
        return [f"MAIL FROM:<{self.sender}>", *recipients, "DATA"]


def hand_over(
    dialogue: Dialogue,
    envelope: Envelope,
    data: bytes,
    *,
    following: Envelope | None = None,
    is_reused: bool = False,
    is_announced: bool = False,
) -> Receipt:
    """Raises one `DeliveryError`, or `Stale`.

    `following` is the next message's envelope: where the server takes it, it leaves with the final
    dot of this one (RFC 2920, section 3.1), which saves a round trip, and `dialogue.is_announced`
    says so. `is_announced`: this one's left like that.
    """
    refused = _agree(dialogue, envelope, is_reused=is_reused, is_announced=is_announced)
    reply = _send(dialogue, data, following)
    if not dialogue.is_announced:
        dialogue.rest()
    dialogue.messages += 1
    shown = shown_code(reply.code, reply.words)
    return Receipt(
        code=shown,
        words=without_code(shown, reply.words),
        refused=tuple(
            Refusal(position, shown, without_code(shown, reply.words))
            for position, reply in refused
            if (shown := shown_code(reply.code, reply.words))
        ),
    )


def stuffed(data: bytes) -> bytes:
    """With a dot before each line that begins with one, up to and with the final dot. Lines end in
    CRLF alone, as `serialize` writes them (RFC 5321, section 4.5.2)."""
    text = data.replace(b"\r\n.", b"\r\n..")
    return b"".join(
        (
            b"." if text.startswith(b".") else b"",
            text,
            b".\r\n" if not text or text.endswith(b"\r\n") else b"\r\n.\r\n",
        )
    )


def _agree(
    dialogue: Dialogue, envelope: Envelope, *, is_reused: bool, is_announced: bool
) -> Refused:
    """Up to where the server waits for the text. Returns who was refused; raises when nobody was
    taken."""
    commands, recipients = envelope.commands(), envelope.recipients
    reply_to: Callable[[str, str], Reply] = dialogue.ask
    is_pipelined = "PIPELINING" in dialogue.extensions
    dialogue.is_at_rest = dialogue.is_announced = False
    try:
        if is_pipelined:
            if not is_announced:
                dialogue.say("mail", commands)
            reply_to = _listener(dialogue)
        reply = reply_to("mail", commands[0])
    except SenderFailure:
        if is_reused:
            raise Stale from None
        raise
    if reply.code == 421 and is_reused:
        dialogue.drop()
        raise Stale
    if reply.code != 250:
        dialogue.give_up(judge_mail(reply.code, reply.words))
    refused: Refused = []
    for (position, _), command in zip(recipients, commands[1:-1], strict=True):
        reply = reply_to("rcpt", command)
        if not 200 <= reply.code < 300:
            refused.append((position, reply))
        if reply.code == 421:
            dialogue.give_up(judge_rcpt(reply.code, reply.words))
    if len(refused) == len(recipients):
        judged = [judge_rcpt(reply.code, reply.words) for _, reply in refused]
        later = [error for error in judged if isinstance(error, TemporaryFailure)]
        dialogue.give_up(later[0] if later else judged[0])
    reply = reply_to("data", "DATA")
    if reply.code != 354:
        dialogue.give_up(judge_data("data", reply.code, reply.words))
    return refused


def _listener(dialogue: Dialogue) -> Callable[[str, str], Reply]:
    """For commands that have left already."""
    return lambda phase, _: dialogue.listen(phase)


def _send(dialogue: Dialogue, data: bytes, following: Envelope | None) -> Reply:
    """The text and its final dot; returns the reply that takes it. Until the last byte is with the
    system the server cannot have the message; from then on only a whole reply says whether."""
    connection = dialogue.connection
    if connection.has_unread:
        # A refusal that came with the invitation, or an answer to what was never asked.
        refusal = _last_words(dialogue)
        words = "The server spoke out of turn."
        raise refusal or SenderFailure("transient", phase="data", words=words)
    text = stuffed(data)
    commands: list[str] = []
    if following is not None and "PIPELINING" in dialogue.extensions:
        commands = following.commands()
    behind = on_the_wire(commands) if commands else b""
    deadline = time.monotonic() + dialogue.seconds.data
    try:
        if __debug__ and is_armed("mid_data"):
            half = len(text) // 2
            connection.write(text[:half], deadline=deadline)
            crash_at("mid_data")
            text = text[half:]
        connection.write(text + behind, deadline=deadline)
    except OSError as error:
        if connection.unwritten > len(behind):
            words = describe(error)
            refusal = _last_words(dialogue)
            raise refusal or SenderFailure("transient", phase="data", words=words) from error
        # The whole message is out, only not what stands behind it: its answer counts.
    connection.awaited += 1 + len(commands)
    if __debug__:
        crash_at("after_dot")
    try:
        reply = connection.read_reply(deadline=time.monotonic() + dialogue.seconds.final_dot)
    except OSError as error:
        dialogue.drop()
        raise OutcomeUnknown("no_answer", phase="final_dot", words=describe(error)) from error
    if __debug__:
        crash_at("after_reply")
    dialogue.is_announced = bool(commands) and not connection.unwritten
    if 400 <= reply.code < 600:
        refused = judge_data("final_dot", reply.code, reply.words)
        if dialogue.is_announced and reply.code != 421:
            # The next one is under way already.
            raise refused
        dialogue.give_up(refused)
    if not 200 <= reply.code < 300:
        dialogue.drop()
        words = f"{reply.code} {reply.words}"
        raise OutcomeUnknown("no_answer", phase="final_dot", words=words)
    return reply


def _last_words(dialogue: Dialogue) -> DeliveryError | None:
    """What a server said before it hung up on half a message, if anything: a message that is too
    large must not look like a fault of the account. Hangs up."""
    try:
        with contextlib.suppress(OSError):
            reply = dialogue.connection.read_reply(deadline=time.monotonic() + LAST_WORDS)
            if 400 <= reply.code < 600:
                return judge_data("data", reply.code, reply.words)
        return None
    finally:
        dialogue.drop()

"""From nothing to a connection that takes messages: connect, greet, encrypt, log in."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field

from messaging.channels.base import SenderFailure
from messaging.channels.smtp_connection import Reply
from messaging.channels.smtp_dialogue import Dialogue
from messaging.channels.smtp_login import (
    METHODS,
    UNKNOWN_METHOD,
    answer,
    first_command,
    methods_for,
)
from messaging.channels.smtp_replies import judge_auth


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and as whom. `security` is starttls, tls or none; with none there is no `context`."""

    host: str
    port: int
    security: str
    context: ssl.SSLContext | None
    helo_name: str
    username: str = ""
    password: str = field(default="", repr=False)


def opening(dialogue: Dialogue, endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    """Yields each phase with the server's words. Raises `SenderFailure`."""
    first_context = endpoint.context if endpoint.security == "tls" else None
    banner = dialogue.connect(endpoint.host, endpoint.port, first_context)
    if banner.code != 220:
        _refuse(dialogue, "banner", banner)
    yield "connect", f"{banner.code} {banner.words}"
    yield "ehlo", _greet(dialogue, endpoint.helo_name)
    if endpoint.security == "starttls":
        if "STARTTLS" not in dialogue.extensions:
            words = "The server does not offer STARTTLS; nothing is sent in the clear."
            dialogue.give_up(SenderFailure("misconfigured", phase="tls", words=words))
        assert endpoint.context is not None
        yield "tls", dialogue.start_tls(endpoint.context)
        # What was offered in the clear may have been written by anyone.
        _greet(dialogue, endpoint.helo_name)
    if endpoint.username:
        yield "auth", _log_in(dialogue, endpoint)
    dialogue.rest()


def _greet(dialogue: Dialogue, helo_name: str) -> str:
    dialogue.extensions = {}
    reply = dialogue.ask("ehlo", f"EHLO {helo_name}")
    if reply.code == 250:
        dialogue.extensions = _extensions(reply)
    elif 500 <= reply.code < 600:
        reply = dialogue.ask("ehlo", f"HELO {helo_name}")
    if reply.code != 250:
        _refuse(dialogue, "ehlo", reply)
    return f"{reply.code} {reply.words}"


def _extensions(reply: Reply) -> dict[str, str]:
    """All but the first line: a keyword, and words of its own (RFC 5321, section 4.1.1.1)."""
    found: dict[str, str] = {}
    for line in reply.lines[1:]:
        # Some servers write AUTH=LOGIN, alone or beside AUTH LOGIN.
        keyword, _, words = line.decode("ascii", "replace").replace("=", " ").partition(" ")
        keyword = keyword.upper()
        found[keyword] = f"{found.get(keyword, '')} {words}".strip()
    return found


def _log_in(dialogue: Dialogue, endpoint: Endpoint) -> str:
    offered = dialogue.extensions.get("AUTH", "")
    methods = methods_for(offered, is_encrypted=endpoint.security != "none")
    if not methods:
        words = f"The server offers none of {', '.join(METHODS)}."
        dialogue.give_up(SenderFailure("misconfigured", phase="auth", words=words))
    reply = Reply(UNKNOWN_METHOD, [])
    for method in methods:
        reply = _try(dialogue, method, endpoint.username, endpoint.password)
        if reply.code != UNKNOWN_METHOD:
            break
    # 503: already logged in.
    if reply.code not in {235, 503}:
        dialogue.give_up(judge_auth(reply.code, reply.words))
    return f"{reply.code} {reply.words}"


def _try(dialogue: Dialogue, method: str, username: str, password: str) -> Reply:
    """One try: a server counts wrong passwords."""
    try:
        reply = dialogue.ask("auth", first_command(method, username=username, password=password))
        if reply.code != 334:
            return reply
        said = answer(method, b"".join(reply.lines), username=username, password=password)
    except ValueError as error:
        dialogue.lose("auth", error)
    return dialogue.ask("auth", said) if said is not None else reply


def _refuse(dialogue: Dialogue, phase: str, reply: Reply) -> None:
    kind = "blocked" if 500 <= reply.code < 600 else "transient"
    dialogue.give_up(SenderFailure(kind, phase=phase, code=str(reply.code), words=reply.words))

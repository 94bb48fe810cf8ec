"""Unique words that go through everything, and where they were seen."""

import base64
import contextlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import redis
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.imitations.mail_catcher import MailCatcher


def _word() -> str:
    return secrets.token_hex(6)


@dataclass
class Canaries:
    """What may be seen in few places (`contents`), and what nowhere (`secrets`)."""

    local: str = field(default_factory=lambda: f"canary.{_word()}")
    refused: str = field(default_factory=lambda: f"refused.{_word()}")
    number: str = field(default_factory=lambda: f"+86138{secrets.randbelow(10**8):08}")
    code: str = field(default_factory=lambda: f"code-{_word()}")
    password: str = field(default_factory=lambda: f"password-{_word()}")
    wrong_secret: str = field(default_factory=lambda: f"secret-{_word()}")
    # Filled in when they are issued.
    api_secret: str = ""
    token: str = ""

    @property
    def contents(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in ("local", "refused", "number", "code")}

    @property
    def secrets(self) -> dict[str, str]:
        # Of the token its signature: its claims are ids.
        found = {name: getattr(self, name) for name in ("password", "wrong_secret", "api_secret")}
        return found | {"token": self.token.rpartition(".")[2]}

    def seen_in(self, text: str, words: dict[str, str]) -> list[str]:
        """Names of those that stand in `text`, also in the ways in which they are written there."""
        return [name for name, word in words.items() if any(w in text for w in _written(word))]


def _written(word: str) -> set[str]:
    middle = base64.b64encode(word.encode()).decode().rstrip("=")[:-1]
    return {word, quote(word, safe=""), json.dumps(word)[1:-1], middle}


class RefusingCatcher(MailCatcher):
    """Refuses recipients that are called so, and repeats what it was told, as servers do."""

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any
    ) -> str:
        if address.startswith("refused."):
            return f"550 5.1.1 <{address}> no such user {address}"
        if address.startswith("later."):
            return f"451 4.7.1 <{address}> greylisted"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"


def everything_in_redis(url: str, prefix: str) -> str:
    """Keys of this installation with their values. Others may use the same Redis."""
    found = []
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        for key in client.scan_iter(match=f"*{prefix}*", count=1000):
            kind = client.type(key)
            read: dict[Any, Any] = {
                b"string": client.get,
                b"hash": client.hgetall,
                b"set": client.smembers,
                b"list": lambda name: client.lrange(name, 0, -1),
                b"zset": lambda name: client.zrange(name, 0, -1, withscores=True),
            }
            found.append(f"{key!r} {read.get(kind, client.dump)(key)!r}")
    return "\n".join(found)

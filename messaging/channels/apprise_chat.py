"""Chats and push services through Apprise. See `docs/channels/chat.md`.

Apprise knows how each service wants to be asked. What comes of it is judged by us, from the calls
that `apprise_http` saw.
"""

import re
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from core.outgoing import CallFailed
from core.outgoing_addresses import ForbiddenUrl
from messaging.channels.apprise_answers import judge
from messaging.channels.apprise_http import Exchange, judged_addresses, speaking_through
from messaging.channels.apprise_services import BadUrl, open_service, service_of
from messaging.channels.base import (
    Account,
    Channel,
    ChannelAdapter,
    DeliveryError,
    Misfit,
    Option,
    Outbound,
    PermanentFailure,
    ProbeStep,
    Receipt,
    SenderFailure,
)
from messaging.channels.content import TextContent

FORMATS = ("text", "markdown", "html")
TYPES = ("info", "success", "warning", "failure")
CONNECT_SECONDS = 10.0
# What stands between the parts of a URL; parts shorter than this are no secrets.
BETWEEN = re.compile(r"[/?&=:@,#+;]+")
SHORTEST_SECRET = 5


class AppriseChat(ChannelAdapter):
    """One Apprise URL: one robot, room, topic or device."""

    name = "apprise"
    channel = Channel.CHAT
    is_named = True
    options = (
        Option(
            "url",
            "Of Apprise, as dingtalk://…, feishu://…, slack://…, tgram://…, ntfys://host/topic.",
            is_required=True,
            is_secret=True,
        ),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._plugin: Any = None

    @classmethod
    def problems(cls, options: dict[str, Any], credentials: dict[str, Any]) -> dict[str, str]:
        found = super().problems(options, credentials)
        if found:
            return found
        try:
            plugin = open_service(credentials["url"])
        except BadUrl as error:
            return {"url": str(error)}
        words = _obstacle(plugin, _rehearse(plugin))
        return {"url": words} if words else {}

    @classmethod
    def misfits(cls, content: TextContent) -> list[Misfit]:
        """How long a text may be depends on the sender: see `send`."""
        if content.format in FORMATS and content.details.get("type", "info") in TYPES:
            return []
        which = f"format one of {', '.join(FORMATS)}; type one of {', '.join(TYPES)}."
        return [Misfit("/content", "invalid", f"Apprise takes {which}")]

    def send(self, outbound: Outbound) -> Receipt:
        content: TextContent = outbound.content
        if problem := self.misfits(content):
            raise PermanentFailure("rejected", phase="serialize", words=problem[0].detail)
        plugin = self._open()
        if words := _too_long(plugin, content):
            raise PermanentFailure("rejected", phase="serialize", words=words)
        exchange = Exchange()
        is_taken = _hand_over(plugin, exchange, content)
        failure = judge(
            exchange,
            service=service_of(str(self.option("url"))),
            is_taken=is_taken,
            tries=outbound.tries,
        )
        if failure is not None:
            raise self._without_secrets(failure, content) from None
        return Receipt(code=str(exchange.reply.status) if exchange.reply else "")

    def probe(self) -> Iterator[ProbeStep]:
        started = time.monotonic()

        def step(phase: str, words: str, *, is_ok: bool = True) -> ProbeStep:
            return ProbeStep(phase, is_ok, words, (time.monotonic() - started) * 1000)

        try:
            plugin = self._open()
        except SenderFailure as error:
            yield step("configure", error.words, is_ok=False)
            return
        exchange = _rehearse(plugin)
        if words := _obstacle(plugin, exchange):
            yield step("configure", words, is_ok=False)
            return
        yield step("configure", f"It is a URL of {plugin.service_name}.")
        target = exchange.targets[0]
        try:
            addresses = judged_addresses(
                target.host,
                target.port,
                is_encrypted=target.scheme == "https",
                seconds=CONNECT_SECONDS,
            )
            socket.create_connection((addresses[0], target.port), CONNECT_SECONDS).close()
        except (ForbiddenUrl, CallFailed) as error:
            yield step("connect", str(error), is_ok=False)
            return
        except OSError as error:
            words = f"{target.authority}: {error.strerror or type(error).__name__}."
            yield step("connect", words, is_ok=False)
            return
        yield step(
            "connect",
            f"{target.authority} can be connected. Whether it takes messages shows only when one "
            "is sent: send a test message.",
        )

    def close(self) -> None:
        self._plugin = None

    def _open(self) -> Any:
        if self._plugin is None:
            try:
                self._plugin = open_service(str(self.option("url") or ""))
            except BadUrl as error:
                raise SenderFailure("misconfigured", phase="configure", words=str(error)) from None
        return self._plugin

    def _without_secrets(self, failure: DeliveryError, content: TextContent) -> DeliveryError:
        """A service may repeat what it was asked with, and the message too."""
        if failure.phase != "response":
            # In words of ours.
            return failure
        words = failure.words
        url = str(self.option("url"))
        for part in {*BETWEEN.split(url), *BETWEEN.split(unquote(url))}:
            if len(part) >= SHORTEST_SECRET:
                words = words.replace(part, "***")
        if any(text and text[:40] in words for text in (content.subject, content.text)):
            words = "It repeats the message."
        return type(failure)(
            failure.kind,
            phase=failure.phase,
            code=failure.code,
            words=words,
            retry_after=failure.retry_after,
        )


def _hand_over(plugin: Any, exchange: Exchange, content: TextContent) -> bool:
    try:
        with speaking_through(exchange, plugin):
            return bool(
                plugin.notify(
                    body=content.text or content.subject,
                    title=content.subject if content.text else "",
                    notify_type=content.details.get("type", "info"),
                    body_format=content.format,
                    # Nothing is cut and nothing is split: half a message would arrive, or be
                    # repeated with the other half.
                    overflow="upstream",
                )
            )
    except Exception:
        # A plugin tripped: what it was told before decides.
        return False


def _rehearse(plugin: Any) -> Exchange:
    """Where it would call first. Nothing leaves."""
    exchange = Exchange(is_rehearsal=True)
    _hand_over(plugin, exchange, TextContent(to=[("", "")], subject="S", text="T"))
    return exchange


def _obstacle(plugin: Any, rehearsed: Exchange) -> str:
    """Why nothing would be sent, as far as can be seen without asking anybody."""
    forbidden = (o.words for o in rehearsed.outcomes if o is not None and o.phase == "connect")
    words = next(forbidden, "")
    if not words and not rehearsed.targets:
        words = f"{plugin.service_name} would call nobody with it: something is missing."
    return words


def _too_long(plugin: Any, content: TextContent) -> str:
    """Why the service would refuse or cut it; empty if it fits. In characters, as Apprise knows
    limits; some services count otherwise, and refuse themselves."""
    title = len(content.subject) if content.text else 0
    body = len(content.text or content.subject)
    is_joined = plugin.title_maxlen <= 0 or plugin.overflow_amalgamate_title
    if not is_joined and title > plugin.title_maxlen:
        return (
            f"{plugin.service_name} takes a title of {plugin.title_maxlen} characters; this one "
            f"has {title}."
        )
    whole = body + (title + 2 if is_joined and title else 0)
    if whole > plugin.body_maxlen:
        return (
            f"{plugin.service_name} takes {plugin.body_maxlen} characters; this message has "
            f"{whole}."
        )
    lines = content.text.count("\n") + 1
    if 0 < plugin.body_max_line_count < lines:
        return f"{plugin.service_name} takes {plugin.body_max_line_count} lines, not {lines}."
    return ""

"""Which adapters there are, and those that this process keeps open."""

import os
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from messaging.channels import simulator
from messaging.channels.aliyun_sms import AliyunSms
from messaging.channels.anymail_email import AnymailEmail
from messaging.channels.apprise_chat import AppriseChat
from messaging.channels.base import Account, Channel, ChannelAdapter, Misfit
from messaging.channels.smtp import SmtpEmail
from messaging.channels.wechat_official import WechatOfficial
from messaging.channels.wecom_app import WecomApp
from messaging.channels.wecom_robot import WecomRobot

_KNOWN: tuple[type[ChannelAdapter], ...] = (
    SmtpEmail,
    AnymailEmail,
    AliyunSms,
    *(WecomApp, WecomRobot, WechatOfficial),
    AppriseChat,
    *simulator.SIMULATORS.values(),
)
ADAPTERS: dict[str, type[ChannelAdapter]] = {adapter.name: adapter for adapter in _KNOWN}
# Part of the platform: nobody adds a sender of theirs.
BUILT_IN = simulator.NAMES
# Connections that nothing used for this long are not worth keeping open at the provider.
IDLE_SECONDS = 60.0
# How long a connection that is given back is kept for who is urgent and asks again.
KEPT_SECONDS = 0.1


@dataclass(slots=True)
class _Account:
    """The connections of one sender: those that wait, the newest last, and those that are lent,
    with the moment since which each is silent."""

    waiting: list[tuple[ChannelAdapter, float]] = field(default_factory=list)
    lent: dict[ChannelAdapter, float] = field(default_factory=dict)
    # Until when connections are kept for somebody urgent who found none.
    kept_until: float = 0.0


class Connections:
    """The open adapters of one process. An adapter is used by one thread at a time: who borrows it
    gives it back. Every method may be called from any thread; none waits for a provider but
    `close_idle`."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._accounts: defaultdict[int, _Account] = defaultdict(_Account)

    def borrow(
        self, account: Account, adapter_name: str, *, limit: int, is_urgent: bool = False
    ) -> ChannelAdapter | None:
        """An adapter for `account`, one with an open connection if there is one; None when `limit`
        of them are lent. Who is urgent and gets none has the next one if it asks again soon.
        Raises `KeyError` for an adapter that does not exist."""
        make = ADAPTERS[adapter_name]
        stale: list[ChannelAdapter] = []
        now = time.monotonic()
        with self._lock:
            mine = self._accounts[account.sender_id]
            if len(mine.lent) >= limit:
                if is_urgent:
                    mine.kept_until = now + KEPT_SECONDS
                return None
            if now < mine.kept_until and not is_urgent:
                return None
            if is_urgent:
                mine.kept_until = 0.0
            adapter = None
            while mine.waiting and adapter is None:
                known, _ = mine.waiting.pop()
                if known.account.digest == account.digest:
                    adapter = known
                else:
                    # Its settings have changed since.
                    stale.append(known)
            if adapter is None:
                adapter = make(account)
            mine.lent[adapter] = time.monotonic()
        for old in stale:
            old.close()
        return adapter

    def is_wanted(self, sender_id: int) -> bool:
        """Whether somebody urgent waits for a connection of this sender."""
        mine = self._accounts.get(sender_id)
        return mine is not None and time.monotonic() < mine.kept_until

    def give_back(self, adapter: ChannelAdapter) -> None:
        with self._lock:
            mine = self._accounts[adapter.account.sender_id]
            if mine.lent.pop(adapter, None) is not None:
                mine.waiting.append((adapter, time.monotonic()))

    def heard(self, adapter: ChannelAdapter) -> None:
        """Its provider answered, and gets the next message."""
        mine = self._accounts[adapter.account.sender_id]
        if adapter in mine.lent:
            mine.lent[adapter] = time.monotonic()

    def silent_since(self, sender_id: int) -> float | None:
        """The monotonic time since which a provider owes an answer, the oldest of this sender."""
        with self._lock:
            mine = self._accounts.get(sender_id)
            return min(mine.lent.values(), default=None) if mine is not None else None

    def close_idle(self, *, older_than: float = IDLE_SECONDS) -> None:
        """Close those that nobody borrowed for `older_than` seconds."""
        before = time.monotonic() - older_than
        idle: list[ChannelAdapter] = []
        with self._lock:
            for mine in self._accounts.values():
                idle += [adapter for adapter, since in mine.waiting if since <= before]
                mine.waiting = [kept for kept in mine.waiting if kept[1] > before]
        for adapter in idle:
            adapter.close()


_lock = threading.Lock()
_current: Connections | None = None


def connections() -> Connections:
    """This process's; a forked child does not use its parent's."""
    global _current
    if _current is None or _current.pid != os.getpid():
        with _lock:
            if _current is None or _current.pid != os.getpid():
                _current = Connections()
    return _current


def is_named(adapter_name: str) -> bool:
    """Whether its senders take only messages that name them."""
    adapter = ADAPTERS.get(adapter_name)
    return adapter is not None and adapter.is_named


def misfits_of(channel: str, content: Any) -> list[Misfit]:
    """Why the providers of a channel would refuse a content, each thing once."""
    adapters = [a for a in ADAPTERS.values() if a.channel == channel and a.name not in BUILT_IN]
    return list(dict.fromkeys(misfit for a in adapters for misfit in a.misfits(content)))


def names_for(channel: Channel | str) -> list[str]:
    """Of those that a sender can be added for."""
    return [
        name
        for name, adapter in ADAPTERS.items()
        if adapter.channel == channel and name not in BUILT_IN
    ]

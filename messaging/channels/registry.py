"""Which adapters there are, and the open ones of this thread."""

import threading
import time

from messaging.channels.anymail_email import AnymailEmail
from messaging.channels.base import Account, Channel, ChannelAdapter
from messaging.channels.smtp import SmtpEmail

ADAPTERS: dict[str, type[ChannelAdapter]] = {
    adapter.name: adapter for adapter in (SmtpEmail, AnymailEmail)
}
# Connections that nothing used for this long are not worth keeping open at the provider.
IDLE_SECONDS = 60.0


class _Thread(threading.local):
    def __init__(self) -> None:
        # By sender id: (digest of its settings, adapter, monotonic time of last use).
        self.open: dict[int, tuple[str, ChannelAdapter, float]] = {}


_thread = _Thread()


def adapter_for(account: Account, adapter_name: str) -> ChannelAdapter:
    """This thread's adapter for `account`, with whatever it keeps open; a new one when the
    account's settings changed. Raises `KeyError` for an adapter that does not exist."""
    known = _thread.open.get(account.sender_id)
    if known is not None and known[0] != account.digest:
        known[1].close()
        known = None
    adapter = known[1] if known is not None else ADAPTERS[adapter_name](account)
    _thread.open[account.sender_id] = (account.digest, adapter, time.monotonic())
    return adapter


def close_idle(*, older_than: float = IDLE_SECONDS) -> None:
    """Close this thread's adapters that were not used for `older_than` seconds."""
    now = time.monotonic()
    for sender_id, (_, adapter, used_at) in list(_thread.open.items()):
        if now - used_at >= older_than:
            del _thread.open[sender_id]
            adapter.close()


def names_for(channel: Channel | str) -> list[str]:
    return [name for name, adapter in ADAPTERS.items() if adapter.channel == channel]

"""The operators' pages. What they do is done by `intake`, `senders` and `story`."""

from messaging.admin import history, messages, senders

__all__ = ["history", "messages", "senders"]

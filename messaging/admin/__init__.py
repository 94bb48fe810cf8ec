"""The operators' pages. What they do is done by `intake`, `senders` and `story`."""

from messaging.admin import batches, history, messages, quotas, senders

__all__ = ["batches", "history", "messages", "quotas", "senders"]

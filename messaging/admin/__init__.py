"""The operators' pages. What they do is done by `intake`, `senders` and `story`."""

from messaging.admin import attachments, history, messages, quotas, senders

__all__ = ["attachments", "history", "messages", "quotas", "senders"]

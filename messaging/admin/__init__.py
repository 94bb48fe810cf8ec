"""The operators' pages. What they do is done by `intake`, `senders` and `story`."""

from messaging.admin import batches, history, messages, quotas, reports, senders, suppressions

__all__ = ["batches", "history", "messages", "quotas", "reports", "senders", "suppressions"]

"""The operators' pages. What they do is done by `intake`, `senders` and `story`."""

from messaging.admin import history, messages, quotas, senders, webhook_log, webhooks

__all__ = ["history", "messages", "quotas", "senders", "webhook_log", "webhooks"]

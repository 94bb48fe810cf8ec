"""The operators' pages. What they do is done by `intake`, `senders` and `story`."""

from messaging.admin import (
    attachments,
    batches,
    history,
    messages,
    quotas,
    reports,
    sender_moves,
    senders,
    suppressions,
    webhook_log,
    webhooks,
)

__all__ = [
    "attachments",
    "batches",
    "history",
    "messages",
    "quotas",
    "reports",
    "sender_moves",
    "senders",
    "suppressions",
    "webhook_log",
    "webhooks",
]

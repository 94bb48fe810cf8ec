from core.vocabulary import Channel as ChannelChoices
from core.vocabulary import Lane, Policy
from messaging.models.acceptance import Fingerprint, IdempotencyKey
from messaging.models.attempt import Attempt
from messaging.models.batch import Batch
from messaging.models.event import Event
from messaging.models.limits import SenderGroup
from messaging.models.message import (
    WAITING_REASONS,
    Feedback,
    Message,
    OtherRecipient,
    Reason,
    Status,
)
from messaging.models.sender import Sender
from messaging.models.sender_window import SenderWindow

__all__ = [
    "WAITING_REASONS",
    "Attempt",
    "Batch",
    "ChannelChoices",
    "Event",
    "Feedback",
    "Fingerprint",
    "IdempotencyKey",
    "Lane",
    "Message",
    "OtherRecipient",
    "Policy",
    "Reason",
    "Sender",
    "SenderGroup",
    "SenderWindow",
    "Status",
]

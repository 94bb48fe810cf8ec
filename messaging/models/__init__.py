from messaging.models.attempt import Attempt
from messaging.models.event import Event
from messaging.models.message import (
    WAITING_REASONS,
    Feedback,
    Lane,
    Message,
    OtherRecipient,
    Policy,
    Reason,
    Status,
)
from messaging.models.sender import ChannelChoices, Sender, SenderWindow

__all__ = [
    "WAITING_REASONS",
    "Attempt",
    "ChannelChoices",
    "Event",
    "Feedback",
    "Lane",
    "Message",
    "OtherRecipient",
    "Policy",
    "Reason",
    "Sender",
    "SenderWindow",
    "Status",
]

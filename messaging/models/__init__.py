from core.vocabulary import Channel as ChannelChoices
from core.vocabulary import Lane, Policy
from messaging.models.acceptance import Fingerprint, IdempotencyKey
from messaging.models.attachment import Attachment, MessageAttachment
from messaging.models.attempt import Attempt
from messaging.models.batch import Batch
from messaging.models.event import Event
from messaging.models.job import Job
from messaging.models.limits import SenderGroup
from messaging.models.message import (
    WAITING_REASONS,
    Feedback,
    Message,
    OtherRecipient,
    Reason,
    Status,
)
from messaging.models.report import FeedbackEvent, ProviderReport, SenderHook
from messaging.models.sender import Sender
from messaging.models.sender_move import SenderMove
from messaging.models.sender_window import SenderWindow
from messaging.models.suppression import Suppression
from messaging.models.webhook import PING, WebhookDelivery, WebhookEndpoint, WebhookEvent

__all__ = [
    "PING",
    "WAITING_REASONS",
    "Attachment",
    "Attempt",
    "Batch",
    "ChannelChoices",
    "Event",
    "Feedback",
    "FeedbackEvent",
    "Fingerprint",
    "IdempotencyKey",
    "Job",
    "Lane",
    "Message",
    "MessageAttachment",
    "OtherRecipient",
    "Policy",
    "ProviderReport",
    "Reason",
    "Sender",
    "SenderGroup",
    "SenderHook",
    "SenderMove",
    "SenderWindow",
    "Status",
    "Suppression",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
]

from messaging.serializers.messages import MessageDetail, MessageQuery, MessageSummary
from messaging.serializers.sending import Accepted, EmailRequest, HandlingRequest

__all__ = [
    "Accepted",
    "EmailRequest",
    "HandlingRequest",
    "MessageDetail",
    "MessageQuery",
    "MessageSummary",
]

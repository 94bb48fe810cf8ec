from messaging.serializers.accepted import Accepted
from messaging.serializers.messages import MessageDetail, MessageQuery, MessageSummary
from messaging.serializers.sending import EmailRequest, HandlingRequest

__all__ = [
    "Accepted",
    "EmailRequest",
    "HandlingRequest",
    "MessageDetail",
    "MessageQuery",
    "MessageSummary",
]

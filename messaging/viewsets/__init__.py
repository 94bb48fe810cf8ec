from messaging.viewsets.attachments import AttachmentViewSet
from messaging.viewsets.batches import BatchViewSet
from messaging.viewsets.messages import MessageViewSet
from messaging.viewsets.senders import SenderViewSet
from messaging.viewsets.sending import (
    ChatViewSet,
    EmailViewSet,
    OfficialViewSet,
    SmsViewSet,
    WechatViewSet,
)
from messaging.viewsets.suppressions import SuppressionViewSet
from messaging.viewsets.webhooks import WebhookDeliveryViewSet, WebhookViewSet

__all__ = [
    "AttachmentViewSet",
    "BatchViewSet",
    "ChatViewSet",
    "EmailViewSet",
    "MessageViewSet",
    "OfficialViewSet",
    "SenderViewSet",
    "SmsViewSet",
    "SuppressionViewSet",
    "WebhookDeliveryViewSet",
    "WebhookViewSet",
    "WechatViewSet",
]

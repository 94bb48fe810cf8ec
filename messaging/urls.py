from django.urls import path

from messaging.viewsets import (
    AttachmentViewSet,
    BatchViewSet,
    ChatViewSet,
    EmailViewSet,
    MessageViewSet,
    OfficialViewSet,
    SenderViewSet,
    SmsViewSet,
    SuppressionViewSet,
    WebhookDeliveryViewSet,
    WebhookViewSet,
    WechatViewSet,
)

urlpatterns = [
    path("messages/email/send", EmailViewSet.as_view({"post": "create"}), name="email-send"),
    path("messages/sms/send", SmsViewSet.as_view({"post": "create"}), name="sms-send"),
    path("messages/wechat/send", WechatViewSet.as_view({"post": "create"}), name="wechat-send"),
    path(
        "messages/wechat-official/send",
        OfficialViewSet.as_view({"post": "create"}),
        name="wechat-official-send",
    ),
    path("messages/chat/send", ChatViewSet.as_view({"post": "create"}), name="chat-send"),
    path("messages/batch", BatchViewSet.as_view({"post": "create"}), name="batch-send"),
    path("messages", MessageViewSet.as_view({"get": "list"}), name="message-list"),
    path("messages/batch/query", MessageViewSet.as_view({"post": "query"}), name="message-query"),
    path("messages/<uuid:pk>", MessageViewSet.as_view({"get": "retrieve"}), name="message-detail"),
    *(
        path(
            f"messages/<uuid:pk>/{action}",
            MessageViewSet.as_view({method: action}),
            name=f"message-{action}",
        )
        for action, method in (
            ("timeline", "get"),
            ("cancel", "post"),
            ("reschedule", "post"),
            ("resend", "post"),
        )
    ),
    path("batches", BatchViewSet.as_view({"get": "list"}), name="batch-list"),
    path("batches/<uuid:pk>", BatchViewSet.as_view({"get": "retrieve"}), name="batch-detail"),
    path("batches/<uuid:pk>/cancel", BatchViewSet.as_view({"post": "cancel"}), name="batch-cancel"),
    path("attachments", AttachmentViewSet.as_view({"post": "create"}), name="attachment-list"),
    path(
        "attachments/<uuid:pk>",
        AttachmentViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="attachment-detail",
    ),
    path("senders", SenderViewSet.as_view({"get": "list"}), name="sender-list"),
    path("senders/<slug:name>", SenderViewSet.as_view({"get": "retrieve"}), name="sender-detail"),
    path("webhooks", WebhookViewSet.as_view({"get": "list", "post": "create"}), name="webhooks"),
    path(
        "webhooks/<uuid:pk>",
        WebhookViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="webhook",
    ),
    path(
        "webhooks/<uuid:pk>/rotate-secret",
        WebhookViewSet.as_view({"post": "rotate_secret"}),
        name="webhook-rotate-secret",
    ),
    path("webhooks/<uuid:pk>/test", WebhookViewSet.as_view({"post": "test"}), name="webhook-test"),
    path(
        "webhooks/<uuid:pk>/deliveries",
        WebhookDeliveryViewSet.as_view({"get": "list"}),
        name="webhook-deliveries",
    ),
    path(
        "webhooks/<uuid:pk>/deliveries/<uuid:delivery_pk>/replay",
        WebhookDeliveryViewSet.as_view({"post": "replay"}),
        name="webhook-replay",
    ),
    path(
        "suppressions",
        SuppressionViewSet.as_view({"get": "list", "post": "create"}),
        name="suppression-list",
    ),
    path(
        "suppressions/import",
        SuppressionViewSet.as_view({"post": "take_in"}),
        name="suppression-import",
    ),
    path(
        "suppressions/export",
        SuppressionViewSet.as_view({"get": "export"}),
        name="suppression-export",
    ),
    path(
        "suppressions/<int:pk>",
        SuppressionViewSet.as_view({"delete": "destroy"}),
        name="suppression-detail",
    ),
]

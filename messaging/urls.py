from django.urls import include, path

from messaging.viewsets import (
    AttachmentViewSet,
    BatchViewSet,
    EmailViewSet,
    MessageViewSet,
    SenderViewSet,
    SuppressionViewSet,
)

urlpatterns = [
    path("messages/email/send", EmailViewSet.as_view({"post": "create"}), name="email-send"),
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
    path("", include("messaging.webhook_api.urls")),
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

from django.urls import path

from messaging.attachment_viewsets import AttachmentViewSet
from messaging.viewsets import EmailViewSet, MessageViewSet

urlpatterns = [
    path("messages/email/send", EmailViewSet.as_view({"post": "create"}), name="email-send"),
    path("messages", MessageViewSet.as_view({"get": "list"}), name="message-list"),
    path("messages/<uuid:pk>", MessageViewSet.as_view({"get": "retrieve"}), name="message-detail"),
    path("attachments", AttachmentViewSet.as_view({"post": "create"}), name="attachment-list"),
    path(
        "attachments/<uuid:pk>",
        AttachmentViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="attachment-detail",
    ),
]

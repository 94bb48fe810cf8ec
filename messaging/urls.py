from django.urls import include, path

from messaging.viewsets import EmailViewSet, MessageViewSet

urlpatterns = [
    path("messages/email/send", EmailViewSet.as_view({"post": "create"}), name="email-send"),
    path("messages", MessageViewSet.as_view({"get": "list"}), name="message-list"),
    path("messages/<uuid:pk>", MessageViewSet.as_view({"get": "retrieve"}), name="message-detail"),
    path("", include("messaging.webhook_api.urls")),
]

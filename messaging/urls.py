from django.urls import path

from messaging.viewsets import EmailViewSet, MessageViewSet

urlpatterns = [
    path("messages/email/send", EmailViewSet.as_view({"post": "create"}), name="email-send"),
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
]

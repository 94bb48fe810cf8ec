from django.urls import path

from messaging.suppression_viewsets import SuppressionViewSet
from messaging.viewsets import EmailViewSet, MessageViewSet

urlpatterns = [
    path("messages/email/send", EmailViewSet.as_view({"post": "create"}), name="email-send"),
    path("messages", MessageViewSet.as_view({"get": "list"}), name="message-list"),
    path("messages/<uuid:pk>", MessageViewSet.as_view({"get": "retrieve"}), name="message-detail"),
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

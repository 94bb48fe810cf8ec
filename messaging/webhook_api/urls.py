from django.urls import path

from messaging.webhook_api.viewsets import DeliveryViewSet, EndpointViewSet

ONE = "webhooks/<uuid:pk>"

urlpatterns = [
    path("webhooks", EndpointViewSet.as_view({"get": "list", "post": "create"}), name="webhooks"),
    path(
        ONE,
        EndpointViewSet.as_view(
            {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
        ),
        name="webhook",
    ),
    path(
        f"{ONE}/rotate-secret",
        EndpointViewSet.as_view({"post": "rotate_secret"}),
        name="webhook-rotate-secret",
    ),
    path(f"{ONE}/test", EndpointViewSet.as_view({"post": "test"}), name="webhook-test"),
    path(f"{ONE}/deliveries", DeliveryViewSet.as_view({"get": "list"}), name="webhook-deliveries"),
    path(
        f"{ONE}/deliveries/<uuid:delivery_pk>/replay",
        DeliveryViewSet.as_view({"post": "replay"}),
        name="webhook-replay",
    ),
]

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts import audit
from accounts.authentication import caller_of
from accounts.models import Action, Scope
from core.ids import lowest_uuid7
from core.problems import PROBLEM
from core.queries import read_query
from core.schema import body_example
from core.serializers import ProblemSerializer
from messaging.callbacks import endpoints
from messaging.callbacks.endpoints import IssuedSecret
from messaging.models import WebhookDelivery, WebhookEndpoint
from messaging.serializers.webhooks import (
    Delivery,
    DeliveryQuery,
    Endpoint,
    EndpointChange,
    EndpointRequest,
    EndpointWithSecret,
    RotationRequest,
)

CONFLICTS = OpenApiResponse(
    ProblemSerializer, description="Its state does not allow this; `detail` says which."
)
NO_STORE = {"Cache-Control": "no-store"}


class _OfWebhooks(GenericViewSet[Any]):
    """Who is asking, and for which endpoint."""

    # For the schema only.
    queryset: QuerySet[Any] = WebhookEndpoint.objects.none()

    def application_id(self) -> int:
        return caller_of(self.request).application_id

    def record(self, action: Action, obj: Model, **details: Any) -> None:
        audit.record(by=audit.of_request(self.request), action=action, obj=obj, **details)

    def endpoint(self) -> WebhookEndpoint:
        return endpoints.find(self.application_id(), self.kwargs["pk"])


class WebhookViewSet(_OfWebhooks):
    required_scopes = dict.fromkeys(
        (
            *("list", "create", "retrieve", "partial_update", "destroy"),
            *("rotate_secret", "test"),
        ),
        Scope.WEBHOOKS_MANAGE,
    )

    @extend_schema(
        operation_id="list_webhooks",
        summary="List webhook endpoints",
        description="Your application's, newest first.",
        responses=Endpoint(many=True),
        tags=["webhooks"],
    )
    def list(self, request: Request) -> Response:
        rows = self.paginate_queryset(endpoints.of_application(self.application_id()))
        return self.get_paginated_response(Endpoint(rows, many=True).data)

    @extend_schema(
        operation_id="create_webhook",
        summary="Create a webhook endpoint",
        description="It hears what happens from one second later on. The answer holds the secret "
        "that its calls are signed with, this once.",
        request=EndpointRequest,
        responses={201: EndpointWithSecret, (409, PROBLEM): CONFLICTS},
        tags=["webhooks"],
        examples=[
            OpenApiExample(
                "What went wrong",
                value={
                    "url": "https://hooks.example.com/notifications",
                    "events": ["message.failed", "message.bounced", "message.complained"],
                },
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        asked = EndpointRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        data = asked.validated_data
        with transaction.atomic():
            issued = endpoints.create_endpoint(
                application_id=self.application_id(),
                url=data["url"],
                description=data["description"],
                events=data.get("events"),
            )
            self.record(Action.ADDED, issued.endpoint)
        return _with_secret(issued, status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="get_webhook",
        summary="Read a webhook endpoint",
        responses=Endpoint,
        tags=["webhooks"],
    )
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(Endpoint(self.endpoint()).data)

    @extend_schema(
        operation_id="change_webhook",
        summary="Change a webhook endpoint",
        description="Also switches it off and on again.",
        request=EndpointChange,
        responses=Endpoint,
        tags=["webhooks"],
        examples=[body_example("Switched off", {"is_active": False})],
    )
    def partial_update(self, request: Request, pk: UUID) -> Response:
        asked = EndpointChange(data=request.data)
        asked.is_valid(raise_exception=True)
        with transaction.atomic():
            endpoint = endpoints.change_endpoint(
                self.endpoint(), changes=asked.validated_data, now=timezone.now()
            )
            self.record(Action.CHANGED, endpoint, fields=sorted(asked.validated_data))
        return Response(Endpoint(endpoint).data)

    @extend_schema(
        operation_id="delete_webhook",
        summary="Delete a webhook endpoint",
        description="It is called no more, not even for what waits.",
        responses={204: None},
        tags=["webhooks"],
    )
    def destroy(self, request: Request, pk: UUID) -> Response:
        endpoint = self.endpoint()
        with transaction.atomic():
            endpoints.delete_endpoint(endpoint, now=timezone.now())
            self.record(Action.DELETED, endpoint)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="rotate_webhook_secret",
        summary="Rotate the secret of a webhook endpoint",
        description="Until `old_secret_until` each call is signed with both.",
        request=RotationRequest,
        responses=EndpointWithSecret,
        tags=["webhooks"],
        examples=[body_example("Both sign for an hour", {"overlap_seconds": 3600})],
    )
    def rotate_secret(self, request: Request, pk: UUID) -> Response:
        asked = RotationRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        with transaction.atomic():
            issued = endpoints.rotate_secret(
                self.endpoint(), overlap=asked.overlap(), now=timezone.now()
            )
            self.record(Action.ROTATED, issued.endpoint)
        return _with_secret(issued, status.HTTP_200_OK)

    @extend_schema(
        operation_id="test_webhook",
        summary="Test a webhook endpoint",
        description="Calls it with the event `ping`; the log says what came of it.",
        request=None,
        responses={202: Delivery, (409, PROBLEM): CONFLICTS},
        tags=["webhooks"],
    )
    def test(self, request: Request, pk: UUID) -> Response:
        delivery = endpoints.ping(self.endpoint(), now=timezone.now())
        return Response(Delivery(delivery).data, status=status.HTTP_202_ACCEPTED)


class WebhookDeliveryViewSet(_OfWebhooks):
    required_scopes = dict.fromkeys(("list", "replay"), Scope.WEBHOOKS_MANAGE)
    queryset = WebhookDelivery.objects.none()

    @extend_schema(
        operation_id="list_webhook_deliveries",
        summary="Read the log of a webhook endpoint",
        description="What it was told in the last 30 days, newest first.",
        parameters=[DeliveryQuery],
        responses=Delivery(many=True),
        tags=["webhooks"],
    )
    def list(self, request: Request, pk: UUID) -> Response:
        asked = read_query(self.request, DeliveryQuery)
        rows = WebhookDelivery.objects.filter(endpoint=self.endpoint())
        if "status" in asked:
            rows = rows.filter(state=asked["status"])
        for name in ("event", "message_id"):
            if name in asked:
                rows = rows.filter(**{name: asked[name]})
        # Ids tell when they were made.
        if "created_after" in asked:
            rows = rows.filter(pk__gte=lowest_uuid7(asked["created_after"]))
        if "created_before" in asked:
            rows = rows.filter(pk__lt=lowest_uuid7(asked["created_before"]))
        return self.get_paginated_response(Delivery(self.paginate_queryset(rows), many=True).data)

    @extend_schema(
        operation_id="replay_webhook_delivery",
        summary="Call again",
        description="With the same `webhook-id` and body, whatever came of it before.",
        request=None,
        responses={202: Delivery, (409, PROBLEM): CONFLICTS},
        tags=["webhooks"],
    )
    def replay(self, request: Request, pk: UUID, delivery_pk: UUID) -> Response:
        found = endpoints.find_delivery(self.endpoint(), delivery_pk)
        delivery = endpoints.replay(found, now=timezone.now())
        return Response(Delivery(delivery).data, status=status.HTTP_202_ACCEPTED)


def _with_secret(issued: IssuedSecret, code: int) -> Response:
    shown = EndpointWithSecret(issued.endpoint, context={"secret": issued.secret})
    return Response(shown.data, status=code, headers=NO_STORE)

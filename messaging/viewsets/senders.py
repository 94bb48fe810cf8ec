from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.authentication import caller_of
from accounts.models import Scope
from messaging.models import Sender
from messaging.sender_report import report_on, usable_by
from messaging.serializers.senders import SenderSerializer


class SenderViewSet(GenericViewSet[Sender]):
    """Read only: senders are the operators'."""

    required_scopes = {"list": Scope.SENDERS_READ, "retrieve": Scope.SENDERS_READ}
    serializer_class = SenderSerializer
    queryset = Sender.objects.none()
    lookup_field = "name"

    def get_queryset(self) -> QuerySet[Sender]:
        if getattr(self, "swagger_fake_view", False):
            return Sender.objects.none()
        return usable_by(caller_of(self.request).application_id)

    @extend_schema(
        operation_id="list_senders",
        summary="List senders",
        description="Those that your application may use, and how they do. Newest first.",
        responses=SenderSerializer(many=True),
        tags=["senders"],
    )
    def list(self, request: Request) -> Response:
        rows: Any = self.paginate_queryset(self.get_queryset())
        now = timezone.now()
        reports = [report_on(sender, now=now) for sender in rows]
        return self.get_paginated_response(SenderSerializer(reports, many=True).data)

    @extend_schema(
        operation_id="get_sender",
        summary="See how a sender does",
        description="One that is reserved for other applications is not there.",
        responses=SenderSerializer,
        tags=["senders"],
    )
    def retrieve(self, request: Request, name: str) -> Response:
        return Response(SenderSerializer(report_on(self.get_object(), now=timezone.now())).data)

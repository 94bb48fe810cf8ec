from dataclasses import replace
from typing import Any

from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet, ViewSet

from accounts.authentication import caller_of
from accounts.models import Scope
from core.errors import Code, FieldError
from core.middleware import request_id_of
from core.problems import ProblemError
from messaging import intake, search
from messaging.models import Message, OtherRecipient
from messaging.recipient_doors import fence_of, pointers_as_given
from messaging.recipients import as_given
from messaging.serializers import (
    Accepted,
    EmailRequest,
    MessageDetail,
    MessageQuery,
    MessageSummary,
)
from messaging.story import shown_as
from templates_app.models import TEXTS_OF_A_VERSION, TemplateVersion

PAGE_PARAMETERS = frozenset({"page", "page_size", "cursor"})


class EmailViewSet(ViewSet):
    required_scopes = {"create": Scope.MESSAGES_SEND}

    @extend_schema(
        operation_id="send_email",
        summary="Send an e-mail",
        description="Stores the message and answers at once. What was answered with 202 is not "
        "lost; follow it by its id.",
        request=EmailRequest,
        responses={202: OpenApiResponse(Accepted, description="Stored; a worker will send it.")},
        tags=["messages"],
        examples=[
            OpenApiExample(
                "The least",
                value={
                    "to": "user@example.com",
                    "subject": "测试邮件",
                    "content": "<h1>Hello World</h1>",
                },
                request_only=True,
            ),
            OpenApiExample(
                "An alarm to two people",
                value={
                    "to": ["Ann <ann@example.com>", "bob@example.com"],
                    "subject": "Disk of db-1 is 95 % full",
                    "content": "Free some space, or it stops at about 15:40.",
                    "content_type": "text",
                    "priority": "high",
                    "reference": "alarm-4711",
                },
                request_only=True,
            ),
            OpenApiExample(
                "By a template",
                value={
                    "to": "user@example.com",
                    "template_code": "welcome",
                    "locale": "zh-hans",
                    "variables": {
                        "name": "小明",
                        "product": "Example",
                        "action_url": "https://example.com/start",
                    },
                },
                request_only=True,
            ),
        ],
    )
    def create(self, request: Request) -> Response:
        asked = EmailRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        caller = caller_of(request)
        with pointers_as_given(request.data):
            accepted = intake.accept_email(
                application_id=caller.application_id,
                api_key_id=caller.api_key_id,
                content=asked.email_content(),
                handling=asked.handling(),
                request_id=request_id_of(request),
                now=timezone.now(),
                template=asked.wanted_template(),
                fence=fence_of(caller),
            )
        if accepted.warnings:
            accepted = replace(accepted, warnings=as_given(accepted.warnings, request.data))
        return Response(Accepted(accepted).data, status=status.HTTP_202_ACCEPTED)


@extend_schema_view(
    list=extend_schema(
        operation_id="list_messages",
        summary="List messages",
        description="Newest first. Only your application's.",
        parameters=[MessageQuery],
        tags=["messages"],
    ),
    retrieve=extend_schema(
        operation_id="get_message", summary="Follow a message", tags=["messages"]
    ),
)
class MessageViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Message]):
    required_scopes = {"list": Scope.MESSAGES_READ, "retrieve": Scope.MESSAGES_READ}
    queryset = Message.objects.none()

    def get_serializer_class(self) -> type[BaseSerializer[Message]]:
        return MessageSummary if self.action == "list" else MessageDetail

    def get_queryset(self) -> QuerySet[Message]:
        if getattr(self, "swagger_fake_view", False):
            return Message.objects.none()
        application_id = caller_of(self.request).application_id
        rows = Message.objects.filter(application=application_id)
        # Of the version its number only: its texts are as large as the messages.
        return rows.select_related("sender", "only_sender", "template_version__template").defer(
            *(f"template_version__{name}" for name in TEXTS_OF_A_VERSION)
        )

    def filter_queryset(self, queryset: Any) -> Any:
        if self.action != "list":
            return queryset
        asked = MessageQuery(
            data={
                name: value
                for name, value in self.request.query_params.items()
                if name not in PAGE_PARAMETERS
            }
        )
        if not asked.is_valid():
            raise _parameter_problem(asked.errors)
        subject = KeyTextTransform("subject", "content")
        return (
            filter_messages(queryset, asked.validated_data)
            .defer("content")
            .annotate(subject=subject)
        )


def filter_messages(queryset: QuerySet[Message], asked: dict[str, Any]) -> QuerySet[Message]:
    if shown := asked.get("status"):
        queryset = queryset.filter(shown_as(shown, now=timezone.now()))
    if channel := asked.get("channel"):
        queryset = queryset.filter(channel=channel)
    if reference := asked.get("reference"):
        queryset = queryset.filter(reference=reference)
    if code := asked.get("template"):
        versions = TemplateVersion.objects.filter(template__code=code)
        queryset = queryset.filter(template_version__in=versions.values("pk"))
    if recipient := asked.get("recipient"):
        address = recipient.lower()
        others = OtherRecipient.objects.filter(address=address).values("message")
        found = Message.objects.filter(recipient=address).order_by().values("pk")
        queryset = queryset.filter(pk__in=found.union(others, all=True))
    if after := asked.get("created_after"):
        queryset = queryset.filter(search.created_since(after))
    if before := asked.get("created_before"):
        queryset = queryset.filter(search.created_before(before))
    return queryset


def _parameter_problem(errors: Any) -> ProblemError:
    return ProblemError(
        Code.INVALID_REQUEST,
        errors=tuple(
            FieldError(f"?{name}", str(detail.code), str(detail))
            for name, details in errors.items()
            for detail in details
        ),
    )

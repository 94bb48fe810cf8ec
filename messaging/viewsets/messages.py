from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from accounts.authentication import caller_of
from accounts.models import Scope
from core.errors import Code
from core.problems import PROBLEM, ProblemError
from core.queries import read_query
from core.schema import body_example
from core.serializers import ProblemSerializer
from messaging import by_template, resending, scheduling, search, simulation
from messaging.models import Message, OtherRecipient
from messaging.serializers.messages import (
    FoundSerializer,
    IdsRequest,
    MessageDetail,
    MessageQuery,
    MessageSummary,
    RescheduleRequest,
    ResendRequest,
    TimelineSerializer,
)
from messaging.story import shown_as
from messaging.timeline import timeline_of
from templates_app.models import TEXTS_OF_A_VERSION

CONFLICT = OpenApiResponse(
    ProblemSerializer, description="It is in a state that does not allow this; `detail` says which."
)


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
    required_scopes = {
        "list": Scope.MESSAGES_READ,
        "retrieve": Scope.MESSAGES_READ,
        "timeline": Scope.MESSAGES_READ,
        "query": Scope.MESSAGES_READ,
        "cancel": Scope.MESSAGES_SEND,
        "reschedule": Scope.MESSAGES_SEND,
        "resend": Scope.MESSAGES_SEND,
    }
    queryset = Message.objects.none()
    # Of the template that is asked for.
    versions: Sequence[int] = ()

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
        asked = read_query(self.request, MessageQuery)
        queryset = filter_messages(queryset, asked)
        if code := asked.get("template"):
            self.versions = by_template.used_versions(
                code, application_id=caller_of(self.request).application_id
            )
            queryset = queryset.filter(template_version__in=self.versions)
        subject = KeyTextTransform("subject", "content")
        return queryset.defer("content").annotate(subject=subject)

    def narrow_to_newest(self, queryset: QuerySet[Message], count: int) -> QuerySet[Message]:
        return by_template.narrow_to_newest(queryset, self.versions, count)

    @extend_schema(
        operation_id="get_timeline",
        summary="The whole story of a message",
        description="Every move, each attempt with the sender's decision and the provider's words, "
        "requests that were swallowed as duplicates, and when it is tried next.",
        responses=TimelineSerializer,
        tags=["messages"],
    )
    def timeline(self, request: Request, pk: str) -> Response:
        return Response(TimelineSerializer(timeline_of(self.get_object())).data)

    @extend_schema(
        operation_id="query_messages",
        summary="Look up to 100 messages up by their ids",
        request=IdsRequest,
        responses=FoundSerializer,
        tags=["messages"],
        examples=[
            body_example(
                "Two messages",
                {
                    "ids": [
                        "01a21320-c944-73d3-ae00-29706c2b2d4c",
                        "01a21320-d00c-7128-9608-b3b59b5b04bd",
                    ]
                },
            )
        ],
    )
    def query(self, request: Request) -> Response:
        asked = IdsRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        ids = list(dict.fromkeys(asked.validated_data["ids"]))
        found = {message.pk: message for message in self.get_queryset().filter(pk__in=ids)}
        missing = [pk for pk in ids if pk not in found]
        results = [found[pk] for pk in ids if pk in found]
        return Response(FoundSerializer({"results": results, "missing": missing}).data)

    @extend_schema(
        operation_id="cancel_message",
        summary="Cancel a message",
        description="Until a worker has it; after that the answer is 409.",
        request=None,
        responses={200: MessageDetail, (409, PROBLEM): CONFLICT},
        tags=["messages"],
    )
    def cancel(self, request: Request, pk: str) -> Response:
        message = self._movable()
        scheduling.cancel(message=message, now=timezone.now())
        return self._shown(message)

    @extend_schema(
        operation_id="reschedule_message",
        summary="Send a scheduled message at another time",
        description="Until a worker has it; then the answer is 409. Its lifetime moves along.",
        request=RescheduleRequest,
        responses={200: MessageDetail, (409, PROBLEM): CONFLICT},
        tags=["messages"],
        examples=[body_example("In ten minutes", {"delay_seconds": 600})],
    )
    def reschedule(self, request: Request, pk: str) -> Response:
        asked = RescheduleRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        message, now = self._movable(), timezone.now()
        scheduling.reschedule(message=message, due_at=asked.due_at(now) or now, now=now)
        return self._shown(message)

    @extend_schema(
        operation_id="resend_message",
        summary="Send a failed or unknown message again",
        description="The same message with its whole lifetime anew. What may have arrived already "
        "goes only with `may_duplicate`.",
        request=ResendRequest,
        responses={200: MessageDetail, (409, PROBLEM): CONFLICT},
        tags=["messages"],
        examples=[body_example("Although it may have arrived", {"may_duplicate": True})],
    )
    def resend(self, request: Request, pk: str) -> Response:
        asked = ResendRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        message = self._movable()
        resending.resend_asked(message=message, now=timezone.now(), **asked.validated_data)
        return self._shown(message)

    def _movable(self) -> Message:
        """The message, for who may say when and whether it is sent. Raises `ProblemError`."""
        message = self.get_object()
        if caller_of(self.request).is_test and not simulation.is_test(message):
            words = f"Message {message.pk} is no test message: a test key can only read it."
            raise ProblemError(Code.FORBIDDEN, words)
        return message

    def _shown(self, message: Message) -> Response:
        """As it is now."""
        return Response(MessageDetail(self.get_queryset().get(pk=message.pk)).data)


def filter_messages(queryset: QuerySet[Message], asked: dict[str, Any]) -> QuerySet[Message]:
    if shown := asked.get("status"):
        queryset = queryset.filter(shown_as(shown, now=timezone.now()))
    if channel := asked.get("channel"):
        queryset = queryset.filter(channel=channel)
    if reference := asked.get("reference"):
        queryset = queryset.filter(reference=reference)
    if batch_id := asked.get("batch_id"):
        queryset = queryset.filter(batch=batch_id)
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

from dataclasses import replace
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_view,
)
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts import quotas
from accounts.authentication import caller_of
from accounts.models import Scope
from core.problems import PROBLEM
from core.serializers import ProblemSerializer
from core.vocabulary import Channel
from messaging import counting, intake, rehearsal
from messaging.fields import VISIBLE
from messaging.recipients import as_given, pointers_as_given
from messaging.serializers.accepted import Accepted, Rehearsed
from messaging.serializers.channels import (
    REQUESTS,
    ChatRequest,
    OfficialRequest,
    SmsRequest,
    WechatRequest,
)
from messaging.serializers.sending import EmailRequest, SendRequest
from messaging.viewsets.answering import HEADER, Once

IDEMPOTENCY = OpenApiParameter(
    HEADER,
    {"type": "string", "pattern": VISIBLE},
    OpenApiParameter.HEADER,
    description="1 to 255 visible ASCII characters. The same request again with it, within 72 "
    "hours, gets the same answer, with `Idempotent-Replayed: true`, and nothing is sent twice.",
)

AcceptedOrRehearsed = PolymorphicProxySerializer(
    component_name="AcceptedOrRehearsed",
    serializers=[Accepted, Rehearsed],
    resource_type_field_name=None,
)


def _documented(
    request: type[SendRequest], *, name: str, summary: str, examples: dict[str, dict[str, Any]]
) -> Any:
    """The page of one channel's call."""
    return extend_schema_view(
        create=extend_schema(
            operation_id=name,
            summary=summary,
            description="Stores the message and answers at once. What was answered with 202 is not "
            "lost; follow it by its id.",
            request=request,
            parameters=[IDEMPOTENCY],
            responses={
                202: OpenApiResponse(Accepted, description="Stored; a worker will send it."),
                200: OpenApiResponse(
                    AcceptedOrRehearsed,
                    description="Nothing new was stored: the same was accepted lately, and this "
                    "is that message; or it was a dry run.",
                ),
                (404, PROBLEM): OpenApiResponse(
                    ProblemSerializer, description="There is no such template."
                ),
                (409, PROBLEM): OpenApiResponse(
                    ProblemSerializer,
                    description="The template cannot be sent by now, or a request with the same "
                    "idempotency key is still at work.",
                ),
            },
            tags=["messages"],
            examples=[
                OpenApiExample(title, value=value, request_only=True)
                for title, value in examples.items()
            ],
        )
    )


class SendViewSet(ViewSet):
    """Of one channel; each has a page of its own in the document."""

    required_scopes = {"create": Scope.MESSAGES_SEND}
    channel: ClassVar[Channel]

    def create(self, request: Request) -> HttpResponse | Response:
        once = Once(request)
        earlier = once.earlier()
        if earlier is not None:
            return earlier
        asked = REQUESTS[self.channel](data=request.data, context={"caller": caller_of(request)})
        asked.is_valid(raise_exception=True)
        now = timezone.now()
        with pointers_as_given(request.data):
            ready = intake.prepare(
                origin=once.origin,
                channel=self.channel,
                content=asked.wanted_content(),
                handling=asked.handling(),
                now=now,
                template=asked.wanted_template(),
                attached=asked.attached(),
            )
        if ready.warnings:
            ready = replace(ready, warnings=as_given(ready.warnings, request.data))
        allowance, is_real = once.origin.allowance, not asked.validated_data.get("dry_run")
        letters = counting.letters_of([ready], allowance)
        quotas.take(allowance, letters, now=now, is_real=is_real)
        if not is_real:
            return Response(Rehearsed(rehearsal.rehearse(ready, now=now)).data)
        return once.answer(lambda: intake.store(ready, now=now), _told, letters=letters, now=now)


def _told(accepted: intake.Accepted) -> tuple[int, dict[str, Any]]:
    is_new = not accepted.is_duplicate
    return (
        status.HTTP_202_ACCEPTED if is_new else status.HTTP_200_OK,
        Accepted(accepted).data,
    )


@_documented(
    EmailRequest,
    name="send_email",
    summary="Send an e-mail",
    examples={
        "The least": {
            "to": "user@example.com",
            "subject": "测试邮件",
            "content": "<h1>Hello World</h1>",
        },
        "An alarm to two people": {
            "to": ["Ann <ann@example.com>", "bob@example.com"],
            "subject": "Disk of db-1 is 95 % full",
            "content": "Free some space, or it stops at about 15:40.",
            "content_type": "text",
            "priority": "high",
            "reference": "alarm-4711",
        },
        "By a template": {
            "to": "user@example.com",
            "template_code": "welcome",
            "locale": "zh-hans",
            "variables": {
                "name": "小明",
                "product": "Example",
                "action_url": "https://example.com/start",
            },
        },
    },
)
class EmailViewSet(SendViewSet):
    channel = Channel.EMAIL


@_documented(
    SmsRequest,
    name="send_sms",
    summary="Send an SMS",
    examples={
        "A code": {
            "to": "+8613800138000",
            "template_code": "login-code",
            "variables": {"code": "482913", "minutes": 5},
            "priority": "high",
        },
    },
)
class SmsViewSet(SendViewSet):
    channel = Channel.SMS


@_documented(
    WechatRequest,
    name="send_wechat",
    summary="Send a message in WeChat Work",
    examples={
        "To a member and a department": {
            "to": ["zhangsan", "party:2"],
            "content": "The build is green.",
        },
        "A card": {
            "to": "zhangsan",
            "message_type": "textcard",
            "title": "Leave request",
            "content": "Li Si asks for three days.",
            "url": "https://example.com/leave/7",
            "button": "Open",
        },
        "To a group by its robot": {
            "to": "robot:ops-robot",
            "message_type": "markdown",
            "content": "**db-1** is *down*",
        },
    },
)
class WechatViewSet(SendViewSet):
    channel = Channel.WECHAT


@_documented(
    OfficialRequest,
    name="send_wechat_official",
    summary="Send a template message or notice of a WeChat Official Account",
    examples={
        "An order": {
            "to": "oABCD0123456789_example-id00",
            "template_code": "order-paid",
            "variables": {
                "number": "4711",
                "item": "Tea",
                "amount": 7.4,
                "at": "2026-11-22T09:30:00+08:00",
            },
            "url": "https://example.com/orders/4711",
        },
    },
)
class OfficialViewSet(SendViewSet):
    channel = Channel.WECHAT_OFFICIAL


@_documented(
    ChatRequest,
    name="send_chat",
    summary="Post to a chat",
    examples={
        "An alarm": {
            "to": "ops-chat",
            "title": "db-1",
            "content": "Disk is 95 % full",
            "severity": "warning",
        },
    },
)
class ChatViewSet(SendViewSet):
    channel = Channel.CHAT

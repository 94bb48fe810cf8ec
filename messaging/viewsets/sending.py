from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts import quotas
from accounts.models import Scope
from core.problems import PROBLEM
from core.serializers import ProblemSerializer
from messaging import counting, intake, rehearsal
from messaging.fields import VISIBLE
from messaging.recipients import as_given, pointers_as_given
from messaging.serializers.sending import Accepted, EmailRequest, Rehearsed
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


class EmailViewSet(ViewSet):
    required_scopes = {"create": Scope.MESSAGES_SEND}

    @extend_schema(
        operation_id="send_email",
        summary="Send an e-mail",
        description="Stores the message and answers at once. What was answered with 202 is not "
        "lost; follow it by its id.",
        request=EmailRequest,
        parameters=[IDEMPOTENCY],
        responses={
            202: OpenApiResponse(Accepted, description="Stored; a worker will send it."),
            200: OpenApiResponse(
                AcceptedOrRehearsed,
                description="Nothing new was stored: the same was accepted lately, and this is "
                "that message; or it was a dry run.",
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
    def create(self, request: Request) -> HttpResponse | Response:
        once = Once(request)
        earlier = once.earlier()
        if earlier is not None:
            return earlier
        asked = EmailRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        now = timezone.now()
        with pointers_as_given(request.data):
            ready = intake.prepare_email(
                origin=once.origin,
                content=asked.email_content(),
                handling=asked.handling(),
                now=now,
                template=asked.wanted_template(),
                attached=asked.validated_data.get("attachment_ids", ()),
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

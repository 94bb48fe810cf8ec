"""The usual design in its smallest honest form: a REST framework view, a serializer, an ORM insert
and a Celery task for the message, published with a confirm before the answer."""

from datetime import timedelta
from typing import cast

from celery import shared_task
from django.urls import path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.authentication import Caller
from accounts.models import Scope
from messaging.models import Message


@shared_task(ignore_result=True)
def send_one(message_id: str) -> None:
    """Never run here: what it costs to publish it is what is measured."""


class EmailRequest(serializers.Serializer):
    to = serializers.EmailField()
    subject = serializers.CharField(max_length=255)
    content = serializers.CharField()
    text = serializers.CharField(required=False)


class SendView(APIView):
    required_scopes = {"POST": Scope.MESSAGES_SEND}

    def post(self, request: Request) -> Response:
        asked = EmailRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        data, caller = asked.validated_data, cast(Caller, request.user)
        message = Message.objects.create(
            application_id=caller.application_id,
            api_key_id=caller.api_key_id,
            channel="email",
            recipient=data["to"],
            content={
                "to": [["", data["to"]]],
                "subject": data["subject"],
                "html": data["content"],
                "text": data.get("text", ""),
            },
            expires_at=timezone.now() + timedelta(hours=72),
        )
        send_one.delay(str(message.pk))
        return Response({"id": message.pk, "status": message.status}, status=202)


urlpatterns = [path("api/v1/messages/email/send", SendView.as_view())]

"""The reference of the accept path: authenticate, validate a little, insert, and nothing else.

The key is looked up as on every request of the platform, and the row is the same row: one INSERT
that commits by itself. There is no middleware, no REST framework view, no ORM, no metric, no bell.
"""

import json
from datetime import timedelta

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from accounts.authentication import TokenAuthentication
from core.ids import uuid7

INSERT = """
    INSERT INTO messaging_message (
        id, application_id, api_key_id, channel, lane, policy, recipient, content, reference,
        metadata, tags, request_id, status, reason, reason_detail, feedback, expires_at,
        lease_token, claims, tries, unknown_resends
    ) VALUES (
        %s, %s, %s, 'email', 'normal', 'at_least_once', %s, %s, '',
        '{}', '[]', '', 'pending', '', '', '', %s,
        0, 0, 0, 0
    ) RETURNING created_at
"""


@csrf_exempt
def send(request: HttpRequest) -> HttpResponse:
    authenticated = TokenAuthentication().authenticate(request)  # type: ignore[arg-type]
    if authenticated is None:
        return HttpResponse(status=401)
    caller = authenticated[0]
    asked = json.loads(request.body)
    to, subject, html, text = (asked.get(name) for name in ("to", "subject", "content", "text"))
    if not all(isinstance(value, str) and value for value in (to, subject, html, text)):
        return HttpResponse(status=422)
    content = {"to": [["", to]], "subject": subject, "html": html, "text": text}
    pk, expires_at = uuid7(), timezone.now() + timedelta(hours=72)
    with connection.cursor() as cursor:
        cursor.execute(
            INSERT,
            [
                pk,
                caller.application_id,
                caller.api_key_id,
                to.lower(),
                json.dumps(content),
                expires_at,
            ],
        )
        created_at = cursor.fetchone()[0]
    answer = {"id": pk, "status": "pending", "created_at": created_at}
    return JsonResponse(answer, status=202, encoder=DjangoJSONEncoder)


urlpatterns = [path("api/v1/messages/email/send", send)]

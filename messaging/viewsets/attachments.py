from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiRequest, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts.authentication import caller_of
from accounts.models import Scope
from core.errors import Code
from core.problems import PROBLEM, ProblemError
from core.serializers import ProblemSerializer
from core.uploads import UploadParser, upload_of
from messaging import attachments
from messaging.attachment_types import DEFAULT, KINDS
from messaging.models import Attachment
from messaging.serializers.attachments import AttachmentSerializer, UploadRequest

# Unless an installation says otherwise.
CONTENT_TYPES = [KINDS[name].content_type for name in DEFAULT]


class AttachmentViewSet(ViewSet):
    required_scopes = {
        "create": Scope.MESSAGES_SEND,
        "retrieve": Scope.MESSAGES_READ,
        "destroy": Scope.MESSAGES_SEND,
    }

    def get_parsers(self) -> list[BaseParser]:
        is_upload = self.request is not None and self.request.method == "POST"
        return [UploadParser()] if is_upload else super().get_parsers()

    @extend_schema(
        operation_id="upload_attachment",
        summary="Upload a file",
        description="As `multipart/form-data`, in the field `file`: at most 10 MiB, of a type that "
        "may be attached (a PDF, an image, an Office file, text, a calendar), which its name and "
        "its content must both say. Send it then by its id in `attachment_ids`, with any number "
        "of messages until it expires.",
        request={
            "multipart/form-data": OpenApiRequest(
                UploadRequest, encoding={"file": {"contentType": ", ".join(CONTENT_TYPES)}}
            )
        },
        responses={
            201: OpenApiResponse(AttachmentSerializer, description="Stored."),
            (400, PROBLEM): OpenApiResponse(
                ProblemSerializer, description="The body is no whole multipart body."
            ),
            (413, PROBLEM): OpenApiResponse(
                ProblemSerializer, description="The file is too large."
            ),
            (415, PROBLEM): OpenApiResponse(
                ProblemSerializer, description="The body is not sent as `multipart/form-data`."
            ),
        },
        tags=["attachments"],
    )
    def create(self, request: Request) -> Response:
        upload = upload_of(request)
        caller = caller_of(request)
        with upload.file:
            attachment = attachments.keep(
                upload=upload,
                application_id=caller.application_id,
                api_key_id=caller.api_key_id,
                now=timezone.now(),
            )
        return Response(AttachmentSerializer(attachment).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="get_attachment",
        summary="Look at an uploaded file",
        description="What is known of it, not the file itself.",
        responses={200: AttachmentSerializer},
        tags=["attachments"],
    )
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(AttachmentSerializer(_own(request, pk)).data)

    @extend_schema(
        operation_id="delete_attachment",
        summary="Remove an uploaded file",
        description="One that no message goes with. The others are removed by themselves.",
        responses={
            204: None,
            (409, PROBLEM): OpenApiResponse(
                ProblemSerializer, description="A message goes with it."
            ),
        },
        tags=["attachments"],
    )
    def destroy(self, request: Request, pk: UUID) -> Response:
        attachments.discard(_own(request, pk))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _own(request: Request, pk: UUID) -> Attachment:
    application_id: Any = caller_of(request).application_id
    found = Attachment.objects.filter(pk=pk, application=application_id, removed_at=None).first()
    if found is None:
        raise ProblemError(Code.NOT_FOUND, f"There is no attachment {pk}.")
    return found

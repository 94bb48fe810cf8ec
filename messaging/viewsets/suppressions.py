from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import mixins, status
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.authentication import caller_of
from accounts.models import Scope
from core.errors import Code, FieldError
from core.parsing import StrictJSONParser
from core.problems import ProblemError
from core.queries import read_query
from core.schema import body_example
from core.spreadsheets import CsvRenderer
from messaging import suppressions
from messaging.models import Suppression
from messaging.serializers.suppressions import (
    IMPORT_LIST,
    ImportAnswer,
    SuppressionImportQuery,
    SuppressionQuery,
    SuppressionRequest,
    SuppressionSerializer,
)
from messaging.suppression_files import Parsed, parse_csv, parse_items, write_csv


class CsvText(str):
    """What was posted as CSV."""


class CsvParser(BaseParser):
    """Text in UTF-8, as large as a JSON body may be; read as `CsvText`."""

    media_type = "text/csv"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        body: bytes = stream.read(settings.MAX_BODY_BYTES + 1)
        if len(body) > settings.MAX_BODY_BYTES:
            raise ProblemError(
                Code.PAYLOAD_TOO_LARGE, f"The body is larger than {settings.MAX_BODY_BYTES} bytes."
            )
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise ProblemError(
                Code.INVALID_REQUEST,
                f"The body is not UTF-8 (byte {error.start}).",
                errors=(FieldError("", "invalid", "It must be CSV in UTF-8."),),
            ) from error
        if "\0" in text:
            raise ProblemError(
                Code.INVALID_REQUEST,
                errors=(FieldError("", "unstorable_character", "It holds a NUL character."),),
            )
        return CsvText(text)


class SuppressionViewSet(mixins.ListModelMixin, GenericViewSet[Suppression]):
    required_scopes = {
        "list": Scope.SUPPRESSIONS_READ,
        "export": Scope.SUPPRESSIONS_READ,
        "create": Scope.SUPPRESSIONS_WRITE,
        "destroy": Scope.SUPPRESSIONS_WRITE,
        "take_in": Scope.SUPPRESSIONS_WRITE,
    }
    serializer_class = SuppressionSerializer
    queryset = Suppression.objects.none()

    def get_parsers(self) -> list[BaseParser]:
        is_import = getattr(self, "action_map", {}).get("post") == "take_in"
        return [StrictJSONParser(), *([CsvParser()] if is_import else [])]

    def get_renderers(self) -> list[BaseRenderer]:
        is_export = getattr(self, "action_map", {}).get("get") == "export"
        return [JSONRenderer(), *([CsvRenderer()] if is_export else [])]

    def get_queryset(self) -> QuerySet[Suppression]:
        if getattr(self, "swagger_fake_view", False):
            return Suppression.objects.none()
        return suppressions.visible_to(caller_of(self.request).application_id)

    def filter_queryset(self, queryset: Any) -> Any:
        caller = caller_of(self.request)
        return queryset.filter(**read_query(self.request, SuppressionQuery, caller=caller))

    @extend_schema(
        operation_id="list_suppressions",
        summary="List suppressed recipients",
        description="Your application's and those that hold for all. Newest first.",
        parameters=[SuppressionQuery],
        tags=["suppressions"],
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(
        operation_id="add_suppression",
        summary="Suppress a recipient",
        description="For your application. One that is there already stays, unless it would expire "
        "sooner.",
        request=SuppressionRequest,
        responses={
            201: OpenApiResponse(SuppressionSerializer, description="Added."),
            200: OpenApiResponse(SuppressionSerializer, description="It was there already."),
        },
        tags=["suppressions"],
        examples=[
            OpenApiExample(
                "Somebody who asked for it",
                value={
                    "address": "ann@example.com",
                    "reason": "unsubscribed",
                    "note": "Called on 25 November.",
                },
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        asked = SuppressionRequest(data=request.data, context={"caller": caller_of(request)})
        asked.is_valid(raise_exception=True)
        row, is_new = suppressions.add(
            asked.entry(),
            channel=asked.validated_data["channel"],
            application_id=caller_of(request).application_id,
            source="api",
            now=timezone.now(),
        )
        return Response(
            SuppressionSerializer(row).data,
            status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK,
        )

    @extend_schema(
        operation_id="remove_suppression",
        summary="Write to a recipient again",
        description="Only your application's own; those that hold for all are the operators'.",
        responses={204: None},
        tags=["suppressions"],
    )
    def destroy(self, request: Request, pk: int) -> Response:
        suppressions.remove_own(pk, application_id=caller_of(request).application_id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="import_suppressions",
        summary="Suppress many recipients",
        description="CSV (`text/csv`, UTF-8) with the columns `address`, `reason`, `note`, "
        "`expires_at`, or a JSON list of addresses or objects with these fields; at most 1 MiB. "
        "The same again changes nothing. Lines that are wrong are named, the others are stored.",
        request={
            "application/json": IMPORT_LIST,
            "text/csv": {"type": "string", "minLength": 1},
        },
        parameters=[SuppressionImportQuery],
        responses={200: ImportAnswer},
        tags=["suppressions"],
        examples=[
            body_example(
                "Two recipients",
                ["ann@example.com", {"address": "ming@example.com", "reason": "complaint"}],
            ),
            body_example(
                "A file",
                "address,reason,note\r\nann@example.com,unsubscribed,Called\r\n",
                "text/csv",
            ),
        ],
    )
    def take_in(self, request: Request) -> Response:
        channel = read_query(request, SuppressionImportQuery)["channel"]
        region = caller_of(request).default_region
        parsed = _parsed(request.data, channel=channel, region=region)
        changed = suppressions.add_many(
            parsed.entries,
            channel=channel,
            application_id=caller_of(request).application_id,
            source="import",
            now=timezone.now(),
        )
        answer = {
            "added": changed,
            "unchanged": len(parsed.entries) - changed,
            "rejected": parsed.bad,
        }
        return Response(ImportAnswer(answer).data)

    @extend_schema(
        operation_id="export_suppressions",
        summary="Get the list as CSV",
        description="What `GET suppressions` lists, all of it. Cells that a spreadsheet would take "
        "for a formula begin with an apostrophe; the import takes it away again.",
        responses={(200, "text/csv"): OpenApiResponse({"type": "string"}, description="CSV.")},
        parameters=[SuppressionQuery],
        filters=False,
        tags=["suppressions"],
    )
    def export(self, request: Request) -> StreamingHttpResponse:
        rows = self.filter_queryset(self.get_queryset()).order_by("pk")
        return StreamingHttpResponse(
            write_csv(rows.iterator(chunk_size=1000)),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="suppressions.csv"'},
        )


def _parsed(data: Any, *, channel: str, region: str) -> Parsed:
    if isinstance(data, CsvText):
        return parse_csv(data, channel=channel, region=region)
    if isinstance(data, list):
        return parse_items(data, channel=channel, region=region)
    raise ProblemError(
        Code.INVALID_REQUEST,
        errors=(FieldError("", "invalid", "Give a list of addresses, or CSV as text/csv."),),
    )

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Action, Scope
from core.errors import Code, DomainError, FieldError
from core.problems import PROBLEM
from core.queries import read_query
from core.schema import body_example
from templates_app import lookup, publishing
from templates_app.models import TEXTS_OF_A_VERSION
from templates_app.previewing import preview_source, preview_version
from templates_app.serializers import (
    LocaleQuery,
    Preview,
    PreviewRequest,
    RollbackRequest,
    TemplateChange,
    TemplateDetail,
    TemplateQuery,
    TemplateRequest,
    TemplateSummary,
    VersionDetail,
)
from templates_app.viewsets.base import CONFLICTS, NO_TEMPLATE, OfTemplates


class TemplateViewSet(OfTemplates):
    required_scopes = {
        "list": Scope.TEMPLATES_READ,
        "retrieve": Scope.TEMPLATES_READ,
        "preview": Scope.TEMPLATES_READ,
        "create": Scope.TEMPLATES_WRITE,
        "partial_update": Scope.TEMPLATES_WRITE,
        "destroy": Scope.TEMPLATES_WRITE,
        "rollback": Scope.TEMPLATES_WRITE,
    }

    @extend_schema(
        operation_id="list_templates",
        summary="List templates",
        description="Your application's and the shared ones, newest first.",
        parameters=[TemplateQuery],
        responses=TemplateSummary(many=True),
        tags=["templates"],
    )
    def list(self, request: Request) -> Response:
        asked = read_query(self.request, TemplateQuery)
        rows = lookup.visible_to(self.application_id())
        rows = rows.filter(archived_at__isnull=not asked["archived"])
        narrowed = {name: asked[name] for name in ("code", "channel", "locale") if name in asked}
        texts = (f"current_version__{name}" for name in TEXTS_OF_A_VERSION)
        return self.paginated(rows.filter(**narrowed).defer(*texts), TemplateSummary)

    @extend_schema(
        operation_id="create_template",
        summary="Create a template",
        description="With the text of its first version, a draft. It belongs to your application.",
        request=TemplateRequest,
        responses={201: TemplateDetail, (409, PROBLEM): CONFLICTS},
        tags=["templates"],
        examples=[
            OpenApiExample(
                "An order's confirmation",
                value={
                    "code": "order-confirmed",
                    "subject": "Order {{ number }} is on its way",
                    "body": '<p>Hello {{ name }},</p><p>{{ total | currency: "EUR" }}</p>',
                },
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        asked = TemplateRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            with transaction.atomic():
                template = publishing.create_template(
                    asked.template(self.application_id()),
                    draft=asked.first_draft(),
                    by=self.author(),
                    now=timezone.now(),
                )
                self.record(Action.ADDED, template)
        except ValidationError as error:
            raise _refusal(error) from error
        return Response(TemplateDetail(template).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="get_template",
        summary="Read a template",
        parameters=[LocaleQuery],
        responses=TemplateDetail,
        tags=["templates"],
    )
    def retrieve(self, request: Request, code: str) -> Response:
        return Response(TemplateDetail(self.template()).data)

    @extend_schema(
        operation_id="change_template",
        summary="Change a template",
        description="Its name and how its messages are handled; its text is changed by versions.",
        parameters=[LocaleQuery],
        request=TemplateChange,
        responses=TemplateDetail,
        tags=["templates"],
        examples=[body_example("For alarms", {"name": "Alarm", "priority": "high"})],
    )
    def partial_update(self, request: Request, code: str) -> Response:
        asked = TemplateChange(data=request.data)
        asked.is_valid(raise_exception=True)
        with transaction.atomic():
            template = publishing.change_template(
                self.own_template(), changes=asked.validated_data, now=timezone.now()
            )
            self.record(Action.CHANGED, template, fields=sorted(asked.validated_data))
        return Response(TemplateDetail(template).data)

    @extend_schema(
        operation_id="archive_template",
        summary="Archive a template",
        description="It is not sent by any more. Its versions and messages stay.",
        parameters=[LocaleQuery],
        responses={204: None},
        tags=["templates"],
    )
    def destroy(self, request: Request, code: str) -> Response:
        with transaction.atomic():
            template = self.own_template()
            publishing.archive(template, now=timezone.now())
            self.record(Action.ARCHIVED, template)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="roll_back_template",
        summary="Go back to an older version",
        description="Publishes a copy of it.",
        parameters=[LocaleQuery],
        request=RollbackRequest,
        responses={200: VersionDetail, (409, PROBLEM): CONFLICTS},
        tags=["templates"],
        examples=[
            body_example("Back to the first", {"version": 1, "change_note": "The link was wrong."})
        ],
    )
    def rollback(self, request: Request, code: str) -> Response:
        asked = RollbackRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        template = self.own_template()
        with transaction.atomic():
            version = publishing.roll_back(
                template,
                to=lookup.find_version(template, asked.validated_data["version"]),
                by=self.author(),
                now=timezone.now(),
                change_note=asked.validated_data["change_note"],
            )
            self.record(Action.ROLLED_BACK, template, version=asked.validated_data["version"])
        return Response(VersionDetail(version).data)

    @extend_schema(
        operation_id="preview_template",
        summary="Look at a text before it is sent",
        description="A stored version, a draft too, or a text that is not stored.",
        request=PreviewRequest,
        responses={200: Preview, (404, PROBLEM): NO_TEMPLATE, (409, PROBLEM): CONFLICTS},
        tags=["templates"],
        examples=[
            body_example(
                "A stored one",
                {
                    "template_code": "welcome",
                    "variables": {
                        "name": "Ann",
                        "product": "Example",
                        "action_url": "https://example.com/start",
                    },
                },
            ),
            body_example(
                "A text",
                {
                    "subject": "Hello {{ name }}",
                    "body": "<p>Hello {{ name }}</p>",
                    "variables": {"name": "Ann"},
                },
            ),
        ],
    )
    def preview(self, request: Request) -> Response:
        asked = PreviewRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        data = asked.validated_data
        variables, locale = data.get("variables", {}), data.get("locale", "")
        if "template_code" in data:
            version = lookup.find_for_preview(
                self.application_id(), data["template_code"], locale, data.get("template_version")
            )
            locale = locale or version.template.locale
            previewed = preview_version(version, variables, locale=locale)
        else:
            previewed = preview_source(
                asked.as_source(data.get("channel", "email")), variables, locale=locale
            )
        return Response(Preview(previewed).data)


def _refusal(error: ValidationError) -> DomainError:
    """Django's, as ours: a code and language that are taken are a conflict."""
    errors = tuple(
        FieldError(
            "/code" if name == "__all__" else f"/{name}",
            "conflict" if name == "__all__" else str(each.code),
            each.messages[0],
        )
        for name, each_of in error.error_dict.items()
        for each in each_of
    )
    is_taken = "__all__" in error.error_dict
    code = Code.CONFLICT if is_taken else Code.INVALID_REQUEST
    return DomainError(code, errors[0].detail, errors=errors)

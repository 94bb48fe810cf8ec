from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.authentication import caller_of
from accounts.models import ApiKey, Scope
from core.errors import Code, DomainError, FieldError
from core.problems import PROBLEM, ProblemError
from core.schema import body_example
from core.serializers import ProblemSerializer
from templates_app import drafts, lookup, publishing
from templates_app.models import TEXTS_OF_A_VERSION, Template, TemplateVersion
from templates_app.previewing import preview_source, preview_version
from templates_app.publishing import Author, Draft
from templates_app.serializers import (
    DraftRequest,
    LocaleQuery,
    Preview,
    PreviewRequest,
    PublishRequest,
    RollbackRequest,
    TemplateChange,
    TemplateDetail,
    TemplateQuery,
    TemplateRequest,
    TemplateSummary,
    VersionDetail,
    VersionRequest,
    VersionSummary,
)

PAGE_PARAMETERS = frozenset({"page", "page_size", "cursor"})
CONFLICTS = OpenApiResponse(
    ProblemSerializer, description="Its state does not allow this; `detail` says which."
)

NO_TEMPLATE = OpenApiResponse(ProblemSerializer, description="There is no such template.")


class _OfTemplates(GenericViewSet[Any]):
    """What both have in common: who is asking, and for which template."""

    # For the schema only.
    queryset: QuerySet[Any] = Template.objects.none()

    def application_id(self) -> int:
        return caller_of(self.request).application_id

    def author(self) -> Author:
        key = ApiKey.objects.select_related("application").get(
            pk=caller_of(self.request).api_key_id
        )
        return Author(f"{key.application.name}: {key.name}")

    def query(self, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The query parameters that `kind` knows. Raises `ProblemError` for others."""
        parameters = self.request.query_params.items()
        asked = kind(
            data={name: value for name, value in parameters if name not in PAGE_PARAMETERS}
        )
        if not asked.is_valid():
            raise ProblemError(
                Code.INVALID_REQUEST,
                errors=tuple(
                    FieldError(f"?{name}", str(detail.code), str(detail))
                    for name, details in asked.errors.items()
                    for detail in details
                ),
            )
        return asked.validated_data

    def template(self) -> Template:
        locale = self.query(LocaleQuery)["locale"]
        return lookup.find_template(self.application_id(), self.kwargs["code"], locale)

    def own_template(self) -> Template:
        locale = self.query(LocaleQuery)["locale"]
        return lookup.find_own(self.application_id(), self.kwargs["code"], locale)

    def paginated(self, rows: QuerySet[Any], kind: type[serializers.Serializer[Any]]) -> Response:
        return self.get_paginated_response(kind(self.paginate_queryset(rows), many=True).data)


class TemplateViewSet(_OfTemplates):
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
        asked = self.query(TemplateQuery)
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
            template = publishing.create_template(
                asked.template(self.application_id()),
                draft=asked.first_draft(),
                by=self.author(),
                now=timezone.now(),
            )
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
        template = publishing.change_template(
            self.own_template(), changes=asked.validated_data, now=timezone.now()
        )
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
        publishing.archive(self.own_template(), now=timezone.now())
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
        version = publishing.roll_back(
            template,
            to=lookup.find_version(template, asked.validated_data["version"]),
            by=self.author(),
            now=timezone.now(),
            change_note=asked.validated_data["change_note"],
        )
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
            previewed = preview_source(asked.as_source("email"), variables, locale=locale)
        return Response(Preview(previewed).data)


class VersionViewSet(_OfTemplates):
    required_scopes = {
        "list": Scope.TEMPLATES_READ,
        "retrieve": Scope.TEMPLATES_READ,
        "create": Scope.TEMPLATES_WRITE,
        "partial_update": Scope.TEMPLATES_WRITE,
        "destroy": Scope.TEMPLATES_WRITE,
        "publish": Scope.TEMPLATES_WRITE,
    }
    queryset = TemplateVersion.objects.none()

    @extend_schema(
        operation_id="list_template_versions",
        summary="List the versions of a template",
        parameters=[LocaleQuery],
        responses=VersionSummary(many=True),
        tags=["templates"],
    )
    def list(self, request: Request, code: str) -> Response:
        rows = self.template().versions.select_related("template").defer(*TEXTS_OF_A_VERSION)
        return self.paginated(rows, VersionSummary)

    @extend_schema(
        operation_id="create_template_version",
        summary="Write a new version",
        description="A draft: not sent before it is published; until then it may have errors.",
        parameters=[LocaleQuery],
        request=VersionRequest,
        responses={201: VersionDetail, (409, PROBLEM): CONFLICTS},
        tags=["templates"],
        examples=[
            body_example(
                "A new text",
                {
                    "subject": "Welcome, {{ name }}",
                    "body": "<p>Good to see you, {{ name }}.</p>",
                    "change_note": "Friendlier",
                },
            )
        ],
    )
    def create(self, request: Request, code: str) -> Response:
        asked = VersionRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        template = self.own_template()
        version = publishing.save_draft(
            template, asked.draft(template.channel), by=self.author(), now=timezone.now()
        )
        return Response(VersionDetail(version).data, status=status.HTTP_201_CREATED)

    @extend_schema(
        operation_id="get_template_version",
        summary="Read a version",
        parameters=[LocaleQuery],
        responses=VersionDetail,
        tags=["templates"],
    )
    def retrieve(self, request: Request, code: str, number: int) -> Response:
        return Response(VersionDetail(lookup.find_version(self.template(), number)).data)

    @extend_schema(
        operation_id="change_template_version",
        summary="Change a draft",
        description="What is not given stays. A published version does not change.",
        parameters=[LocaleQuery],
        request=DraftRequest,
        responses={200: VersionDetail, (409, PROBLEM): CONFLICTS},
        tags=["templates"],
        examples=[body_example("Another subject", {"subject": "Good to see you, {{ name }}"})],
    )
    def partial_update(self, request: Request, code: str, number: int) -> Response:
        asked = DraftRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        template = self.own_template()
        version = lookup.find_version(template, number)
        version = publishing.save_draft(
            template,
            asked.draft(template.channel, _as_draft(version)),
            by=self.author(),
            now=timezone.now(),
            version=version,
        )
        return Response(VersionDetail(version).data)

    @extend_schema(
        operation_id="discard_template_version",
        summary="Discard a draft",
        description="It is gone. A published version stays.",
        parameters=[LocaleQuery],
        responses={204: None, (409, PROBLEM): CONFLICTS},
        tags=["templates"],
    )
    def destroy(self, request: Request, code: str, number: int) -> Response:
        drafts.discard_draft(lookup.find_version(self.own_template(), number))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="publish_template_version",
        summary="Publish a draft",
        description="It becomes the current version and never changes again. Where it requires a "
        "variable that recent callers do not send, the answer is 409 `confirmation_required`, and "
        "names them, until it is asked with `confirm`.",
        parameters=[LocaleQuery],
        request=PublishRequest,
        responses={200: VersionDetail, (409, PROBLEM): CONFLICTS},
        tags=["templates"],
        examples=[body_example("With a note", {"change_note": "Friendlier"})],
    )
    def publish(self, request: Request, code: str, number: int) -> Response:
        asked = PublishRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        version = publishing.publish(
            lookup.find_version(self.own_template(), number),
            change_note=asked.validated_data["change_note"],
            by=self.author(),
            now=timezone.now(),
            is_confirmed=asked.validated_data["confirm"],
        )
        return Response(VersionDetail(version).data)


def _as_draft(version: TemplateVersion) -> Draft:
    """With variables that follow the text, unless others are given: what was set is kept."""
    return Draft(
        publishing.source_of(version),
        provider_template_id=version.provider_template_id,
        provider_signature=version.provider_signature,
        change_note=version.change_note,
    )


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

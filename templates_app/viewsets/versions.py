from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Action, Scope
from core.problems import PROBLEM
from core.schema import body_example
from templates_app import drafts, lookup, publishing
from templates_app.models import TEXTS_OF_A_VERSION, TemplateVersion
from templates_app.publishing import Draft
from templates_app.serializers import (
    DraftRequest,
    LocaleQuery,
    PublishRequest,
    VersionDetail,
    VersionRequest,
    VersionSummary,
)
from templates_app.viewsets.base import CONFLICTS, OfTemplates


class VersionViewSet(OfTemplates):
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
        with transaction.atomic():
            version = publishing.save_draft(
                template, asked.draft(template.channel), by=self.author(), now=timezone.now()
            )
            self.record(Action.DRAFTED, template, version=version.number)
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
        with transaction.atomic():
            version = publishing.save_draft(
                template,
                asked.draft(template.channel, _as_draft(version)),
                by=self.author(),
                now=timezone.now(),
                version=version,
            )
            self.record(Action.CHANGED, version, fields=sorted(asked.validated_data))
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
        template = self.own_template()
        with transaction.atomic():
            drafts.discard_draft(lookup.find_version(template, number))
            self.record(Action.DISCARDED, template, version=number)
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
        with transaction.atomic():
            version = publishing.publish(
                lookup.find_version(self.own_template(), number),
                change_note=asked.validated_data["change_note"],
                by=self.author(),
                now=timezone.now(),
                is_confirmed=asked.validated_data["confirm"],
            )
            self.record(Action.PUBLISHED, version)
        return Response(VersionDetail(version).data)


def _as_draft(version: TemplateVersion) -> Draft:
    """With variables that follow the text, unless others are given: what was set is kept."""
    return Draft(
        publishing.source_of(version),
        provider_template_id=version.provider_template_id,
        provider_signature=version.provider_signature,
        change_note=version.change_note,
    )

from typing import Any

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts import audit
from accounts.authentication import caller_of
from accounts.models import Action, ApiKey
from core.queries import read_query
from core.serializers import ProblemSerializer
from templates_app import lookup
from templates_app.models import Template
from templates_app.publishing import Author
from templates_app.serializers import (
    LocaleQuery,
)

CONFLICTS = OpenApiResponse(
    ProblemSerializer, description="Its state does not allow this; `detail` says which."
)

NO_TEMPLATE = OpenApiResponse(ProblemSerializer, description="There is no such template.")


class OfTemplates(GenericViewSet[Any]):
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

    def record(self, action: Action, obj: Model, **details: Any) -> None:
        audit.record(by=audit.of_request(self.request), action=action, obj=obj, **details)

    def template(self) -> Template:
        locale = read_query(self.request, LocaleQuery)["locale"]
        return lookup.find_template(self.application_id(), self.kwargs["code"], locale)

    def own_template(self) -> Template:
        locale = read_query(self.request, LocaleQuery)["locale"]
        return lookup.find_own(self.application_id(), self.kwargs["code"], locale)

    def paginated(self, rows: QuerySet[Any], kind: type[serializers.Serializer[Any]]) -> Response:
        return self.get_paginated_response(kind(self.paginate_queryset(rows), many=True).data)

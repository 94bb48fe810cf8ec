from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from core.problems import PROBLEM
from core.schema_headers import headers_of
from core.schema_rules import is_something_required, tighten_field, tighten_object
from core.serializers import ProblemSerializer

AUTHENTICATED = {
    401: "No token, or one that is not valid (any more).",
    403: "The key lacks the scope, or the address is outside its networks.",
}
WITH_BODY = {
    400: "The body is no usable JSON.",
    413: "The body is too large.",
    415: "The body is not sent as `application/json`.",
}
ANY = {
    400: "The request itself is wrong: its host, or its parameters.",
    406: "The `Accept` header rules out JSON.",
    414: "Path and query are too long.",
    429: "Too many requests, or a quota is used up; `code` says which, `Retry-After` how long.",
    422: "A field or parameter is missing, unknown or wrong; `errors` names each one.",
    500: "A fault of ours; quote the `request_id` to the operators.",
    503: "The platform cannot answer now; the request may be repeated.",
}
OF_ONE_OBJECT = {404: "There is no such thing, or it belongs to another application."}


REQUEST_ID_IN = OpenApiParameter(
    "X-Request-ID",
    str,
    OpenApiParameter.HEADER,
    description="Yours, to find the request and its messages by: 1 to 64 of `A-Za-z0-9._:@/+=-`. "
    "Another is made when it is something else.",
)


def body_example(name: str, value: Any, media_type: str = "application/json") -> OpenApiExample:
    """A body that is accepted as it stands; the tests send it."""
    return OpenApiExample(name, value=value, request_only=True, media_type=media_type)


class ProblemAutoSchema(AutoSchema):
    """Adds the problems that every operation can answer with, so that no view repeats them."""

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies: Any = super()._get_response_bodies(direction)
        problems = AUTHENTICATED | ANY
        if self.method in {"POST", "PUT", "PATCH"}:
            problems |= WITH_BODY
        if "{" in self.path:
            problems |= OF_ONE_OBJECT
        for status, meaning in sorted(problems.items()):
            if str(status) not in bodies:
                bodies[str(status)] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    OpenApiResponse(ProblemSerializer, description=meaning),
                    str(status),
                    media_types=[PROBLEM],
                    direction=direction,
                )
        return bodies

    def get_override_parameters(self) -> list[Any]:
        return [*super().get_override_parameters(), REQUEST_ID_IN]

    def _get_response_headers_for_code(self, status_code: str, direction: Any = "response") -> Any:
        found: Any = super()._get_response_headers_for_code(status_code, direction)
        return headers_of(status_code, is_limited=bool(self.get_auth())) | found

    def _get_request_body(self, direction: Any = "request") -> Any:
        body: Any = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        if not body:
            return body
        asked = self.get_request_serializer()
        # By media type: what has several never goes without.
        if isinstance(asked, dict) or is_something_required(asked):
            body["required"] = True
        return body

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Any:
        return tighten_object(super()._map_basic_serializer(serializer, direction), serializer)  # type: ignore[no-untyped-call]

    def _insert_field_validators(self, field: Any, schema: Any) -> None:
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]
        tighten_field(schema, field)

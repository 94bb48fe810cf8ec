from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from core.problems import PROBLEM
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
        names = ["X-Request-ID"]
        if status_code in {"429", "503"}:
            names.append("Retry-After")
        if self.get_auth():
            names += ["RateLimit-Policy", "RateLimit"]
        return found | {name: {"$ref": f"#/components/headers/{name}"} for name in names}

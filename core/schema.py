from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse

from core.serializers import ProblemSerializer

ALWAYS = {
    401: "No token, or one that is not valid (any more).",
    403: "The key lacks the scope, or the address is outside its networks.",
}
WITH_BODY = {
    400: "The body is no usable JSON.",
    413: "The body is too large.",
    415: "The body is not sent as `application/json`.",
}


class ProblemAutoSchema(AutoSchema):
    """Adds the problems that every operation can answer with, so that no view repeats them."""

    def get_response_serializers(self) -> Any:
        declared: Any = super().get_response_serializers()
        if not isinstance(declared, dict):
            declared = {201 if self.method == "POST" else 200: declared}
        problems = dict(ALWAYS)
        if self.method in {"POST", "PUT", "PATCH"}:
            problems |= WITH_BODY
        problems |= {
            406: "The `Accept` header rules out JSON.",
            422: "A field or parameter is missing, unknown or wrong; `errors` names each one.",
            503: "The platform cannot answer now; the request may be repeated.",
        }
        if "{id}" in self.path:
            problems[404] = "There is no such thing, or it belongs to another application."
        known = {code if isinstance(code, int) else int(code[0]) for code in declared}
        for status, meaning in problems.items():
            if status not in known:
                declared[(status, "application/problem+json")] = OpenApiResponse(
                    ProblemSerializer, description=meaning
                )
        return declared

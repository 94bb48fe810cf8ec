"""RFC 9457 problems, as values. REST framework's settings import this early, so it needs nothing
of REST framework but its exceptions."""

from typing import Any

from django.http import HttpRequest, JsonResponse
from rest_framework import exceptions

from core.errors import MEANINGS, STATUS, Code, FieldError

PROBLEM = "application/problem+json"


class ProblemError(exceptions.APIException):
    """A `DomainError` on its way through REST framework."""

    def __init__(
        self,
        code: Code,
        detail: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail or MEANINGS[code], code=code.value)
        # What REST framework calls it; it becomes `Retry-After`.
        self.wait = retry_after
        self.status_code = STATUS[code]
        self.problem_code = code
        self.errors = errors


def problem(
    code: Code, detail: str, *, request_id: str, errors: tuple[FieldError, ...] = ()
) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": code.value.replace("_", " ").capitalize(),
        "status": STATUS[code],
        "code": code.value,
        "detail": detail,
        "request_id": request_id,
        "errors": [
            {"pointer": error.pointer, "code": error.code, "detail": error.detail}
            for error in errors
        ],
    }


def problem_response(request: HttpRequest, code: Code, detail: str = "") -> JsonResponse:
    """A problem from outside REST framework: unknown paths, Django's own refusals."""
    return JsonResponse(
        problem(code, detail or MEANINGS[code], request_id=getattr(request, "request_id", "")),
        status=STATUS[code],
        content_type=PROBLEM,
    )


def escape_pointer(name: str) -> str:
    """A name as one step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")

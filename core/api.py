"""How the API says no: whatever is raised becomes one RFC 9457 problem."""

from collections.abc import Iterator
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler
from drf_standardized_errors.types import ErrorResponse
from rest_framework import exceptions
from rest_framework.response import Response

from core.errors import MEANINGS, Code, DomainError, FieldError
from core.problems import PROBLEM, ProblemError, escape_pointer, problem

log = structlog.get_logger(__name__)

CODES: dict[type[exceptions.APIException], Code] = {
    exceptions.ValidationError: Code.INVALID_REQUEST,
    exceptions.ParseError: Code.MALFORMED_JSON,
    exceptions.UnsupportedMediaType: Code.UNSUPPORTED_MEDIA_TYPE,
    exceptions.NotAcceptable: Code.NOT_ACCEPTABLE,
    exceptions.NotAuthenticated: Code.AUTHENTICATION_REQUIRED,
    exceptions.AuthenticationFailed: Code.INVALID_TOKEN,
    exceptions.PermissionDenied: Code.FORBIDDEN,
    exceptions.NotFound: Code.NOT_FOUND,
    exceptions.MethodNotAllowed: Code.METHOD_NOT_ALLOWED,
    exceptions.Throttled: Code.RATE_LIMITED,
}


# Seconds after which a request may be repeated.
RETRY_AFTER = {Code.SERVICE_UNAVAILABLE.value: 5, Code.IDEMPOTENCY_KEY_IN_USE.value: 1}


def problem_handler(error: Exception, context: Any) -> Response | None:
    return _Handler(error, context).run()


class _Handler(ExceptionHandler):
    """Knows our errors, and tells a database that is away (503) from a fault of ours (500)."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, DomainError):
            return ProblemError(
                exc.code, exc.detail, errors=exc.errors, retry_after=exc.retry_after
            )
        if isinstance(exc, RequestDataTooBig):
            return ProblemError(Code.PAYLOAD_TOO_LARGE)
        if isinstance(exc, SuspiciousOperation):
            # Too many parameters, for one.
            return ProblemError(Code.BAD_REQUEST)
        if isinstance(exc, OperationalError | InterfaceError):
            log.error("database_unavailable", exc_info=exc)
            return ProblemError(Code.SERVICE_UNAVAILABLE)
        known: Exception = super().convert_known_exceptions(exc)
        return known

    def convert_unhandled_exceptions(self, exc: Exception) -> exceptions.APIException:
        if isinstance(exc, exceptions.APIException):
            return exc
        # The base class logs it, with its traceback.
        return ProblemError(Code.INTERNAL_ERROR)

    def should_not_handle(self, exc: Exception) -> bool:
        return False

    def format_exception(self, exc: exceptions.APIException) -> dict[str, Any]:
        formatted: dict[str, Any] = _Formatter(exc, self.context, self.exc).run()
        exc.status_code = formatted["status"]
        return formatted

    def get_response(self, exc: exceptions.APIException, data: dict[str, Any]) -> Response:
        response = Response(
            data, status=exc.status_code, headers=self.get_headers(exc), content_type=PROBLEM
        )
        if exc.status_code == 401:
            # Of every 401 (RFC 9110, 11.6.1), also where the caller is not asked for a token.
            response.headers.setdefault("WWW-Authenticate", 'Bearer realm="notification-platform"')
        seconds = RETRY_AFTER.get(data["code"])
        if seconds is not None:
            response.headers["Retry-After"] = str(seconds)
        return response


class _Formatter(ExceptionFormatter):
    """REST framework's error, as RFC 9457 says it."""

    def format_error_response(self, error_response: ErrorResponse) -> dict[str, Any]:
        exc = self.exc
        request = self.context.get("request")
        request_id = getattr(request, "request_id", "") if request is not None else ""
        if isinstance(exc, ProblemError):
            code, errors = exc.problem_code, exc.errors
            detail = str(exc.detail)
        else:
            code = next((CODES[kind] for kind in type(exc).mro() if kind in CODES), None) or (
                Code.INTERNAL_ERROR if exc.status_code >= 500 else Code.INVALID_REQUEST
            )
            is_validation = isinstance(exc, exceptions.ValidationError)
            errors = tuple(field_errors(exc.detail)) if is_validation else ()
            detail = self._words(code, str(error_response.errors[0].detail))
        return problem(code, detail, request_id=request_id, errors=errors)

    def _words(self, code: Code, theirs: str) -> str:
        """REST framework's own words, where ours say no more."""
        view = self.context.get("view")
        if isinstance(self.exc, exceptions.MethodNotAllowed):
            allowed = ", ".join(name for name in view.allowed_methods if name != "OPTIONS")
            return f"{theirs} This path takes {allowed}."
        if isinstance(self.exc, exceptions.UnsupportedMediaType):
            taken = " or ".join(parser.media_type for parser in view.get_parsers())
            return f"{theirs} Send {taken}."
        ours = exceptions.NotAuthenticated | exceptions.NotFound | exceptions.ValidationError
        if isinstance(self.exc, ours):
            return MEANINGS[code]
        return theirs


def field_errors(detail: Any, pointer: str = "") -> Iterator[FieldError]:
    """REST framework's tree of errors, flattened to JSON pointers."""
    if isinstance(detail, dict):
        for name, below in detail.items():
            step = "" if name == "non_field_errors" else f"/{escape_pointer(str(name))}"
            yield from field_errors(below, pointer + step)
    elif isinstance(detail, list):
        for index, below in enumerate(detail):
            is_leaf = isinstance(below, exceptions.ErrorDetail)
            yield from field_errors(below, pointer if is_leaf else f"{pointer}/{index}")
    else:
        yield FieldError(pointer, str(detail.code), str(detail))

import re
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.middleware.locale import LocaleMiddleware
from django.utils import translation
from django.utils.deprecation import MiddlewareMixin
from django_prometheus.middleware import PrometheusAfterMiddleware
from django_prometheus.utils import Time, TimeSince

from core.errors import Code
from core.ids import uuid7
from core.problems import problem_response

ACCEPTABLE = re.compile(r"[A-Za-z0-9._:@/+=-]{1,64}")


def request_id_of(request: object) -> str:
    """The id that the middleware gave to a request of Django or REST framework."""
    return str(getattr(request, "request_id", ""))


def add_late_headers(request: Any, headers: Callable[[], dict[str, str]]) -> None:
    """Have `headers` asked for when the answer to a request is made, whatever it is."""
    getattr(request, "_request", request).late_headers = headers


class RequestIdMiddleware:
    """Give every request an id: the caller's `X-Request-ID` if it is usable, else a new one.

    It is answered in the same header, stands in every problem and log line, and is stored on the
    messages that the request creates, so that a worker's lines can be found by it too.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        asked = request.headers.get("X-Request-ID", "")
        request_id = asked if ACCEPTABLE.fullmatch(asked) else str(uuid7())
        request.request_id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            response = self.get_response(request)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
        response.headers["X-Request-ID"] = request_id
        if (late_headers := getattr(request, "late_headers", None)) is not None:
            for name, value in late_headers().items():
                response.headers[name] = value
        return response


class ShortUrls:
    """Refuses URLs that nothing here needs, before anything reads them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = len(request.META.get("QUERY_STRING", "")) + len(request.path_info)
        if length > settings.MAX_URL_BYTES:
            words = f"Path and query have {length} bytes; {settings.MAX_URL_BYTES} are allowed."
            return problem_response(request, Code.URL_TOO_LONG, words)
        return self.get_response(request)


class _PagesOnly(MiddlewareMixin):
    """In front of one of Django's: the API has no sessions or languages, and its requests
    are too many to pay for them."""

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith("/api/"):
            return self.get_response(request)
        return super().__call__(request)


class Session(_PagesOnly, SessionMiddleware): ...


class Locale(_PagesOnly, LocaleMiddleware):
    def __call__(self, request: HttpRequest) -> Any:
        try:
            return super().__call__(request)
        finally:
            # It belongs to the thread, and the API would go on in the language of the last page.
            translation.deactivate()


class Authentication(_PagesOnly, AuthenticationMiddleware): ...


class Messages(_PagesOnly, MessageMiddleware): ...


class Measured(PrometheusAfterMiddleware):
    """How many requests of each view came to what, and how long they took.

    Of the package's nine metrics a request these two, which people ask for: the others cost the API
    more than checking its token.
    """

    def process_request(self, request: HttpRequest) -> None:
        request.prometheus_after_middleware_event = Time()  # type: ignore[attr-defined]

    def process_view(self, *_: Any, **__: Any) -> None:
        """Not counted: its response is."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        view, method = self._get_view_name(request), self._method(request)
        metrics = self.metrics
        metrics.responses_by_status_view_method.labels(
            status=str(response.status_code), view=view, method=method
        ).inc()
        began = getattr(request, "prometheus_after_middleware_event", None)
        if began is not None:
            latency = metrics.requests_latency_by_view_method.labels(view=view, method=method)
            latency.observe(TimeSince(began))
        return response

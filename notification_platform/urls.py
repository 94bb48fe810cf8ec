from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView
from drf_spectacular.views import (
    SpectacularAPIView,
    SpectacularRedocView,
    SpectacularSwaggerSplitView,
)

from core import health, metrics_page
from core.errors import Code
from core.problems import problem_response
from notification_platform import mailbox, phone


@csrf_exempt
def api_not_found(request: HttpRequest) -> HttpResponse:
    return problem_response(request, Code.NOT_FOUND, "There is no such path in this API.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return HttpResponseNotFound("There is no such page.\n", content_type="text/plain")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(request, Code.BAD_REQUEST)


def server_error(request: HttpRequest) -> HttpResponse:
    return problem_response(request, Code.INTERNAL_ERROR)


def self_contained(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The page may ask nobody but us: it works without the internet, and tells no third party."""

    @wraps(view)
    def with_policy(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response.headers["Content-Security-Policy"] = (
            "default-src 'self'; script-src 'self' 'unsafe-inline'; worker-src blob:; "
            "style-src 'self' 'unsafe-inline'; img-src 'self' data:"
        )
        return response

    return with_policy


handler400 = bad_request
handler404 = not_found
handler500 = server_error

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="docs"), name="home"),
    # What is asked most comes first.
    path("api/v1/", include("messaging.urls")),
    path("api/v1/", include("accounts.urls")),
    path("api/v1/", include("templates_app.urls")),
    path("api/v1/", include("reporting.urls")),
    # Of the senders' providers.
    path("hooks/", include("messaging.webhooks.urls")),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    re_path(r"^api/.*", api_not_found),
    path(
        "docs",
        self_contained(SpectacularSwaggerSplitView.as_view(url_name="schema")),
        name="docs",
    ),
    path("redoc", self_contained(SpectacularRedocView.as_view(url_name="schema")), name="redoc"),
    path("health", health.ready, name="health"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", metrics_page.show, name="metrics"),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    *mailbox.urlpatterns(),
    *phone.urlpatterns(),
]

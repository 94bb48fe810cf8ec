"""What the pages of templates share."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.formats import date_format
from django.utils.timezone import localtime

from core.errors import DomainError
from templates_app.publishing import Author

# These pages show what somebody wrote, so they may do less than others. Nothing is loaded from or
# sent to elsewhere, no script runs that is not a file of ours, and nobody may frame them.
# `unsafe-eval` is for the theme: Alpine makes functions of the attributes that it finds.
# `unsafe-inline` of styles, and images by https, are for the preview: its frame inherits this
# policy, and mails carry their styles and name their images. Styles are what CodeMirror adds, too.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: https:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)


def show_page(
    admin: ModelAdmin, request: HttpRequest, name: str, /, *, status: int = 200, **context: Any
) -> HttpResponse:
    """A page of ours within the admin's frame, under `POLICY`."""
    return TemplateResponse(
        request,
        f"templates_app/{name}",
        {**admin.admin_site.each_context(request), "opts": admin.opts, **context},
        status=status,
        headers={"Content-Security-Policy": POLICY},
    )


def author_of(request: HttpRequest) -> Author:
    user: Any = request.user
    return Author(name=user.get_username(), user=user)


def all_words(error: DomainError) -> str:
    return " ".join([error.detail, *(one.detail for one in error.errors)])


def shown_time(moment: Any) -> str:
    return date_format(localtime(moment), "Y-m-d H:i:s")

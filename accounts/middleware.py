"""Whose page it is: nobody's before the second step, and in its reader's language and time."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from django_otp.middleware import OTPMiddleware

from accounts import second_factor
from accounts.models import User


class SecondFactor(OTPMiddleware):
    """A session that knows the password only is nobody's; `half_user` is who it may become.

    So no page has to ask, and none can forget to. The API has no sessions and pays nothing.
    """

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith("/api/"):
            return self.get_response(request)
        return super().__call__(request)

    def _verify_user_sync(self, request: Any, user: Any) -> Any:
        user = super()._verify_user_sync(request, user)
        if not user.is_authenticated or user.otp_device or not second_factor.is_asked_of(user):
            return user
        request.half_user = user
        return AnonymousUser()


def half_user(request: HttpRequest) -> User | None:
    """Who has given the password and no code yet."""
    if request.user.is_authenticated:
        return None
    return getattr(request, "half_user", None)


class Preferences:
    """Pages speak the language of the operator, and tell the time where the operator is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Probes and callers have no session, and nothing is looked up for them.
        if request.path_info.startswith("/api/") or not _has_session(request):
            return self.get_response(request)
        user: Any = request.user if request.user.is_authenticated else half_user(request)
        with (
            translation.override(getattr(user, "language", "") or translation.get_language()),
            timezone.override(_zone(getattr(user, "time_zone", ""))),
        ):
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", translation.get_language() or "")
        return response


def _has_session(request: HttpRequest) -> bool:
    return settings.SESSION_COOKIE_NAME in request.COOKIES


def _zone(name: str) -> ZoneInfo | None:
    """None is the platform's. A zone that this machine does not know any more is none."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None

"""Logins and failures in the audit log."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import transaction
from django.http import HttpRequest

from accounts import audit, second_factor
from accounts.models import Action, User


def note_login(*, request: HttpRequest, user: Any, **_: Any) -> None:
    """With a second factor it is no login before the code; the page of the code notes it then."""
    if not second_factor.is_asked_of(user):
        audit.record(by=audit.of_operator(user, request), action=Action.LOGGED_IN, obj=user)


def note_logout(*, request: HttpRequest, user: Any, **_: Any) -> None:
    if user is not None and user.is_authenticated:
        audit.record(by=audit.of_operator(user, request), action=Action.LOGGED_OUT, obj=user)


def note_failure(request: Any) -> None:
    """Of names that there are: others may be a password in the wrong field. While somebody is
    locked out nothing is counted and nothing noted, so that nobody can fill the log."""
    if getattr(request, "axes_failures_since_start", None) is None:
        return
    user = User.objects.filter(username=request.POST.get("username", "").strip()).first()
    if user is None:
        return
    by = audit.of_operator(user, request)
    with transaction.atomic():
        audit.record(by=by, action=Action.LOGIN_FAILED, obj=user)
        if request.axes_locked_out:
            audit.record(by=by, action=Action.LOCKED_OUT, obj=user)


def connect() -> None:
    """To Django's own signals: there are several ways in and out."""
    user_logged_in.connect(note_login, dispatch_uid="audit.login")
    user_logged_out.connect(note_logout, dispatch_uid="audit.logout")

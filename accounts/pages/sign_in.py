"""The doors of the admin: password, then code. And out again."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts import audit, lockouts, second_factor, sign_ins
from accounts.middleware import half_user
from accounts.models import Action
from accounts.pages.forms import CodeForm


@never_cache
@sensitive_post_parameters()
def show(request: HttpRequest) -> HttpResponse:
    """The admin's own login, with what happens before and after it."""
    if half_user(request) is not None:
        return to_code(request)
    response = admin.site.login(request)
    sign_ins.note_failure(request)
    if getattr(request, "axes_locked_out", False):
        return _locked_out(request)
    return response


def to_code(request: HttpRequest) -> HttpResponse:
    step = "login-code" if second_factor.factor_of(request.half_user) else "second-factor"  # type: ignore[attr-defined]
    return HttpResponseRedirect(f"{reverse(step)}?{urlencode({'next': next_of(request)})}")


def next_of(request: HttpRequest) -> str:
    """Where somebody wanted to go, if it is here."""
    asked = request.POST.get("next") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(asked, {request.get_host()}, request.is_secure())
    return asked if is_ours else reverse("admin:index")


def _locked_out(request: Any) -> HttpResponse:
    username = (request.axes_credentials or {}).get("username") or request.POST.get("username", "")
    end = lockouts.ends_at(username, request.axes_ip_address)
    until = timezone.localtime(end or timezone.now() + settings.AXES_COOLOFF_TIME)
    context = {
        **admin.site.each_context(request),
        "title": gettext("Locked out"),
        "until": date_format(until, "DATETIME_FORMAT"),
        "zone": until.tzname(),
        "failures": settings.AXES_FAILURE_LIMIT,
    }
    return render(request, "accounts/locked_out.html", context, status=429)


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """For who is half in: the admin's own way out is for who is in."""
    logout(request)
    return HttpResponseRedirect(reverse("admin:login"))


@never_cache
@sensitive_post_parameters()
def ask_code(request: HttpRequest) -> HttpResponse:
    """The second step."""
    user = half_user(request)
    factor = second_factor.factor_of(user) if user is not None else None
    if user is None or factor is None:
        return HttpResponseRedirect(reverse("admin:login"))
    form = CodeForm(request.POST or None)
    by = audit.of_operator(user, request)
    if request.method == "POST" and form.is_valid():
        if second_factor.takes(factor, form.cleaned_data["code"]):
            request.user = user
            second_factor.mark_session(request, factor)
            audit.record(by=by, action=Action.LOGGED_IN, obj=user)
            return HttpResponseRedirect(next_of(request))
        # The throttle holds back who tries many, so these are few.
        if factor.verify_is_allowed()[0]:
            audit.record(by=by, action=Action.CODE_REFUSED, obj=user)
        form.refuse(factor)
    context = {
        **admin.site.each_context(request),
        "title": gettext("Your code"),
        "form": form,
        "next": next_of(request),
    }
    return render(request, "accounts/login_code.html", context)

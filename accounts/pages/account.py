"""Your account: language, time zone, second factor."""

from typing import Any

import segno
from django.conf import settings
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.utils.translation import check_for_language, gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.i18n import set_language

from accounts import audit, second_factor
from accounts.middleware import half_user
from accounts.models import Action, User
from accounts.pages.forms import CodeForm, PreferencesForm, RemoveForm
from accounts.pages.sign_in import next_of


def show(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    form = PreferencesForm(request.POST or None, instance=user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, gettext("It is saved."))
        return HttpResponseRedirect(reverse("account"))
    context = {
        "title": gettext("Your account"),
        "form": form,
        "factor": second_factor.factor_of(user),
        "is_required": second_factor.is_required(),
    }
    return render(request, "accounts/account.html", _page(request, **context))


@never_cache
@sensitive_post_parameters()
def set_up(request: HttpRequest) -> HttpResponse:
    """Scan, type the first code, keep the backup codes. Also for who may do nothing before."""
    half = half_user(request)
    user: Any = half or request.user
    if not (user.is_authenticated and user.is_staff):
        return HttpResponseRedirect(f"{reverse('admin:login')}?next={request.path}")
    if second_factor.factor_of(user) is not None:
        return HttpResponseRedirect(reverse("account"))
    factor = second_factor.begin(user)
    form = CodeForm(request.POST or None)
    form.fields["code"].help_text = gettext("The six digits that your app shows now.")
    if request.method == "POST" and form.is_valid():
        by = audit.of_operator(user, request)
        codes = second_factor.confirm(factor, form.cleaned_data["code"], by=by)
        if codes:
            factor.refresh_from_db()
            request.user = user
            second_factor.mark_session(request, factor)
            if half is not None:
                audit.record(by=by, action=Action.LOGGED_IN, obj=user)
            return _show_codes(request, codes)
        form.refuse(factor)
    issuer = str(admin.site.each_context(request)["site_title"])
    context = {
        "title": gettext("Set up two-factor login"),
        "form": form,
        "is_required": half is not None,
        "next": next_of(request),
        "secret": second_factor.secret_of(factor),
        "qr_code": _qr_code(second_factor.address_of(factor, issuer=issuer)),
    }
    name = "second_factor" if half is None else "second_factor_first"
    return render(request, f"accounts/{name}.html", _page(request, **context))


def _show_codes(request: HttpRequest, codes: list[str]) -> HttpResponse:
    """They go into this response and nowhere else."""
    context = {
        "title": gettext("Backup codes"),
        "codes": "\n".join(codes),
        "next": next_of(request),
    }
    response = TemplateResponse(request, "accounts/backup_codes.html", _page(request, **context))
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@sensitive_post_parameters()
def turn_off(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    factor = second_factor.factor_of(user)
    if factor is None:
        return HttpResponseRedirect(reverse("account"))
    form = RemoveForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        if second_factor.takes(factor, form.cleaned_data["code"]):
            second_factor.remove(user, by=audit.of_request(request))
            messages.success(request, gettext("Two-factor login is off."))
            return HttpResponseRedirect(reverse("account"))
        form.refuse(factor)
    context = {
        "title": gettext("Turn off two-factor login"),
        "form": form,
        "is_required": second_factor.is_required(),
    }
    return render(request, "accounts/turn_off.html", _page(request, **context))


@sensitive_post_parameters()
def change_password(request: HttpRequest) -> HttpResponse:
    """The admin's own, with an entry in the audit log."""
    with transaction.atomic():
        response = admin.site.password_change(request)
        if request.method == "POST" and response.status_code == 302:
            user: Any = request.user
            by = audit.of_operator(user, request)
            audit.record(by=by, action=Action.PASSWORD_CHANGED, obj=user)
    return response


def choose_language(request: HttpRequest) -> HttpResponse:
    """Django's own, and remembered for who is logged in."""
    language = request.POST.get("language", "")
    is_known = language in dict(settings.LANGUAGES) and check_for_language(language)
    if request.method == "POST" and is_known and request.user.is_authenticated:
        User.objects.filter(pk=request.user.pk).update(language=language)
    return set_language(request)


def _page(request: HttpRequest, **context: Any) -> dict[str, Any]:
    return {**admin.site.each_context(request), **context}


def _qr_code(text: str) -> str:
    """As SVG within the page: nothing is fetched, and nobody else sees it."""
    drawn = segno.make(text, error="l", micro=False)
    return mark_safe(drawn.svg_inline(scale=4, border=4, light="#fff"))  # noqa: S308  (ours)

"""Beside the admin's own pages, and some of them in its place: included before it."""

from django.contrib import admin
from django.urls import path

from accounts.pages import account, sign_in

wrap = admin.site.admin_view

urlpatterns = [
    path("login/", sign_in.show),
    path("login/code/", sign_in.ask_code, name="login-code"),
    path("login/leave/", sign_in.leave, name="login-leave"),
    path("language/", account.choose_language, name="set_language"),
    path("account/", wrap(account.show), name="account"),
    path("account/second-factor/", account.set_up, name="second-factor"),
    path("account/second-factor/off/", wrap(account.turn_off), name="second-factor-off"),
    path("password_change/", wrap(account.change_password)),
]

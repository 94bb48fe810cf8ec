"""The platform's settings with what most projects have instead: Django's own middleware as
`startproject` writes it, a database connection per request, a task per message."""

from notification_platform.settings import *  # noqa: F403
from notification_platform.settings import DATABASES

ROOT_URLCONF = "bench.references.usual"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
DATABASES["default"] |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": False}

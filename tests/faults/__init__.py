"""Breaks things for real and counts what is left.

The package is also run by itself (`python -m tests.faults.soak`), without pytest to set up Django.
"""

import os

import django
from django.apps import apps

import tests.environment  # noqa: F401

if not apps.ready:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notification_platform.settings")
    django.setup()

"""Coloured words for the admin, in lists and on pages alike."""

from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString


def label(words: Any, color: str = "") -> SafeString:
    """`color`: `success`, `info`, `warning`, `danger`, or none for grey. `words` are escaped."""
    context = {"text": words, "type": color, "class": "noti-state"}
    return render_to_string("unfold/helpers/label.html", context)

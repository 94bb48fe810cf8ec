from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TemplatesConfig(AppConfig):
    """Versioned templates. Messages are sent with direct content until they are here."""

    name = "templates_app"
    verbose_name = _("Templates")

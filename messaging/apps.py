from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = _("Delivery")

    def ready(self) -> None:
        from prometheus_client import REGISTRY

        from core import health
        from messaging import checks, metrics

        health.register("progress", checks.check_progress)
        REGISTRY.register(metrics.BacklogCollector())

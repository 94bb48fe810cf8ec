from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = _("Delivery")

    def ready(self) -> None:
        from django.conf import settings

        from accounts import limits, usage
        from core import health, metrics_page
        from messaging import checks, counting, gauges, metrics, template_uses
        from messaging.callbacks import measures
        from messaging.channels import apprise_http
        from templates_app import uses

        health.register("progress", checks.check_progress)
        metrics_page.measure_at_scrape(metrics.BacklogCollector())
        metrics_page.measure_at_scrape(gauges.SenderStateCollector())
        metrics_page.measure_at_scrape(measures.WebhookCollector())
        uses.connect(template_uses.MessageUses())
        limits.connect(counting.count_messages)
        usage.connect(counting.count_span)
        apprise_http.connect(lambda: settings.CHAT_ALLOWED_NETWORKS)

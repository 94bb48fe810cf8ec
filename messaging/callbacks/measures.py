"""Counters of what this process called, and gauges read from the rows at every scrape."""

from collections.abc import Iterator

import structlog
from django.db.models import Min, OuterRef, Subquery
from django.utils import timezone
from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from messaging.models import WebhookDelivery, WebhookEndpoint

log = structlog.get_logger(__name__)

# `delivered`, `retried`, `failed`, or `lost` where another worker had taken it over.
CALLS = Counter("notifications_webhook_calls", "Calls of webhooks, by outcome.", ["outcome"])
COUNTED = 100_000


class WebhookCollector(Collector):
    """What waits for endpoints that are on; for others nothing is expected to go."""

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing up front: registering it must not ask the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = timezone.now()
        pending = WebhookDelivery.objects.filter(state=WebhookDelivery.State.PENDING)
        listening = WebhookEndpoint.objects.filter(is_active=True, application__is_active=True)
        # Of each endpoint the first of its index, however many there are.
        first = pending.filter(endpoint=OuterRef("pk")).order_by("due_at").values("due_at")[:1]
        try:
            waiting = pending.filter(endpoint__in=listening.order_by().values("pk"))
            count = waiting.values("pk")[:COUNTED].count()
            oldest = listening.order_by().aggregate(oldest=Min(Subquery(first)))["oldest"]
        except Exception:
            # A database that is away must not hide the other metrics.
            log.warning("webhooks_not_measured", exc_info=True)
            return
        yield GaugeMetricFamily(
            "notifications_webhooks_pending",
            "Webhook calls that wait, retries included; counted up to 100,000.",
            value=count,
        )
        yield GaugeMetricFamily(
            "notifications_oldest_due_webhook_seconds",
            "How long the oldest of them has been due: workers do not keep up, or are gone.",
            value=max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0,
        )

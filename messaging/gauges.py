"""Gauges that need the models; those of `metrics` read their table by SQL."""

from collections.abc import Iterator

import structlog
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from messaging.models import Sender
from messaging.senders import SenderKind, state_of

log = structlog.get_logger(__name__)


class SenderStateCollector(Collector):
    """What each sender does, read from the rows at every scrape: 1 for its state, 0 for others."""

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing up front: registering it must not ask the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "notifications_sender_state",
            "1 for the state that the sender is in.",
            labels=["sender", "state"],
        )
        now = timezone.now()
        try:
            senders = Sender.objects.select_related("group")
            for sender in senders.prefetch_related("windows", "group__windows"):
                kind = state_of(sender, now=now).kind
                for state in SenderKind:
                    gauge.add_metric([sender.name, state.value], float(state is kind))
        except Exception:
            # A database that is away must not hide the other metrics.
            log.warning("senders_not_measured", exc_info=True)
        yield gauge

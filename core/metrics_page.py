"""`/metrics`: the counters of all processes of this server, and what is measured at the scrape."""

import os

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_at_scrape: list[Collector] = []


def measure_at_scrape(collector: Collector) -> None:
    """Register a collector whose figures are the same in whichever process is asked."""
    _at_scrape.append(collector)


def registry() -> CollectorRegistry:
    """With PROMETHEUS_MULTIPROC_DIR, as under gunicorn, counters are summed over the processes."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        found = CollectorRegistry()
        MultiProcessCollector(found)  # type: ignore[no-untyped-call]
    else:
        found = CollectorRegistry()
        found.register(REGISTRY)
    for collector in _at_scrape:
        found.register(collector)
    return found


@never_cache
@require_safe
def show(request: HttpRequest) -> HttpResponse:
    return HttpResponse(generate_latest(registry()), content_type=CONTENT_TYPE_LATEST)

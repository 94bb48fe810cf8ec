"""How many single sends a second are taken in, against two references in the same rounds; and by a
template, against the same mail sent as it is."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from django.db import connection

from bench import welcome
from bench.report import Bound, Figure, percentile
from bench.stage import BenchError, Stage
from bench.web import PLATFORM, Web, load, make_token, serve

REFERENCE = "bench.references.wsgi"
WARM_UP_SECONDS = 1.5


@dataclass(slots=True)
class Rival:
    """One of the three that are compared, and what it did in each round."""

    web: Web
    # What is sent; None is the letter.
    body: Mapping[str, Any] | None = None
    rates: list[float] = field(default_factory=list)
    p50s: list[float] = field(default_factory=list)
    p99s: list[float] = field(default_factory=list)


def measure(stage: Stage, *, rounds: int, seconds: float) -> list[Figure | Bound]:
    servers = {
        "platform": PLATFORM,
        "bare": (REFERENCE, "bench.references.bare_settings"),
        "usual": (REFERENCE, "bench.references.usual_settings"),
    }
    token = make_token()
    with ExitStack() as stack:
        rivals = [
            Rival(serve(stage, stack, name=name, wsgi=wsgi, settings=settings))
            for name, (wsgi, settings) in servers.items()
        ]
        welcome.publish()
        ours = rivals[0].web
        rivals += [Rival(ours, welcome.by_template()), Rival(ours, welcome.as_it_is())]
        for rival in rivals:
            load(rival.web, token=token, body=rival.body, duration=WARM_UP_SECONDS)
        for number in range(rounds):
            # Nobody is always first.
            first = number % len(rivals)
            for rival in rivals[first:] + rivals[:first]:
                _round(rival, token=token, seconds=seconds)
    platform, bare, usual, by_template, as_it_is = rivals
    what, p50, p99 = "accept: single sends", median(platform.p50s), median(platform.p99s)
    against_bare = Figure(
        what, platform.rates, _told("bare", bare), bare.rates, 0.60, p50_ms=p50, p99_ms=p99
    )
    against_usual = Figure(
        what, platform.rates, _told("usual", usual), usual.rates, 6, is_factor=True
    )
    templated = Figure(
        "accept: by the welcome template",
        by_template.rates,
        "the same mail, sent as it is",
        as_it_is.rates,
        0.80,
        p50_ms=median(by_template.p50s),
        p99_ms=median(by_template.p99s),
    )
    return [against_bare, against_usual, templated, welcome.rendering()]


def _told(name: str, rival: Rival) -> str:
    return f"{name} (p99 {median(rival.p99s):.0f} ms)"


def _round(rival: Rival, *, token: str, seconds: float) -> None:
    """One server under load, from an empty table. What it answered must be what is stored."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE messaging_message CASCADE")
        result = load(rival.web, token=token, body=rival.body, duration=seconds)
        cursor.execute("SELECT COUNT(*) FROM messaging_message WHERE status = 'pending'")
        stored = cursor.fetchone()[0]
    took, waited = result["took"], result["seconds"]
    if stored != len(waited):
        raise BenchError(f"{rival.web.name} answered {len(waited)} with 202 and stored {stored}.")
    rival.rates.append(stored / took)
    rival.p50s.append(percentile(waited, 0.50) * 1000)
    rival.p99s.append(percentile(waited, 0.99) * 1000)

"""`python -m bench`: what the platform does in a second, beside its references, in one run."""

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path

import psycopg
import redis
from kombu import Connection

from bench.report import Bound, Figure, bounds_table, table
from bench.stage import BenchError, Stage


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        with Stage() as stage:
            facts = _facts(stage)
            print("\n".join(f"{name:<20} {value}" for name, value in facts.items()), flush=True)
            found = list(_measure(stage, options))
    except KeyboardInterrupt:
        print("Interrupted; everything that was made is gone again.", file=sys.stderr)
        return 130
    except (BenchError, psycopg.OperationalError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    figures = [each for each in found if isinstance(each, Figure)]
    bounds = [each for each in found if isinstance(each, Bound)]
    if figures:
        print(f"\n{table(figures)}")
    if bounds:
        print(f"\n{bounds_table(bounds)}")
    if options.json:
        written = {
            "facts": facts,
            "figures": [figure.as_json() for figure in figures],
            "bounds": [bound.as_json() for bound in bounds],
        }
        options.json.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    return 0


PARTS = {
    "accept": "What is taken in.",
    "batch": "What is taken in by batches of 100.",
    "deliver": "What is handed over.",
    "slow": "What is handed over to a provider that takes 50 ms.",
    "latency": "From the request to the sink, and `high` while `bulk` drains.",
    "peers": "The bulk lane against django-post_office.",
    "memory": "What processes hold after load.",
    "rollups": "What statistics of thirty days cost, and counting an hour again.",
    "growth": "Ten million rows against ten thousand: minutes, some 24 GB, so only when asked for.",
    "admin": "Every page of the admin over a million messages; only when asked for.",
}
# They take long.
ONLY_WHEN_ASKED = {"growth", "admin"}


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done in each part."""

    rounds: int = 3
    seconds: float = 8.0
    messages: int = 6_000
    latency_seconds: float = 60.0
    bulk: int = 50_000
    rows: int = 10_000_000
    admin_rows: int = 1_000_000


QUICK = Effort(
    rounds=1,
    seconds=3.0,
    messages=3_000,
    latency_seconds=10,
    bulk=8_000,
    rows=200_000,
    admin_rows=20_000,
)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    for part, what in PARTS.items():
        parser.add_argument(f"--{part}", action="append_const", dest="parts", const=part, help=what)
    parser.add_argument("--quick", action="store_true", help="A first look, with little of each.")
    effort = {field.name: field.default for field in fields(Effort)}
    for name, kind, what in (
        ("rounds", int, "Interleaved rounds; {} by default."),
        ("seconds", float, "Of load in each round; {:.0f} by default."),
        ("messages", int, "To deliver in each round; {:,} by default."),
        ("latency_seconds", float, "At a steady rate; {:.0f} by default."),
        ("bulk", int, "To drain while `high` is timed; {:,} by default."),
        ("rows", int, "Of --growth; {:,} by default."),
        ("admin_rows", int, "Messages of --admin; {:,} by default."),
    ):
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=kind, help=what.format(effort[name]))
    parser.add_argument("--hours", type=float, help="Of load for --memory; a minute by default.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write all figures there too.")
    options = parser.parse_args()
    options.parts = options.parts or [part for part in PARTS if part not in ONLY_WHEN_ASKED]
    given = {name: value for name in effort if (value := getattr(options, name)) is not None}
    options.effort = replace(QUICK if options.quick else Effort(), **given)
    return options


def _measure(stage: Stage, options: argparse.Namespace) -> Iterator[Figure | Bound]:
    import django

    # The environment is the stage's, so nothing of Django may be loaded before it is set.
    django.setup()
    from bench import accept, admin, batch, deliver, growth, latency, memory, rollups, slow
    from bench.peers import post_office

    effort: Effort = options.effort
    rounds, seconds = effort.rounds, effort.seconds
    parts: dict[str, Callable[[], Sequence[Figure | Bound]]] = {
        "accept": lambda: accept.measure(stage, rounds=rounds, seconds=seconds),
        "batch": lambda: batch.measure(stage, rounds=rounds, seconds=seconds),
        "deliver": lambda: deliver.measure(stage, rounds=rounds, count=effort.messages),
        "slow": lambda: slow.measure(stage, rounds=rounds, seconds=seconds),
        "latency": lambda: latency.measure(
            stage, seconds=effort.latency_seconds, pilot_seconds=seconds, bulk=effort.bulk
        ),
        "peers": lambda: post_office.measure(stage, rounds=rounds, count=effort.messages),
        "memory": lambda: memory.measure(stage, seconds=seconds, hours=options.hours),
        "rollups": lambda: list(rollups.measure(stage, rounds=rounds)),
        # Its rounds are short, so that more of them cost little and a stumble counts less.
        "growth": lambda: growth.measure(stage, rounds=3 * rounds, rows=effort.rows),
        "admin": lambda: admin.measure(stage, rounds=rounds, rows=effort.admin_rows),
    }
    for part, measure in parts.items():
        if part in options.parts:
            yield from measure()


def _facts(stage: Stage) -> dict[str, str]:
    """What the figures depend on."""

    def server(name: str) -> str:
        row = stage.server.execute(f"SHOW {name}").fetchone()
        return str(row[0]) if row else "?"

    with Connection(stage.broker_url, connect_timeout=3) as broker:
        broker.connect()
        properties = broker.connection.server_properties
    cache = redis.Redis.from_url(stage.redis_url, socket_timeout=3)
    packages = ("Django", "djangorestframework", "celery", "psycopg", "gunicorn")
    return {
        "Cores, load before": f"{os.cpu_count()}, {os.getloadavg()[0]:.1f}",
        "Python": f"{platform.python_version()} on {platform.system()}",
        "Packages": ", ".join(f"{name} {version(name)}" for name in packages),
        "PostgreSQL": f"{server('server_version').split()[0]}, fsync {server('fsync')}, "
        f"synchronous_commit {server('synchronous_commit')}",
        "Broker": f"{properties.get('product', '?')} {properties.get('version', '?')}",
        "Redis": str(cache.info("server")["redis_version"]),
    }


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

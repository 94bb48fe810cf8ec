"""`python -m bench`: what the platform does in a second, beside its references, in one run."""

import argparse
import json
import os
import platform
import signal
import sys
from importlib.metadata import version
from pathlib import Path

import psycopg
import redis
from kombu import Connection

from bench.report import Figure, table
from bench.stage import BenchError, Stage


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        with Stage() as stage:
            facts = _facts(stage)
            print("\n".join(f"{name:<20} {value}" for name, value in facts.items()), flush=True)
            figures = _measure(stage, options)
    except KeyboardInterrupt:
        print("Interrupted; everything that was made is gone again.", file=sys.stderr)
        return 130
    except (BenchError, psycopg.OperationalError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"\n{table(figures)}")
    if options.json:
        found = {"facts": facts, "figures": [figure.as_json() for figure in figures]}
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--accept", action="store_true", help="Only what is taken in.")
    parser.add_argument("--deliver", action="store_true", help="Only what is handed over.")
    parser.add_argument("--quick", action="store_true", help="1 round, 3 s, 3,000 messages.")
    parser.add_argument("--rounds", type=int, help="Interleaved rounds; 3 by default.")
    parser.add_argument("--seconds", type=float, help="Of load in each round; 8 by default.")
    parser.add_argument("--messages", type=int, help="To deliver in each round; 10,000 by default.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write all figures there too.")
    options = parser.parse_args()
    if not options.accept and not options.deliver:
        options.accept = options.deliver = True
    rounds, seconds, messages = (1, 3.0, 3_000) if options.quick else (3, 8.0, 10_000)
    options.rounds = options.rounds or rounds
    options.seconds = options.seconds or seconds
    options.messages = options.messages or messages
    return options


def _measure(stage: Stage, options: argparse.Namespace) -> list[Figure]:
    import django

    # The environment is the stage's, so nothing of Django may be loaded before it is set.
    django.setup()
    from bench import accept, deliver

    figures: list[Figure] = []
    if options.accept:
        figures += accept.measure(stage, rounds=options.rounds, seconds=options.seconds)
    if options.deliver:
        figures += deliver.measure(stage, rounds=options.rounds, count=options.messages)
    return figures


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

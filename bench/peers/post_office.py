"""The bulk lane against django-post_office with log rows: the same letter, the same sink, two
processes each, in turns.

It lives in a virtual environment of its own, which `make bench` makes from requirements/bench.txt.
"""

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.fleet import (
    PATIENCE,
    WARM_UP,
    Sink,
    Workers,
    check_workers,
    drain,
    make_sender,
    open_sink,
)
from bench.report import Figure
from bench.stage import ROOT, BenchError, Stage
from bench.web import make_application

PROCESSES = 2
TARGET = 2.5
# As many as the peer's threads, in each process, and the one that is kept for `high`.
CONNECTIONS = 6
# Its own, at its best: a round is so many of them, the last one being full too.
BATCH = 2_000


def measure(stage: Stage, *, rounds: int, count: int) -> list[Figure]:
    peer_python = Path(os.environ.get("BENCH_PYTHON") or ROOT / ".venv-bench" / "bin" / "python")
    version = _version(peer_python) if peer_python.exists() else ""
    if not version:
        print("django-post_office is not installed (`make bench` does it): no figure.", flush=True)
        return []
    count = max(1, round(count / BATCH)) * BATCH
    ours: list[float] = []
    theirs: list[float] = []
    with ExitStack() as stack:
        sink = open_sink(stage, stack)
        make_sender(sink, max_connections=CONNECTIONS)
        application = make_application()
        environment = {
            "DJANGO_SETTINGS_MODULE": "bench.peers.post_office_settings",
            "DATABASE_URL": stage.another_database(stack, "peer"),
            "BENCH_SINK_PORT": str(sink.port),
        }
        manage = [str(peer_python), "-m", "django", "migrate", "--verbosity", "0"]
        stage.run(manage, overrides=environment)

        def measure_ours() -> None:
            with Workers(stage, PROCESSES) as workers:
                drain(workers, sink, application, lane="bulk", count=WARM_UP)
                ours.append(drain(workers, sink, application, lane="bulk", count=count))
                check_workers(PROCESSES)

        def measure_theirs() -> None:
            theirs.append(_drain(stage, sink, peer_python, environment, count=count))

        for number in range(rounds):
            turns = [measure_ours, measure_theirs]
            for turn in turns[:: 1 if number % 2 == 0 else -1]:
                turn()
    against = f"django-post_office {version}"
    what = f"deliver: bulk, {PROCESSES} processes, a peer"
    return [Figure(what, ours, against, theirs, TARGET, is_factor=True)]


def _drain(
    stage: Stage, sink: Sink, peer_python: Path, environment: dict[str, str], *, count: int
) -> float:
    """From the call of its command to its last row. What it sent must be what it says."""
    sink.reset()
    done = subprocess.run(
        [
            *(str(peer_python), "-m", "bench.peers.post_office_run"),
            *(str(count), str(WARM_UP), str(stage.folder)),
        ],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise BenchError(f"django-post_office broke off:\n{done.stderr[-1500:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    seen = {"at the sink": sink.messages() - WARM_UP, **result}
    took = seen.pop("seconds")
    if set(seen.values()) != {count}:
        raise BenchError(f"django-post_office, of {count} messages: {seen}. No figure.")
    return float(count / took)


def _version(peer_python: Path) -> str:
    """Empty when it is not installed there."""
    words = "from importlib.metadata import version; print(version('django-post_office'))"
    done = subprocess.run([str(peer_python), "-c", words], capture_output=True, text=True)
    return done.stdout.strip()

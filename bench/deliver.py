"""How many messages a second go from rows to an SMTP server, with their marks and outcomes.

The workers are `celery worker` with its prefork pool of one or two processes. They are compared
with smtplib's single connection, however many of their own they use.
"""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

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

TARGETS = {"high": 0.15, "bulk": 0.25}
PROCESSES = (1, 2)
# Enough for seconds: a fraction of one says more about the moment than about smtplib.
REFERENCE_MESSAGES = 10_000


def measure(stage: Stage, *, rounds: int, count: int) -> list[Figure]:
    letter = stage.folder / "letter.eml"
    rates: dict[tuple[str, int], list[float]] = {
        (lane, processes): [] for processes in PROCESSES for lane in TARGETS
    }
    references: dict[tuple[str, int], list[float]] = {key: [] for key in rates}
    with ExitStack() as stack:
        sink = open_sink(stage, stack, "--keep", str(letter))
        make_sender(sink)
        application = make_application()
        for number in range(rounds):
            # Neither a number of processes nor a lane is always first: the load of a shared machine
            # drifts, and a fixed order would be taken for a difference.
            turn = 1 if number % 2 == 0 else -1
            for processes in PROCESSES[::turn]:
                with Workers(stage, processes) as workers:
                    for lane in TARGETS:
                        drain(workers, sink, application, lane=lane, count=WARM_UP)
                    for lane in list(TARGETS)[::turn]:
                        rate = drain(workers, sink, application, lane=lane, count=count)
                        check_workers(processes)
                        rates[lane, processes].append(rate)
                        size = sink.size() / count
                        reference = _reference(sink, size=size, letter=letter)
                        references[lane, processes].append(reference)
    return [
        Figure(
            f"deliver: {lane}, {processes} process{'es' if processes > 1 else ''}",
            found,
            "smtplib, bytes built before",
            references[lane, processes],
            TARGETS[lane],
        )
        for (lane, processes), found in rates.items()
    ]


def _reference(sink: Sink, *, size: float, letter: Path) -> float:
    """smtplib with what the platform itself sent first, over one open connection, right after the
    round that it is held against. `size` is what a message of that round had."""
    sink.reset()
    count = REFERENCE_MESSAGES
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.references.smtplib_loop"),
            *(str(sink.port), str(count), str(letter)),
        ],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if done.returncode or sink.messages() != count:
        raise BenchError(f"smtplib sent {sink.messages()} of {count}: {done.stderr[-1000:]}")
    if abs(sink.size() / count / size - 1) > 0.01:
        raise BenchError(f"smtplib sent {sink.size() / count:.0f} bytes each, not {size:.0f}.")
    return count / float(done.stdout)

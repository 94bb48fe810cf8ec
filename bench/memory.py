"""What a web process and a worker process hold in memory, after the first phase of load and after
the last. A phase takes messages in as fast as they come and hands all of them over."""

import time
from contextlib import ExitStack

import psutil

from bench.fleet import Sink, Workers, check_ledger, empty, make_sender, open_sink, wait_until_sent
from bench.report import Bound
from bench.stage import BenchError, Process, Stage
from bench.web import Web, load, make_token, serve_platform

PROCESSES = 2
PHASES = 3
AT_MOST_MB = 150
# What still counts as flat after hours of load; a few minutes show no leak.
FLAT = 1.1
# Between two lines of a run that takes hours.
TELL_EVERY = 600


def measure(stage: Stage, *, seconds: float, hours: float | None) -> list[Bound]:
    """`PHASES` of so many seconds, or as many as fit into `hours`."""
    ends_at = time.monotonic() + (hours or 0) * 3600
    told_at = time.monotonic()
    found: list[dict[str, float]] = []
    with ExitStack() as stack:
        sink = open_sink(stage, stack)
        make_sender(sink)
        web, token = serve_platform(stage, stack), make_token()
        workers = stack.enter_context(Workers(stage, PROCESSES))
        while time.monotonic() < ends_at if hours else len(found) < PHASES:
            _phase(web, workers, sink, token=token, seconds=seconds)
            found.append({"web": largest(web.process), "worker": largest(workers.process)})
            if hours and time.monotonic() - told_at > TELL_EVERY:
                told_at = time.monotonic()
                print(f"after phase {len(found)}: {_told(found[-1])}", flush=True)
    bounds: list[Bound] = []
    for name, first in found[0].items():
        last, what = found[-1][name], f"memory: a {name} process"
        note = f"{first:.0f} MB after the first of {len(found)} phases of {seconds:.0f} s"
        bounds.append(Bound(what, last, "MB", AT_MOST_MB, note))
        if hours:
            bounds.append(Bound(f"{what}, last / first", last / first, "x", FLAT))
    return bounds


def _phase(web: Web, workers: Workers, sink: Sink, *, token: str, seconds: float) -> None:
    empty()
    sink.reset()
    accepted = len(load(web, token=token, duration=seconds)["seconds"])
    wait_until_sent(workers, sink, count=accepted)
    check_ledger(sink, count=accepted)


def largest(process: Process) -> float:
    """Resident megabytes of the largest process that `process` forked to do its work."""
    sizes = [child.memory_info().rss for child in psutil.Process(process.pid).children()]
    if not sizes:
        raise BenchError(f"{process.name} has no processes to look at.")
    return max(sizes) / 1e6


def _told(sizes: dict[str, float]) -> str:
    return ", ".join(f"a {name} process {size:.0f} MB" for name, size in sizes.items())

"""How long a message takes from the request to the sink: at half of what the whole path can do, and
in `high` while `bulk` is full.

Web, workers (two processes for all lanes) and sink run at once. The clock starts at the moment at
which a request was due, so that waiting for an answer counts, and stops when the final dot came.
"""

import time
from contextlib import ExitStack

from bench.fleet import (
    PATIENCE,
    Sink,
    Workers,
    check_ledger,
    check_workers,
    empty,
    fill,
    make_due,
    make_sender,
    open_sink,
    wait_until_sent,
)
from bench.report import Bound, percentile
from bench.stage import BenchError, Stage
from bench.web import Web, load, make_application, make_token, send, serve_platform
from messaging import doorbell

PROCESSES = 2
# Of the measured rate.
SHARE = 0.5
# Between two messages in `high`.
PAUSE = 0.2
# Fewer say nothing about the slowest in a hundred, not even roughly.
LEAST_HIGH = 10


def measure(stage: Stage, *, seconds: float, pilot_seconds: float, bulk: int) -> list[Bound]:
    with ExitStack() as stack:
        sink = open_sink(stage, stack, "--times")
        make_sender(sink)
        web, token = serve_platform(stage, stack), make_token()
        workers = stack.enter_context(Workers(stage, PROCESSES))
        _pilot(web, workers, sink, token=token, seconds=pilot_seconds / 2)
        rate = _pilot(web, workers, sink, token=token, seconds=pilot_seconds)
        steady = _steady(web, workers, sink, token=token, rate=rate * SHARE, seconds=seconds)
        high = _high_during_bulk(web, workers, sink, token=token, bulk=bulk)
    what = f"accept -> sink at {rate * SHARE:,.0f}/s"
    note = f"half of {rate:,.0f}/s, {len(steady):,} messages"
    return [
        Bound(f"{what}, p50", percentile(steady, 0.50) * 1000, "ms", 100, note),
        Bound(f"{what}, p99", percentile(steady, 0.99) * 1000, "ms", 500, note),
        Bound(
            f"high while {bulk:,} bulk drain, p99",
            percentile(high, 0.99) * 1000,
            "ms",
            3000,
            f"p50 {percentile(high, 0.50) * 1000:,.0f} ms, {len(high)} messages",
        ),
    ]


def _pilot(web: Web, workers: Workers, sink: Sink, *, token: str, seconds: float) -> float:
    """Messages a second from the first request to the last arrival, as fast as they are taken."""
    empty()
    sink.reset()
    started = time.time()
    accepted = len(load(web, token=token, duration=seconds)["seconds"])
    wait_until_sent(workers, sink, count=accepted)
    check_ledger(sink, count=accepted)
    return accepted / (max(sink.times().values()) - started)


def _steady(
    web: Web, workers: Workers, sink: Sink, *, token: str, rate: float, seconds: float
) -> list[float]:
    empty()
    sink.reset()
    accepted = load(web, token=token, duration=seconds, rate=rate)["accepted"]
    wait_until_sent(workers, sink, count=len(accepted))
    check_ledger(sink, count=len(accepted))
    check_workers(PROCESSES)
    return waits(dict(accepted), sink.times())


def _high_during_bulk(
    web: Web, workers: Workers, sink: Sink, *, token: str, bulk: int
) -> list[float]:
    fill(make_application(), lane="bulk", count=bulk)
    sink.reset()
    make_due()
    doorbell.publish(("email", "bulk"))
    due: dict[str, float] = {}
    due_at = time.time() + PAUSE
    arrived, arrived_at = 0, time.monotonic()
    while arrived < bulk:
        workers.process.check()
        if (seen := sink.messages()) > arrived:
            arrived, arrived_at = seen, time.monotonic()
        elif time.monotonic() - arrived_at > PATIENCE:
            raise BenchError(f"Nothing came for {PATIENCE} s, after {arrived} messages.")
        time.sleep(max(0.0, due_at - time.time()))
        due[send(web, token=token, priority="high")] = due_at
        due_at += PAUSE
    wait_until_sent(workers, sink, count=bulk + len(due))
    check_ledger(sink, count=bulk + len(due))
    times = sink.times()
    bulk_ended_at = max(at for id_, at in times.items() if id_ not in due)
    during = {id_: at for id_, at in due.items() if at < bulk_ended_at}
    if len(during) < LEAST_HIGH:
        raise BenchError(f"{bulk} messages were gone after {len(during)} in high: give it more.")
    return waits(during, times)


def waits(due: dict[str, float], arrived: dict[str, float]) -> list[float]:
    """Seconds from due to arrived, of each. Raises `BenchError` when one is missing."""
    missing = due.keys() - arrived.keys()
    if missing:
        raise BenchError(f"{len(missing)} of {len(due)} messages were accepted and never came.")
    return [arrived[id_] - at for id_, at in due.items()]

"""Delivery to a provider that takes 50 ms, against the most that its connections allow.

Only the answer to a whole message is late: it is what a provider works for, and a client that
pipelines waits for little else. A connection then carries 20 messages a second.
"""

from contextlib import ExitStack

from bench.fleet import WARM_UP, Workers, check_workers, drain, make_sender, open_sink
from bench.report import Figure
from bench.smtp_sink import MESSAGES
from bench.stage import BenchError, Stage
from bench.web import make_application

SECONDS_AN_ANSWER = 0.05
PROCESSES, CONNECTIONS = 2, 32
LANES = ("normal", "bulk")
TARGET = 0.70


def measure(stage: Stage, *, rounds: int, seconds: float) -> list[Figure]:
    connections = PROCESSES * CONNECTIONS
    ceiling = connections / SECONDS_AN_ANSWER
    rates: dict[str, list[float]] = {lane: [] for lane in LANES}
    seen: dict[str, int] = dict.fromkeys(LANES, 0)
    with ExitStack() as stack:
        sink = open_sink(stage, stack, "--delay", str(SECONDS_AN_ANSWER), "--delay-of", MESSAGES)
        make_sender(sink, max_connections=CONNECTIONS)
        application = make_application()
        workers = stack.enter_context(Workers(stage, PROCESSES))
        # How fast it is decides how many messages fill a round.
        pace = {lane: drain(workers, sink, application, lane=lane, count=WARM_UP) for lane in LANES}
        for number in range(rounds):
            for lane in LANES[:: 1 if number % 2 == 0 else -1]:
                count = max(WARM_UP, int(pace[lane] * seconds))
                rate = drain(workers, sink, application, lane=lane, count=count)
                check_workers(PROCESSES)
                seen[lane] = max(seen[lane], sink.connections())
                if seen[lane] > connections or rate > ceiling:
                    raise BenchError(
                        f"{rate:.0f} messages a second over {seen[lane]} connections are more than "
                        f"{connections} can carry. No figure comes of that."
                    )
                rates[lane].append(rate)
                pace[lane] = rate
    return [
        Figure(
            f"slow provider: {lane}, {PROCESSES} processes",
            found,
            f"{connections} connections / 50 ms ({seen[lane]} were open)",
            [ceiling] * rounds,
            TARGET,
        )
        for lane, found in rates.items()
    ]

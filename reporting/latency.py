"""What a histogram of latencies tells. Bounds and results are in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from messaging.metrics import LATENCY_BOUNDS

# By when a message should be with its provider.
PROMPT = 10


@dataclass(frozen=True, slots=True)
class Latency:
    """From when messages were to go until their providers took them. Of `count` messages.

    The percentiles are estimates: within the bucket in which one falls, messages are taken to be
    spread evenly; in the last, which has no end, it is the last bound. The average is exact.
    """

    count: int
    average: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    # The share of them that took at most `PROMPT` seconds: exact, since that is a bound.
    prompt_share: float | None


def read_histogram(counts: Sequence[int], *, total_ms: int) -> Latency:
    """`counts` by bucket, one for each of `LATENCY_BOUNDS` and one for what took longer."""
    count = sum(counts)
    if not count:
        return Latency(0, None, None, None, None, None)
    prompt = sum(counts[: LATENCY_BOUNDS.index(PROMPT) + 1])
    return Latency(
        count=count,
        average=round(total_ms / count / 1000, 3),
        p50=percentile(counts, 0.50),
        p95=percentile(counts, 0.95),
        p99=percentile(counts, 0.99),
        prompt_share=round(prompt / count, 6),
    )


def percentile(counts: Sequence[int], share: float) -> float:
    """The time within which `share` of the messages were done. There must be some."""
    rank = share * sum(counts)
    below, lower = 0, 0.0
    for bound, count in zip(LATENCY_BOUNDS, counts, strict=False):
        if count and below + count >= rank:
            return round(lower + (bound - lower) * (rank - below) / count, 3)
        below, lower = below + count, float(bound)
    return lower

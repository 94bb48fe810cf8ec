"""Figures, their references and targets, as a table for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured in several rounds, beside what it is held against in the same rounds.

    `target` is the least ratio that the project asks for; None where it names none.
    """

    what: str
    rates: Sequence[float]
    against: str = ""
    reference_rates: Sequence[float] = ()
    target: float | None = None
    is_factor: bool = False
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def rate(self) -> float:
        return median(self.rates)

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' own ratios: what disturbs a round disturbs both sides."""
        if not self.reference_rates:
            return None
        pairs = zip(self.rates, self.reference_rates, strict=True)
        return median(rate / reference for rate, reference in pairs)

    def cells(self) -> list[str]:
        ratio = self.ratio
        reached = "" if self.target is None or ratio is None else _yes(ratio >= self.target)
        return [
            self.what,
            f"{self.rate:,.0f}",
            _milliseconds(self.p50_ms),
            _milliseconds(self.p99_ms),
            self.against,
            f"{median(self.reference_rates):,.0f}" if self.reference_rates else "",
            self._show(ratio),
            f">= {self._show(self.target)}" if self.target is not None else "",
            reached,
        ]

    def _show(self, ratio: float | None) -> str:
        if ratio is None:
            return ""
        return f"{ratio:.1f} x" if self.is_factor else f"{ratio:.0%}"

    def as_json(self) -> dict[str, object]:
        named = {name: getattr(self, name) for name in self.__slots__}
        return {**named, "rate": self.rate, "ratio": self.ratio}


HEADINGS = ["", "per second", "p50 ms", "p99 ms", "against", "per second", "ratio", "target", ""]
NUMBERS = frozenset({1, 2, 3, 5, 6, 7})


def table(figures: Sequence[Figure]) -> str:
    rows = [HEADINGS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _yes(is_reached: bool) -> str:
    return "reached" if is_reached else "not yet"

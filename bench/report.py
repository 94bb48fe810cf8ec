"""Figures, their references and targets, as a table for people."""

import math
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


@dataclass(frozen=True, slots=True)
class Bound:
    """What was measured beside the most that the project allows; None where it names no limit."""

    what: str
    value: float
    unit: str
    at_most: float | None = None
    note: str = ""

    def cells(self) -> list[str]:
        limit = "" if self.at_most is None else f"<= {self.at_most:,.{self._places}f} {self.unit}"
        reached = "" if self.at_most is None else _yes(self.value <= self.at_most)
        return [self.what, f"{self.value:,.{self._places}f} {self.unit}", limit, reached, self.note]

    @property
    def _places(self) -> int:
        return 1 if self.unit == "x" else 0

    def as_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least `share` of them do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * share) - 1)]


HEADINGS = ["", "per second", "p50 ms", "p99 ms", "against", "per second", "ratio", "target", ""]
NUMBERS = frozenset({1, 2, 3, 5, 6, 7})


def table(figures: Sequence[Figure]) -> str:
    return _aligned([HEADINGS, *(figure.cells() for figure in figures)], NUMBERS)


def bounds_table(bounds: Sequence[Bound]) -> str:
    headings = ["", "measured", "target", "", ""]
    return _aligned([headings, *(bound.cells() for bound in bounds)], frozenset({1, 2}))


def _aligned(rows: Sequence[Sequence[str]], numbers: frozenset[int]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _yes(is_reached: bool) -> str:
    return "reached" if is_reached else "not yet"

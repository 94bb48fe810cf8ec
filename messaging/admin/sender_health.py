"""What the page and the list of senders show of their health."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from unfold.views import ChangeList

from messaging.models import Attempt, Sender, SenderMove, SenderWindow
from messaging.pool_report import Forecast, PoolLine, report_of
from messaging.recent_attempts import HOUR, Hour, Slot, Tally, look_at
from messaging.sender_report import Use

Outcome = Attempt.Outcome
# From the ground up.
SHOWN = (
    Outcome.ACCEPTED,
    Outcome.SENDER,
    Outcome.TEMPORARY,
    Outcome.PERMANENT,
    Outcome.UNKNOWN,
    Outcome.OPEN,
)
SHOWN_MOVES = 12
# Of the chart, in its own units.
HEIGHT, STEP, WIDTH = 100.0, 10, 8


@dataclass(frozen=True, slots=True)
class Piece:
    """One outcome in a bar."""

    name: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    x: int
    title: str
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit with how much of it is used."""

    label: str
    use: Use
    forecast: Forecast | None

    @property
    def left(self) -> int:
        return max(0, (self.use.limit or 0) - self.use.used)

    @property
    def fullness(self) -> str:
        """For its colour."""
        if self.use.is_spent:
            return "spent"
        return "soon" if self.forecast is not None else "fine"


def health_of(sender: Sender, *, now: datetime) -> dict[str, Any]:
    """For `sender_health.html`."""
    report = report_of(Sender.objects.filter(pk=sender.pk), now=now)
    [line] = report.lines
    hour = look_at(sender, since=report.since, now=now)
    moves = SenderMove.objects.filter(sender=sender).order_by("-at", "-pk")[:SHOWN_MOVES]
    return {
        "line": line,
        "quotas": quotas_of(line),
        "hour": hour,
        "bars": list(_bars(hour)),
        "chart_width": len(hour.slots) * STEP,
        "legend": [
            (outcome or "open", outcome.label, line.hour.counts[outcome])
            for outcome in SHOWN
            if outcome == Outcome.ACCEPTED or line.hour.counts[outcome]
        ],
        "counted_since": report.since if report.since > now - HOUR else None,
        "moves": [(move, why_words(move)) for move in moves],
    }


def quotas_of(line: PoolLine) -> list[Quota]:
    forecast = line.forecast
    return [
        Quota(
            _quota_label(line.sender, use),
            use,
            forecast if forecast is not None and forecast.use == use else None,
        )
        for use in line.quotas
        # Its day is counted without a limit too; that of a group says nothing then.
        if use.limit is not None or not use.is_shared
    ]


def why_words(move: SenderMove) -> str:
    return str(dict(SenderMove.Why.choices).get(move.why, move.why))


class PoolList(ChangeList):
    """Each sender of the page with its `line` of the pool's report, read once for all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        shown = Sender.objects.filter(pk__in=[sender.pk for sender in self.result_list])
        report = report_of(shown, now=timezone.now())
        lines = {line.sender.pk: line for line in report.lines}
        for sender in self.result_list:
            sender.line = lines[sender.pk]


def _quota_label(sender: Sender, use: Use) -> str:
    window = SenderWindow.Window(use.window).label
    if use.is_shared:
        words = gettext("per %(window)s, group %(group)s")
        return words % {"window": window, "group": sender.group}
    return gettext("per %(window)s") % {"window": window}


def _bars(hour: Hour) -> Iterator[Bar]:
    highest = max((_total(slot.tally) for slot in hour.slots), default=0) or 1
    for i, slot in enumerate(hour.slots):
        pieces, y = [], HEIGHT
        for outcome in SHOWN:
            if count := slot.tally.counts[outcome]:
                # What is there is seen, however little it is.
                height = max(HEIGHT * count / highest, 1.5)
                y -= height
                pieces.append(Piece(outcome or "open", round(y, 2), round(height, 2)))
        yield Bar(i * STEP + (STEP - WIDTH) // 2, _title(slot), pieces)


def _total(tally: Tally) -> int:
    return sum(tally.counts[outcome] for outcome in SHOWN)


def _title(slot: Slot) -> str:
    """ "15:05: 30 accepted, 2 the sender failed"."""
    at = date_format(timezone.localtime(slot.starts_at), "H:i")
    counts = [
        f"{slot.tally.counts[outcome]} {outcome.label}"
        for outcome in SHOWN
        if slot.tally.counts[outcome]
    ]
    return f"{at}: {', '.join(counts) or 0}"

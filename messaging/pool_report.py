"""How the pool does, for operators: each sender's state, quotas, forecast and last hour.

Five queries, however many senders there are and however large the tables are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from messaging.models import Sender, SenderMove, SenderWindow
from messaging.recent_attempts import Tally, count_by_sender
from messaging.sender_health import RECOVERS_IN
from messaging.sender_report import Use, report_on
from messaging.senders import SenderKind, SenderState, state_of

MoveState = SenderMove.State


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a quota is used up if messages go on as in the last hour."""

    at: datetime
    use: Use


@dataclass(frozen=True, slots=True)
class LastError:
    """Our word for it, and the provider's own."""

    kind: str
    words: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class PoolLine:
    """One sender. `since` is None where nobody can tell: it has been so for longer than is kept."""

    sender: Sender
    state: SenderState
    words: str
    since: datetime | None
    quotas: list[Use]
    forecast: Forecast | None
    last_error: LastError | None
    hour: Tally

    @property
    def name(self) -> str:
        return self.sender.name

    @property
    def channel(self) -> str:
        return self.sender.channel

    @property
    def kind(self) -> SenderKind:
        return self.state.kind


@dataclass(frozen=True, slots=True)
class PoolReport:
    """`since`: from when on `hour` counts, which is later than an hour ago if there were many."""

    lines: list[PoolLine]
    since: datetime


def pool_report(now: datetime) -> PoolReport:
    """All senders by channel, the highest priority first."""
    return report_of(Sender.objects.all(), now=now)


def report_of(senders: QuerySet[Sender], *, now: datetime) -> PoolReport:
    """Of those in `senders`. The rates of groups are those of all their senders nevertheless."""
    tallies, since = count_by_sender(now=now)
    groups = dict(Sender.objects.exclude(group=None).values_list("pk", "group"))
    by_group: dict[int, int] = {}
    for pk, group in groups.items():
        by_group[group] = by_group.get(group, 0) + tallies.get(pk, Tally()).attempts
    lines = []
    for sender in readable(senders):
        tally = tallies.get(sender.pk, Tally())
        shared = by_group.get(sender.group_id or 0, 0)
        lines.append(line_of(sender, tally, shared=shared, since=since, now=now))
    return PoolReport(lines, since)


def readable(senders: QuerySet[Sender]) -> QuerySet[Sender]:
    """With what a line reads; without settings and secrets."""
    moves = SenderMove.objects.filter(sender=OuterRef("pk")).order_by("-at").values("at")
    return (
        senders.select_related("group")
        .prefetch_related("windows", "group__windows")
        .defer("options", "credentials")
        .annotate(
            off_since=Subquery(moves.filter(to_state=MoveState.SWITCHED_OFF)[:1]),
            working_since=Subquery(moves.filter(to_state=MoveState.WORKING)[:1]),
        )
    )


def line_of(
    sender: Sender, tally: Tally, *, shared: int, since: datetime, now: datetime
) -> PoolLine:
    """`sender` is `readable`; `shared` are the attempts of its group's senders."""
    state, report = state_of(sender, now=now), report_on(sender, now=now)
    error = None
    if sender.last_failure_kind:
        error = LastError(
            sender.last_failure_kind, sender.last_failure_words, sender.last_failure_at
        )
    return PoolLine(
        sender=sender,
        state=state,
        words=state_words(state),
        since=report.since or _since(sender, state),
        quotas=report.quotas,
        forecast=_forecast(
            report.quotas, own=tally.attempts, shared=shared, span=now - since, now=now
        ),
        last_error=error,
        hour=tally,
    )


def _since(sender: Sender, state: SenderState) -> datetime | None:
    """Where its row does not tell."""
    if state.kind == SenderKind.SWITCHED_OFF:
        return sender.off_since  # type: ignore[attr-defined, no-any-return]
    if state.kind == SenderKind.ACTIVE and sender.recovered_at is not None:
        return sender.recovered_at + RECOVERS_IN
    if state.kind == SenderKind.ACTIVE:
        return sender.working_since  # type: ignore[attr-defined, no-any-return]
    return None


def _forecast(
    quotas: Iterable[Use], *, own: int, shared: int, span: timedelta, now: datetime
) -> Forecast | None:
    """The first quota that will be used up before its window ends, if one will."""
    found = []
    for use in quotas:
        rate = (shared if use.is_shared else own) / max(span.total_seconds(), 1.0)
        # A minute is over before anybody has read it.
        if use.limit is None or use.is_spent or use.window == "minute" or not rate:
            continue
        at = now + timedelta(seconds=(use.limit - use.used) / rate)
        if at < use.ends_at:
            found.append(Forecast(at, use))
    return min(found, key=lambda forecast: forecast.at, default=None)


def state_words(state: SenderState) -> str:
    """In the reader's language and zone."""
    if state.kind == SenderKind.BENCHED and state.until is not None:
        until = date_format(timezone.localtime(state.until), "Y-m-d H:i:s")
        words = gettext("benched until %(until)s because of: %(why)s")
        return words % {"until": until, "why": state.why or "?"}
    if state.kind == SenderKind.BEING_TRIED:
        words = gettext("being tried with one message, after: %(why)s")
        return words % {"why": state.why or "?"}
    if state.kind == SenderKind.RECOVERING:
        return gettext("recovering at %(share)s %%") % {"share": round(state.share * 100)}
    if state.kind == SenderKind.SPENT:
        window = SenderWindow.Window(state.window).label
        if state.group:
            words = gettext("its group %(group)s used up its limit per %(window)s")
            return words % {"group": state.group, "window": window}
        return gettext("used up its limit per %(window)s") % {"window": window}
    is_off = state.kind == SenderKind.SWITCHED_OFF
    return gettext("switched off") if is_off else gettext("active")

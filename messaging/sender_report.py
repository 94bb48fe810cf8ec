"""What an application is told of the senders that it may use: how they do, and what is left."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet

from messaging import senders
from messaging.channels import simulator
from messaging.models import Sender, SenderGroup, SenderWindow
from messaging.sender_health import RECOVERS_IN
from messaging.senders import SenderKind, SenderState

_LENGTHS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
# Of the account's failures, in our word.
_FAILURES = {
    "transient": "it could not be reached",
    "throttled": "its provider asked for a pause",
    "quota": "its provider's quota is used up",
    "credentials": "its credentials were refused",
    "identity": "its address was refused",
    "blocked": "its provider has blocked it",
    "misconfigured": "its settings do not work",
    "no_answer": "its provider did not answer",
    "no_status": "its provider's answer said nothing",
}


@dataclass(frozen=True, slots=True)
class Use:
    """Messages of one window, and how many there may be. Shared ones are those of its group."""

    window: str
    used: int
    limit: int | None
    ends_at: datetime
    is_shared: bool

    @property
    def is_spent(self) -> bool:
        return self.limit is not None and self.used >= self.limit


@dataclass(frozen=True, slots=True)
class SenderReport:
    """`since` and `until` are None where nobody can tell, or where the state has no end."""

    sender: Sender
    state: SenderKind
    since: datetime | None
    until: datetime | None
    why: str
    quotas: list[Use]


def usable_by(application_id: int) -> QuerySet[Sender]:
    """All but those that are reserved for others and the simulator; with what a report reads, and
    without settings and secrets."""
    reserved = Sender.applications.through.objects.filter(sender=OuterRef("pk"))
    return (
        Sender.objects.filter(
            ~Exists(reserved) | Exists(reserved.filter(application=application_id))
        )
        .exclude(adapter__in=simulator.NAMES)
        .select_related("group")
        .prefetch_related("windows", "group__windows")
        .defer("options", "credentials")
    )


def report_on(sender: Sender, *, now: datetime) -> SenderReport:
    state = senders.state_of(sender, now=now)
    quotas = list(_uses(sender, now, is_shared=False))
    if sender.group is not None:
        quotas += _uses(sender.group, now, is_shared=True)
    since, until = _times(sender, state, quotas)
    return SenderReport(sender, state.kind, since, until, _sentence(state), quotas)


def _uses(owner: Sender | SenderGroup, now: datetime, *, is_shared: bool) -> Iterator[Use]:
    """The limited windows and the day, which is always counted."""
    used, limits = owner.used_quota(now), owner.limits()
    for window in SenderWindow.Window.values:
        if window == "day" or window in limits:
            # In the owner's zone: a day that ends at midnight may have 23 or 25 hours.
            ends_at = owner.window_start(window, now) + _LENGTHS[window]
            yield Use(window, used.get(window, 0), limits.get(window), ends_at, is_shared)


def _times(
    sender: Sender, state: SenderState, quotas: list[Use]
) -> tuple[datetime | None, datetime | None]:
    if state.kind == SenderKind.BENCHED:
        return sender.last_failure_at, sender.benched_until
    if state.kind == SenderKind.BEING_TRIED:
        return sender.benched_until, None
    if state.kind == SenderKind.RECOVERING and sender.recovered_at is not None:
        return sender.recovered_at, sender.recovered_at + RECOVERS_IN
    if state.kind == SenderKind.SPENT:
        return None, max(use.ends_at for use in quotas if use.is_spent)
    return None, None


def _sentence(state: SenderState) -> str:
    why = _FAILURES.get(state.why, state.why.replace("_", " ") or "it failed")
    if state.kind == SenderKind.BENCHED:
        return f"It rests, because {why}."
    if state.kind == SenderKind.BEING_TRIED:
        return f"It rested, because {why}; one message tries whether it works again."
    if state.kind == SenderKind.RECOVERING:
        return f"It failed lately and takes {round(state.share * 100)} % of its share for now."
    if state.kind == SenderKind.SPENT and state.group:
        return f"Its senders together used up the limit per {state.window} that they share."
    if state.kind == SenderKind.SPENT:
        return f"It used up its limit per {state.window}."
    if state.kind == SenderKind.SWITCHED_OFF:
        return "The operators have switched it off."
    return "It works."

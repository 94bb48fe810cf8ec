"""The circuit breaker of each sender, in its row.

Closed: it works. Open: it is benched and rests, after several failures or at once where another try
is pointless. When its rest is over one real message tries it; a success closes it, and it works at
a tenth of its share first. The words that people see: benched, being tried, recovering.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q

from core.masking import mask_addresses
from core.secrets import UnreadableSecret
from messaging.channels.base import OutcomeUnknown, SenderFailure
from messaging.models import Sender, SenderMove

log = structlog.get_logger(__name__)

FAILURES_IN_A_ROW = 3
# Or half of the calls, if there were enough to tell.
CALLS_TO_TELL = 20
CALLS_COUNT_FOR = timedelta(seconds=60)
# Another try is pointless or harmful: it locks accounts and ruins reputations.
AT_ONCE = frozenset({"credentials", "identity", "misconfigured", "blocked", "quota"})

# The first bench; it doubles with every further one in a row, and is spread by a fifth.
BENCH = timedelta(seconds=60)
# With the spread it is 30 minutes at most.
LONGEST_BENCH = timedelta(minutes=25)
# Wrong credentials do not mend themselves, and trying them too often locks accounts.
CREDENTIALS_BENCH = timedelta(hours=1)
# A worker that tries a sender and is not heard of for this long has died. Longer than a call lasts.
PROBE_HOLD = timedelta(minutes=3)

FIRST_SHARE = 0.1
SHARE_DOUBLES_IN = timedelta(minutes=1)
RECOVERS_IN = 4 * SHARE_DOUBLES_IN

# Successes of a healthy sender are written this often, all in one statement.
WRITE_EVERY = timedelta(seconds=1)

_HEALTH = (
    *("failures", "calls", "failed_calls", "calls_since"),
    *("benched_until", "benches", "probe_until", "recovered_at"),
    *("last_failure_kind", "last_failure_words", "last_failure_at"),
)


class State(StrEnum):
    WORKING = "working"
    BENCHED = "benched"
    BEING_TRIED = "being_tried"
    RECOVERING = "recovering"


def state_of(sender: Sender, *, now: datetime) -> State:
    if sender.benched_until is not None:
        return State.BENCHED if sender.benched_until > now else State.BEING_TRIED
    return State.RECOVERING if share_of(sender, now=now) < 1 else State.WORKING


def share_of(sender: Sender, *, now: datetime) -> float:
    """The part of its share that it may take: 0.1 after it recovered, doubling each minute."""
    if sender.recovered_at is None:
        return 1.0
    # At most 4: by then it is whole, however long ago it was.
    minutes = min(max((now - sender.recovered_at) // SHARE_DOUBLES_IN, 0), 4)
    return min(1.0, FIRST_SHARE * (1 << minutes))


@dataclass(slots=True)
class _Tally:
    """Calls that worked and are not written yet. `last_at` says when the last one did."""

    sender: Sender
    since: datetime
    last_at: datetime
    calls: int = 0


class Health:
    """What one drain learns of its senders; used by one thread.

    Call it inside the transaction that records the outcomes, and after the messages' rows: all
    workers then lock in the same order.
    """

    def __init__(self) -> None:
        self._tallies: dict[int, _Tally] = {}

    def worked(self, sender: Sender, *, now: datetime) -> None:
        """The account took a message, or refused that message only.

        Of a healthy sender it is counted here and written once a second or by `flush`.
        """
        tally = self._tallies.setdefault(sender.pk, _Tally(sender, now, now))
        tally.sender, tally.last_at = sender, now
        tally.calls += 1
        is_news = sender.failures > 0 or sender.benched_until is not None
        if is_news or now - tally.since >= WRITE_EVERY:
            self.flush(now=now)

    def failed(
        self, sender: Sender, error: SenderFailure | OutcomeUnknown, *, now: datetime
    ) -> bool:
        """The account failed, or hung: silence counts too. Whether it is out now."""
        with transaction.atomic():
            row = self._write_tallies(sender.channel)[sender.pk]
            if _settings(row) != _settings(sender):
                # An operator has changed it since: this failure is of its old settings.
                return False
            is_out = _fail(row, error, now)
            row.save(update_fields=_HEALTH)
        _copy_health(row, sender)
        return is_out

    def flush(self, *, now: datetime) -> None:
        """Write what was only counted. At the end of a drain, and whenever `worked` asks for it."""
        channels = {tally.sender.channel for tally in self._tallies.values() if tally.calls}
        with transaction.atomic():
            for channel in sorted(channels):
                self._write_tallies(channel)
        for tally in self._tallies.values():
            tally.since = now

    def _write_tallies(self, channel: str) -> dict[int, Sender]:
        """The locked rows of `channel`, with what was counted."""
        rows = Sender.lock_all(channel)
        for pk in sorted(self._tallies.keys() & rows.keys()):
            tally = self._tallies[pk]
            if tally.calls:
                _work(rows[pk], calls=tally.calls, at=tally.last_at)
                rows[pk].save(update_fields=_HEALTH)
                _copy_health(rows[pk], tally.sender)
                tally.calls = 0
        return rows


def _settings(sender: Sender) -> tuple[Any, ...]:
    """What a failure may come from."""
    return (sender.adapter, sender.options, sender.from_address, _secret(sender))


def _secret(sender: Sender) -> Any:
    try:
        return sender.open_credentials()
    except UnreadableSecret:
        return None


def take_probe(sender: Sender, *, now: datetime) -> bool:
    """Whether this worker is the one that may try `sender` with one message, now that its rest is
    over. False also when it was benched again or recovered since `sender` was read."""
    until = now + PROBE_HOLD
    is_ours = bool(
        Sender.objects.filter(
            Q(probe_until=None) | Q(probe_until__lte=now),
            pk=sender.pk,
            benched_until=sender.benched_until,
        ).update(probe_until=until)
    )
    if is_ours:
        sender.probe_until = until
    return is_ours


def release_probe(sender: Sender) -> None:
    """The message that was to try `sender` was not handed over: another one may."""
    if sender.probe_until is not None:
        Sender.objects.filter(pk=sender.pk, probe_until=sender.probe_until).update(probe_until=None)


def mend(sender: Sender, *, now: datetime) -> None:
    """An operator changed or tested it: let it play again at once, with its whole share."""
    with transaction.atomic():
        row = Sender.objects.select_for_update(no_key=True).get(pk=sender.pk)
        before = state_of(row, now=now)
        row.failures = row.calls = row.failed_calls = row.benches = 0
        row.calls_since = row.benched_until = row.probe_until = row.recovered_at = None
        row.last_failure_kind = row.last_failure_words = ""
        row.save(update_fields=_HEALTH)
        if before is not State.WORKING:
            _record(row, before, State.WORKING, now, why=SenderMove.Why.OPERATOR)


def record_switch(sender: Sender, *, now: datetime) -> None:
    """An operator has switched `sender` off or on, in this transaction."""
    state, off = state_of(sender, now=now), SenderMove.State.SWITCHED_OFF
    from_state, to_state = (off, state) if sender.is_active else (state, off)
    _record(sender, from_state, to_state, now, why=SenderMove.Why.OPERATOR)


# --- transitions, on a locked row ----------------------------------------------------------------


def _work(row: Sender, *, calls: int, at: datetime) -> None:
    if row.benched_until is not None:
        # While nobody tries it, whatever succeeds was handed over before it was benched and tells
        # nothing new. From the moment on at which one message tries it, any success is as good as
        # that one's own.
        if _is_tried(row, at):
            _close(row, at)
        return
    _count(row, at, calls=calls)
    if row.last_failure_at is None or row.last_failure_at <= at:
        row.failures = 0


def _fail(row: Sender, error: SenderFailure | OutcomeUnknown, now: datetime) -> bool:
    """Whether `row` is out now."""
    if row.benched_until is not None and not _is_tried(row, now):
        # Handed over before it was benched: no further bench, but what the provider asks for holds.
        row.benched_until = max(row.benched_until, now + _least_rest(error))
        return True
    _count(row, now, calls=1, failed=1)
    row.failures += 1
    row.last_failure_kind = error.kind
    row.last_failure_words = mask_addresses(f"{error.code} {error.words}".strip())[:500]
    row.last_failure_at = now
    if row.benched_until is None and not _is_enough(row, error):
        return False
    _open(row, error, now)
    return True


def _is_tried(row: Sender, at: datetime) -> bool:
    """Whether `at` is after a message was let through to try it."""
    return row.probe_until is not None and at >= row.probe_until - PROBE_HOLD


def _is_enough(row: Sender, error: SenderFailure | OutcomeUnknown) -> bool:
    return (
        error.kind in AT_ONCE
        # It said itself that it wants to be left alone, and for how long.
        or error.retry_after is not None
        or row.failures >= FAILURES_IN_A_ROW
        or (row.calls >= CALLS_TO_TELL and row.failed_calls * 2 >= row.calls)
    )


def _open(row: Sender, error: SenderFailure | OutcomeUnknown, now: datetime) -> None:
    rest = min(BENCH * 2 ** min(row.benches, 10), LONGEST_BENCH)
    rest *= random.uniform(0.8, 1.2)  # noqa: S311
    before = state_of(row, now=now)
    row.benched_until = now + max(rest, _least_rest(error))
    row.probe_until = row.recovered_at = None
    if error.retry_after is None or error.kind in AT_ONCE:
        row.benches += 1
    until, words = row.benched_until, row.last_failure_words
    _record(row, before, State.BENCHED, now, why=error.kind, words=words, until=until)
    told = {
        "sender": row.name,
        "kind": error.kind,
        "phase": error.phase,
        "provider": row.last_failure_words,
        "until": row.benched_until.isoformat(),
    }
    if error.kind == "credentials":
        # The event is the alert: someone has to act.
        advice = "The provider refuses its credentials. Enter the right ones; it waits for them."
        log.error("sender_credentials_refused", advice=advice, **told)
    else:
        log.warning("sender_benched", **told)


def _least_rest(error: SenderFailure | OutcomeUnknown) -> timedelta:
    asked = timedelta()
    if error.retry_after is not None:
        asked = timedelta(seconds=min(max(error.retry_after, 1), 3600))
    return max(asked, CREDENTIALS_BENCH) if error.kind == "credentials" else asked


def _close(row: Sender, now: datetime) -> None:
    _record(row, state_of(row, now=now), State.RECOVERING, now, why=SenderMove.Why.SUCCESS)
    row.failures = row.benches = row.calls = row.failed_calls = 0
    row.benched_until = row.probe_until = row.calls_since = None
    row.recovered_at = now
    log.info("sender_recovered", sender=row.name)


def _record(
    row: Sender,
    from_state: str,
    to_state: str,
    now: datetime,
    *,
    why: str,
    words: str = "",
    until: datetime | None = None,
) -> None:
    """In the transaction that moves it."""
    SenderMove.objects.create(
        sender=row,
        at=now,
        from_state=from_state,
        to_state=to_state,
        why=why[:30],
        words=words,
        until=until,
    )


def _count(row: Sender, now: datetime, *, calls: int, failed: int = 0) -> None:
    """A new minute forgets the old one."""
    if row.calls_since is None or now - row.calls_since >= CALLS_COUNT_FOR:
        row.calls_since, row.calls, row.failed_calls = now, 0, 0
    row.calls += calls
    row.failed_calls += failed


def _copy_health(row: Sender, sender: Sender) -> None:
    """What was written is known to whoever holds `sender`, too."""
    for name in _HEALTH:
        setattr(sender, name, getattr(row, name))

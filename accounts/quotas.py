"""Messages a day, and to one recipient: taken before messages are stored, given back when they are
not. Nothing of it may be called inside a transaction: Redis is asked."""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil

from django.conf import settings

from accounts.limits import REFUSED, Allowance, Limits, day_of, day_tally, seconds_left
from accounts.models import Application
from core import tallies
from core.errors import Code, DomainError, FieldError

HOUR, DAY = 3600, 86_400


@dataclass(frozen=True, slots=True)
class Letter:
    """One message that is about to be stored: its priority, and a pointer into the body for each
    address that it goes to."""

    lane: str
    recipients: Sequence[tuple[str, str]]


def take(
    allowance: Allowance | None, letters: Sequence[Letter], *, now: datetime, is_real: bool = True
) -> None:
    """Take the quota of all `letters`, or none. Without limits it costs nothing, with them one
    round trip. For a dry run it is not `is_real`: then nothing is taken.

    Raises `DomainError` (`quota_exceeded`, `recipient_capped`)."""
    if allowance is None:
        return
    asked = _tallies(allowance.limits, letters, now=now)
    if asked:
        verdicts = tallies.ask(list(asked), is_real=is_real)
        refusal = _refusal(allowance, letters, asked, verdicts, now=now)
        if refusal is not None:
            raise refusal


def take_each(
    allowance: Allowance | None, letters: Sequence[Letter], *, now: datetime
) -> list[DomainError | None]:
    """Take the quota of each letter that has some left, in order: what is wrong with each, or None.
    A round trip for each hundred."""
    if allowance is None:
        return [None] * len(letters)
    groups = [_tallies(allowance.limits, [letter], now=now) for letter in letters]
    if not any(groups):
        return [None] * len(letters)
    answers = tallies.ask_each([list(group) for group in groups])
    return [
        _refusal(allowance, [letter], group, verdicts, now=now)
        for letter, group, verdicts in zip(letters, groups, answers, strict=True)
    ]


def give_back(allowance: Allowance | None, letters: Sequence[Letter], *, now: datetime) -> None:
    """Return what was taken at `now` for letters that did not become messages."""
    if allowance is None or not letters:
        return
    asked = _tallies(allowance.limits, letters, now=now)
    if asked:
        verdicts = tallies.ask([replace(tally, amount=-tally.amount) for tally in asked])
        _remember(allowance, asked, verdicts)


@contextmanager
def taken(
    allowance: Allowance | None, letters: Sequence[Letter], *, now: datetime
) -> Iterator[None]:
    """`take`, and `give_back` if what is done within fails."""
    take(allowance, letters, now=now)
    try:
        yield
    except BaseException:
        give_back(allowance, letters, now=now)
        raise


def used_today(application: Application, *, now: datetime) -> int:
    """Messages that count towards today's quota."""
    return used_today_by([application], now=now)[application.pk]


def used_today_by(applications: Sequence[Application], *, now: datetime) -> dict[int, int]:
    """The same of several, by id. One round trip."""
    limits = [_limits_for_show(application) for application in applications]
    seen = tallies.ask([day_tally(each, now, amount=0) for each in limits]) if limits else []
    return {
        each.application_id: each.per_day - verdict.left
        for each, verdict in zip(limits, seen, strict=True)
    }


def today_ends(application: Application, *, now: datetime) -> datetime:
    """The next midnight, in the application's time zone."""
    return day_of(application.time_zone or settings.TIME_ZONE, now)[1]


def _limits_for_show(application: Application) -> Limits:
    """A limit that is out of reach: what is left of it says what was used, limited or not."""
    zone = application.time_zone or settings.TIME_ZONE
    return Limits(application.pk, 0, 0, 2**40, zone, 0, 0, False)


# What is asked for, and by which letters' recipients: pointers into the body.
Asked = dict[tallies.Count | tallies.Recent, list[str]]


def _tallies(limits: Limits, letters: Sequence[Letter], *, now: datetime) -> Asked:
    asked: Asked = {}
    if limits.per_day:
        asked[day_tally(limits, now, amount=len(letters))] = []
    if limits.recipient_per_hour or limits.recipient_per_day:
        asked |= _of_recipients(limits, letters)
    return asked


def _of_recipients(limits: Limits, letters: Sequence[Letter]) -> Asked:
    pointers: dict[str, list[str]] = {}
    for letter in letters:
        if letter.lane == "high" or not limits.is_for_high_only:
            for pointer, address in letter.recipients:
                pointers.setdefault(address.lower(), []).append(pointer)
    counts = Counter({address: len(found) for address, found in pointers.items()})
    asked: Asked = {}
    for address, count in counts.items():
        name = hidden(address)
        for limit, seconds in (
            (limits.recipient_per_hour, HOUR),
            (limits.recipient_per_day, DAY),
        ):
            if limit:
                key = limits.key("recipient", seconds, name)
                tally = tallies.Recent(key, limit=limit, seconds=seconds, amount=count)
                asked[tally] = pointers[address]
    return asked


def hidden(text: str) -> str:
    """Who is counted, unreadable for who reads Redis."""
    return hmac.new(settings.SECRET_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def _refusal(
    allowance: Allowance,
    letters: Sequence[Letter],
    asked: Asked,
    verdicts: Sequence[tallies.Verdict],
    *,
    now: datetime,
) -> DomainError | None:
    _remember(allowance, asked, verdicts)
    capped: list[FieldError] = []
    wait = 0.0
    for (tally, pointers), verdict in zip(asked.items(), verdicts, strict=True):
        if verdict.is_granted:
            continue
        if isinstance(tally, tallies.Count):
            return _quota_exceeded(allowance.limits, len(letters), verdict.left, now=now)
        window = "hour" if tally.seconds == HOUR else "day"
        words = f"It gets at most {tally.limit} messages of yours in any {window}."
        capped += [FieldError(pointer, "recipient_capped", words) for pointer in pointers]
        wait = max(wait, verdict.wait)
    if not capped:
        return None
    REFUSED.labels(Code.RECIPIENT_CAPPED).inc()
    return DomainError(
        Code.RECIPIENT_CAPPED,
        "A recipient gets no more messages of yours for now; `errors` says which.",
        errors=tuple({error.pointer: error for error in capped}.values()),
        retry_after=max(1, ceil(wait)),
    )


def _quota_exceeded(limits: Limits, wanted: int, left: int, *, now: datetime) -> DomainError:
    REFUSED.labels(Code.QUOTA_EXCEEDED).inc()
    _, ends = day_of(limits.time_zone, now)
    rest = f"{left} are left" if left else "none is left"
    return DomainError(
        Code.QUOTA_EXCEEDED,
        f"This application may send {limits.per_day} messages a day; {rest} until"
        f" {ends.isoformat()}, and this asks for {wanted}.",
        retry_after=seconds_left(limits, now),
    )


def _remember(allowance: Allowance, asked: Asked, verdicts: Sequence[tallies.Verdict]) -> None:
    """For the headers of the answer."""
    for tally, verdict in zip(asked, verdicts, strict=True):
        if isinstance(tally, tallies.Count):
            allowance.messages_left = verdict.left

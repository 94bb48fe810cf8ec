"""Applies what providers report to the messages that it is about.

Any report may be processed any number of times, by several workers at once: each piece of news is a
row with a key of its own, written in one transaction with everything that follows from it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, IntegrityError, transaction

from core.clock import Clock
from core.masking import mask_addresses, printable
from core.secrets import UnreadableSecret
from messaging import metrics, states, suppressions
from messaging.channels.partial import ROLES
from messaging.channels.registry import ADAPTERS
from messaging.channels.reports import News, UnreadableReport, request_of
from messaging.channels.simulator import is_simulated
from messaging.models import Attempt, FeedbackEvent, Message, ProviderReport, Suppression
from messaging.suppressions import Entry

log = structlog.get_logger(__name__)

# While it is processed; after this somebody else takes it up.
LEASE = timedelta(seconds=60)
BATCH = 50
# News may overtake the outcome of the hand-over that they speak of: they look again after these,
# and not at all when the report is a day old.
LOOK_AGAIN = tuple(timedelta(seconds=s) for s in (5, 30, 300, 1800, 3600 * 3, 3600 * 8))
GIVE_UP_AFTER = timedelta(hours=24)
KEEP_FOR = timedelta(days=30)
# What the simulator suppresses is soon free for the next try.
SIMULATED_FOR = timedelta(minutes=10)
# Attempts whose answer was no: news of a refusal says the same, and proves nothing else.
_REFUSED = frozenset(
    {
        Attempt.Outcome.TEMPORARY,
        Attempt.Outcome.PERMANENT,
        Attempt.Outcome.SENDER,
        Attempt.Outcome.NOT_SENT,
    }
)
_PROOFS = frozenset({"delivered", "opened", "clicked", "complained", "unsubscribed"})


class Result(StrEnum):
    """What came of one piece of news."""

    APPLIED = "applied"
    # Known already.
    REPEATED = "repeated"
    # Speaks of nothing that this sender sent.
    FOREIGN = "foreign"
    # Speaks of something that may still turn up.
    EARLY = "early"


def process_due(*, clock: Clock, limit: int = BATCH) -> int:
    """Process what waits, oldest first. How many were; fewer than `limit`: there are no more."""
    now = clock()
    with transaction.atomic():
        due = ProviderReport.objects.filter(due_at__lte=now).order_by("due_at")
        ids = list(due.select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit])
        ProviderReport.objects.filter(pk__in=ids).update(due_at=now + LEASE)
    for report in ProviderReport.objects.filter(pk__in=ids).select_related("sender").order_by("pk"):
        try:
            process(report, now=clock())
        except DatabaseError:
            raise
        except Exception as error:
            # Ours to mend: it stays, and the others go on.
            log.exception("report_not_processed", report_id=report.pk)
            _look_again(
                report, now=clock(), words=f"A fault of the platform: {type(error).__name__}"
            )
    return len(ids)


def process(report: ProviderReport, *, now: datetime) -> None:
    """Apply all of it, and put it away unless something may still turn up."""
    adapter = ADAPTERS.get(report.sender.adapter)
    if adapter is None:
        _put_away(report, now=now, words=f"There is no adapter {report.sender.adapter}.")
        return
    try:
        request = request_of(bytes(report.body), report.headers)
        all_news = adapter.read_report(request, report.sender.account())
    except (UnreadableReport, UnreadableSecret) as error:
        _put_away(report, now=now, words=mask_addresses(str(error)))
        return
    results = [apply(news, sender_id=report.sender_id, now=now) for news in all_news]
    early = results.count(Result.EARLY)
    if early:
        words = f"{early} of {len(results)} speak of messages that are unknown here."
        _look_again(report, now=now, words=words)
    else:
        _put_away(report, now=now)
    for news, result in zip(all_news, results, strict=True):
        metrics.feedback(report.sender.name, news.kind or "accepted", result).inc()


def apply(news: News, *, sender_id: int, now: datetime) -> Result:
    """One piece of news, once and for all. Only of what this sender sent."""
    attempt, is_ours = _find_attempt(news, sender_id)
    if attempt is None:
        return Result.EARLY if is_ours else Result.FOREIGN
    try:
        with transaction.atomic():
            return _apply(news, attempt, now)
    except IntegrityError:
        # Written by somebody else meanwhile, with all that follows from it.
        return Result.REPEATED


def _find_attempt(news: News, sender_id: int) -> tuple[Attempt | None, bool]:
    """The attempt, and if there is none whether it may still turn up. Our own id is there before
    anything is handed over; the provider's comes with its answer."""
    mine = Attempt.objects.filter(sender_id=sender_id)
    if (attempt_id := _as_uuid(news.attempt_id)) is not None:
        return mine.filter(pk=attempt_id).first(), False
    provider_id = printable(news.provider_message_id)[:200]
    if not provider_id:
        return None, False
    return mine.filter(provider_message_id=provider_id).order_by("-started_at").first(), True


def _apply(news: News, attempt: Attempt, now: datetime) -> Result:
    message = Message.objects.only("pk", "application_id", "channel", "content").get(
        pk=attempt.message_id
    )
    position = _position(message.content, news.recipient)
    if news.kind:
        # First of all: whoever else has the same news waits here, and finds it told.
        _tell(news, attempt, position, now)
    is_proof = attempt.outcome not in _REFUSED or news.kind in _PROOFS
    if _as_uuid(news.attempt_id) is not None and is_proof:
        # Attempts before messages, as drains write them.
        _complete(attempt, news, now)
        states.prove(message.pk, sender_id=attempt.sender_id, now=now)
    if news.kind:
        states.raise_feedback(message.pk, news.kind, now=now)
    if news.suppress and position:
        _suppress(news, message, attempt, now)
    return Result.APPLIED


def _tell(news: News, attempt: Attempt, position: str, now: datetime) -> None:
    """Raises `IntegrityError` if it was told before. Clocks of providers are wrong, or show whole
    seconds: what they tell of did not happen before the hand-over, nor later than now."""
    earliest = attempt.finished_at or attempt.started_at
    FeedbackEvent.objects.create(
        message_id=attempt.message_id,
        sender_id=attempt.sender_id,
        kind=news.kind,
        recipient=position,
        at=max(min(news.at or now, now), earliest),
        words=mask_addresses(news.words)[:500],
        key=news.key,
    )


def _complete(attempt: Attempt, news: News, now: datetime) -> None:
    """What its own answer would have said: that it was taken, and under which id."""
    provider_id = printable(news.provider_message_id)[:200]
    if attempt.outcome == Attempt.Outcome.OPEN:
        Attempt.objects.filter(pk=attempt.pk, outcome="").update(
            outcome=Attempt.Outcome.ACCEPTED,
            finished_at=now,
            provider_message_id=provider_id,
            provider_words="It was reported before it was answered.",
        )
    elif attempt.outcome == Attempt.Outcome.UNKNOWN and provider_id:
        Attempt.objects.filter(pk=attempt.pk, provider_message_id="").update(
            provider_message_id=provider_id
        )


def _suppress(news: News, message: Message, attempt: Attempt, now: datetime) -> None:
    """A mailbox that does not exist exists for nobody; who complains or unsubscribes does so about
    one application."""
    is_game = is_simulated(news.recipient)
    is_for_all = news.suppress == Suppression.Reason.HARD_BOUNCE and not is_game
    suppressions.add(
        Entry(
            address=news.recipient,
            reason=news.suppress,
            note=mask_addresses(news.words)[:200],
            expires_at=now + SIMULATED_FOR if is_game else None,
        ),
        channel=message.channel,
        application_id=None if is_for_all else message.application_id,
        source=attempt.sender.name,
        now=now,
    )


def _position(content: Mapping[str, Any], recipient: str) -> str:
    """Where `recipient` stands in the envelope; empty if it does not, or nobody said who."""
    if recipient:
        for role in ROLES:
            for index, (_, address) in enumerate(content.get(role, ())):
                if address.lower() == recipient:
                    return f"{role}/{index}"
    return ""


def _look_again(report: ProviderReport, *, now: datetime, words: str) -> None:
    if now - report.received_at >= GIVE_UP_AFTER:
        _put_away(report, now=now, words=words)
        return
    rest = LOOK_AGAIN[min(report.tries, len(LOOK_AGAIN) - 1)]
    ProviderReport.objects.filter(pk=report.pk, processed_at=None).update(
        due_at=now + rest, tries=report.tries + 1, error=words[:300]
    )


def _put_away(report: ProviderReport, *, now: datetime, words: str = "") -> None:
    ProviderReport.objects.filter(pk=report.pk, processed_at=None).update(
        processed_at=now, due_at=None, error=words[:300]
    )


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

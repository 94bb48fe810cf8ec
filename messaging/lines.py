"""What is in the hands of providers: each group of messages has a thread and a connection.

These threads know sockets and no database. The drain, which knows the database, gives them groups
whose marks are committed, and collects what came of them.
"""

import os
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from django.conf import settings

from core.clock import Clock
from messaging import metrics
from messaging.attempts import INTERNAL_ERROR, Job, Outcome
from messaging.channels.base import (
    ChannelAdapter,
    DeliveryError,
    Outbound,
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    SenderFailure,
    content_from_json,
)
from messaging.channels.registry import connections
from messaging.models import Attempt, Message
from messaging.states import HeldMessage

log = structlog.get_logger(__name__)

# Outcomes wait for the others of their group at most this long, in seconds.
TELL_EVERY = 0.05
# A group that takes longer than this gives back what it did not get to.
LONGEST_GROUP = 1.0

Marked = tuple[Job, Attempt]


@dataclass(frozen=True, slots=True)
class _News:
    """What a thread tells its drain."""

    sender_id: int
    outcomes: list[Outcome]
    is_over: bool


class Lines:
    """The groups that one drain has handed over. `collect` and `start` are called by the drain's
    thread only."""

    def __init__(self, *, channel: str, clock: Clock, is_safe: Callable[[], bool]) -> None:
        self.channel = channel
        self.clock = clock
        # Whether the leases of what was handed over still hold.
        self._is_safe = is_safe
        # Groups on their way, by sender.
        self.groups: Counter[int] = Counter()
        # Senders that get nothing more from this drain.
        self.out: set[int] = set()
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()

    @property
    def are_busy(self) -> bool:
        return bool(self.groups)

    def start(self, group: Sequence[Marked], adapter: ChannelAdapter) -> None:
        """Hand over `group`, whose marks are committed, through `adapter`, which is given back."""
        self.groups[group[0][0].sender.pk] += 1
        _threads().submit(self._run, group, adapter)

    def collect(self, *, seconds: float) -> list[Outcome]:
        """What came of it: waits for the first news at most so long, and takes what else is there.
        Empty when there was none."""
        outcomes: list[Outcome] = []
        try:
            news = self._news.get(timeout=seconds)
            while True:
                outcomes += news.outcomes
                if news.is_over:
                    self.groups -= Counter({news.sender_id: 1})
                news = self._news.get_nowait()
        except queue.Empty:
            return outcomes

    # --- in a thread of its own ------------------------------------------------------------------

    def _run(self, group: Sequence[Marked], adapter: ChannelAdapter) -> None:
        sender_id = group[0][0].sender.pk
        outcomes: list[Outcome] = []
        left = deque(group)
        has_failed = False
        started = told = time.monotonic()
        try:
            while left:
                now = time.monotonic()
                if outcomes and now - told > TELL_EVERY:
                    self._news.put(_News(sender_id, outcomes, False))
                    outcomes, told = [], now
                is_late = now - started > LONGEST_GROUP or not self._is_safe()
                if has_failed or is_late or sender_id in self.out:
                    break
                job, attempt = left.popleft()
                connections().heard(adapter)
                result = self._call(job, attempt, adapter)
                took = time.monotonic() - now
                PACE[sender_id] = (PACE.get(sender_id, took) + took) / 2
                metrics.HAND_OVER_SECONDS.labels(self.channel, job.sender.name).observe(took)
                outcomes.append(Outcome(job, attempt, result, self.clock()))
                has_failed = isinstance(result, SenderFailure)
        finally:
            connections().give_back(adapter)
            outcomes += [Outcome(job, attempt, None, self.clock()) for job, attempt in left]
            self._news.put(_News(sender_id, outcomes, True))

    @staticmethod
    def _call(job: Job, attempt: Attempt, adapter: ChannelAdapter) -> Receipt | DeliveryError:
        """One hand-over. Whatever the adapter raises that is no `DeliveryError` leaves it open
        whether the provider has the message."""
        message = job.claim.message
        try:
            content = content_from_json(message.channel, message.content)
        except Exception as error:
            log.exception("content_unreadable", message_id=str(message.pk))
            return PermanentFailure("rejected", phase="content", words=type(error).__name__)
        try:
            return adapter.send(Outbound(str(attempt.pk), message_id_header(message), content))
        except DeliveryError as error:
            return error
        except Exception as error:
            log.exception("adapter_broke", adapter=adapter.name, sender=job.sender.name)
            adapter.close()
            return OutcomeUnknown(INTERNAL_ERROR, words=type(error).__name__)


# Seconds that a hand-over took lately, by sender id.
PACE: dict[int, float] = {}


def message_id_header(message: HeldMessage | Message) -> str:
    """The same at every attempt and with every sender, so that mail clients see one message."""
    return f"<{message.pk}@{settings.MESSAGE_ID_DOMAIN}>"


_lock = threading.Lock()
_current: tuple[int, ThreadPoolExecutor] | None = None


def _threads() -> ThreadPoolExecutor:
    """This process's; they are started as they are needed, and kept. How many there are follows
    from how many connections the senders may have."""
    global _current
    with _lock:
        if _current is None or _current[0] != os.getpid():
            _current = (os.getpid(), ThreadPoolExecutor(1000, thread_name_prefix="line"))
        return _current[1]

"""What is in the hands of providers: each group of messages has a thread and a connection.

These threads know sockets and no database. The drain, which knows the database, gives them groups
whose marks are committed, and collects what came of them.
"""

import os
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import structlog
from django.conf import settings

from core.clock import Clock
from messaging import attachment_files, attachment_memory, metrics
from messaging.attempts import INTERNAL_ERROR, Job, Mark, Outcome
from messaging.channels.base import (
    ChannelAdapter,
    DeliveryError,
    Outbound,
    OutcomeUnknown,
    PermanentFailure,
    Receipt,
    SenderFailure,
)
from messaging.channels.content import content_from_json
from messaging.channels.registry import connections
from messaging.models import Message
from messaging.states import HeldMessage

log = structlog.get_logger(__name__)

# Outcomes wait for the others of their group at most this long, in seconds.
TELL_EVERY = 0.05
# Nobody lingers for more than so many outcomes.
WORTH_A_COMMIT = 20
# What was not handed over this long after its mark was committed is given back.
LONGEST_WAIT = 1.0
# A line that gets more and more ends after this, so that others have a turn with its connection.
LONGEST_LINE = 0.5
# A message waits for so long until others have let go of their attachments. Then it goes back.
WAIT_FOR_ROOM = 4.0

Marked = tuple[Job, Mark]


@dataclass(frozen=True, slots=True)
class _News:
    """What a thread tells its drain."""

    line: "Line"
    outcomes: list[Outcome]
    is_over: bool


class Line:
    """A thread that hands messages over through one connection, one after the other. The drain may
    give it more before it is through, so that it need not wait for a commit between two."""

    def __init__(self, group: Sequence[Marked], adapter: ChannelAdapter) -> None:
        self.sender_id = group[0][0].sender.pk
        self.adapter = adapter
        self.started = time.monotonic()
        self._changed = threading.Condition()
        # Each with the time at which it was given.
        self._left: deque[tuple[Job, Mark, float]] = deque()
        # More is on its way: the drain commits its marks.
        self._is_promised = False
        self._is_over = False
        # In the hands of the provider.
        self._is_calling = False
        # News after so many outcomes, while there is something to do.
        self.tell_after = 1
        self.extend(group)

    def promise(self) -> bool:
        """Wait for more, which `extend` brings. False if the line has ended already."""
        with self._changed:
            self._is_promised = not self._is_over
            return self._is_promised

    def extend(self, group: Sequence[Marked]) -> None:
        """Hand these over next, or nothing: what was promised did not come."""
        now = time.monotonic()
        with self._changed:
            self._left.extend((job, attempt, now) for job, attempt in group)
            self._is_promised = False
            # Early enough for the drain to bring more before the rest is gone.
            self.tell_after = max(1, len(self._left) // 3)
            self._changed.notify()

    def pending(self) -> int:
        """How many are with it: marked, and without an outcome."""
        return len(self._left) + self._is_calling

    def takes_more(self) -> bool:
        return not self._is_over and time.monotonic() - self.started < LONGEST_LINE

    def next(self) -> tuple[Job, Mark, float] | None:
        """What is to be handed over now; waits for what is promised. None ends the line."""
        with self._changed:
            while self._is_promised and not self._left:
                self._is_calling = False
                self._changed.wait()
            self._is_calling = bool(self._left)
            if not self._left:
                self._is_over = True
                return None
            return self._left.popleft()

    def after_next(self) -> Marked | None:
        with self._changed:
            return self._left[0][:2] if self._left else None

    def end(self) -> list[Marked]:
        """Take nothing more. Returns what was not handed over."""
        with self._changed:
            while self._is_promised:
                self._changed.wait()
            self._is_over, self._is_calling = True, False
            left = [(job, attempt) for job, attempt, _ in self._left]
            self._left.clear()
            return left


class Lines:
    """What one drain has handed over. All but what stands under "in a thread of its own" is called
    by the drain's thread only."""

    def __init__(self, *, channel: str, clock: Clock, is_safe: Callable[[], bool]) -> None:
        self.channel = channel
        self.clock = clock
        # Whether the leases of what was handed over still hold.
        self._is_safe = is_safe
        # Lines that work, by sender.
        self._open: defaultdict[int, list[Line]] = defaultdict(list)
        # Senders that get nothing more from this drain.
        self.out: set[int] = set()
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()

    @property
    def are_busy(self) -> bool:
        return any(self._open.values())

    def count(self, sender_id: int) -> int:
        """How many connections of this sender are in use."""
        return len(self._open[sender_id])

    def total(self) -> int:
        return sum(map(len, self._open.values()))

    def of(self, sender_id: int) -> list[Line]:
        """Those that take more."""
        return [line for line in self._open[sender_id] if line.takes_more()]

    def start(self, group: Sequence[Marked], adapter: ChannelAdapter) -> None:
        """Hand over `group`, whose marks are committed, through `adapter`, which is given back."""
        line = Line(group, adapter)
        self._open[line.sender_id].append(line)
        _threads().submit(self._run, line)

    def collect(self, *, seconds: float, linger: float) -> list[Outcome]:
        """What came of it: waits for the first news at most so long, and then `linger` for others
        that are worth one commit with them. Empty when there was none."""
        outcomes: list[Outcome] = []
        ends_at = 0.0
        try:
            news = self._news.get(timeout=seconds)
            ends_at = time.monotonic() + linger
            while True:
                outcomes += news.outcomes
                if news.is_over:
                    self._open[news.line.sender_id].remove(news.line)
                left = ends_at - time.monotonic()
                is_worth_it = left <= 0 or len(outcomes) >= WORTH_A_COMMIT
                news = self._news.get_nowait() if is_worth_it else self._news.get(timeout=left)
        except queue.Empty:
            return outcomes

    # --- in a thread of its own ------------------------------------------------------------------

    def _run(self, line: Line) -> None:
        sender_id, adapter = line.sender_id, line.adapter
        outcomes: list[Outcome] = []
        unsent: list[Marked] = []
        has_failed = False
        told = time.monotonic()
        upcoming: Outbound | PermanentFailure | None = None
        try:
            while (marked := line.next()) is not None:
                job, attempt, given = marked
                now = time.monotonic()
                is_late = now - given > LONGEST_WAIT or not self._is_safe()
                if has_failed or is_late or sender_id in self.out:
                    unsent.append((job, attempt))
                    break
                connections().heard(adapter)
                outbound = upcoming or _outbound(job, attempt)
                following = line.after_next()
                upcoming = _outbound(*following) if following is not None else None
                result = self._hand_over(job, outbound, upcoming, adapter)
                if result is None:
                    unsent.append((job, attempt))
                    break
                took = time.monotonic() - now
                PACE[sender_id] = (PACE.get(sender_id, took) + took) / 2
                metrics.hand_over_seconds(self.channel, job.sender.name).observe(took)
                outcomes.append(Outcome(job, attempt, result, self.clock()))
                has_failed = isinstance(result, SenderFailure)
                if len(outcomes) >= line.tell_after or now + took - told > TELL_EVERY:
                    self._news.put(_News(line, outcomes, False))
                    outcomes, told = [], now + took
        finally:
            structlog.contextvars.unbind_contextvars("request_id", "message_id")
            unsent += line.end()
            connections().give_back(adapter)
            outcomes += [Outcome(job, attempt, None, self.clock()) for job, attempt in unsent]
            self._news.put(_News(line, outcomes, True))

    def _hand_over(
        self,
        job: Job,
        outbound: Outbound | DeliveryError,
        upcoming: Outbound | DeliveryError | None,
        adapter: ChannelAdapter,
    ) -> Receipt | DeliveryError | None:
        """What goes with it is read only now, and let go afterwards. None: there is no room for it,
        or that took so long that others may have the message."""
        if isinstance(outbound, DeliveryError):
            return outbound
        message = job.claim.message
        # For whatever is logged meanwhile; each message takes the place of the last.
        structlog.contextvars.bind_contextvars(
            request_id=message.request_id, message_id=str(message.pk)
        )
        files = outbound.content.attachments
        if not files:
            return self._call(job, outbound, upcoming, adapter)
        size = sum(file.size for file in files)
        with attachment_memory.room.take(size, seconds=WAIT_FOR_ROOM) as is_room:
            if not is_room:
                return None
            try:
                loaded = tuple(attachment_files.load(file) for file in files)
            except DeliveryError as error:
                return error
            if not self._is_safe():
                return None
            # So far it was not the provider that was silent.
            connections().heard(adapter)
            return self._call(job, replace(outbound, attachments=loaded), upcoming, adapter)

    def _call(
        self,
        job: Job,
        outbound: Outbound,
        upcoming: Outbound | DeliveryError | None,
        adapter: ChannelAdapter,
    ) -> Receipt | DeliveryError:
        """One hand-over. Whatever the adapter raises that is no `DeliveryError` leaves it open
        whether the provider has the message."""
        # With files it may come late or, if they are gone, not at all.
        if isinstance(upcoming, Outbound) and not upcoming.content.attachments:
            adapter.expect(upcoming)
        try:
            return adapter.send(outbound)
        except DeliveryError as error:
            return error
        except Exception as error:
            log.exception("adapter_broke", adapter=adapter.name, sender=job.sender.name)
            adapter.close()
            return OutcomeUnknown(INTERNAL_ERROR, words=type(error).__name__)


def _outbound(job: Job, attempt: Mark) -> Outbound | PermanentFailure:
    message = job.claim.message
    try:
        content = content_from_json(message.channel, job.claim.content)
    except Exception as error:
        log.exception(
            "content_unreadable", message_id=str(message.pk), request_id=message.request_id
        )
        return PermanentFailure("rejected", phase="content", words=type(error).__name__)
    return Outbound(str(attempt.pk), message_id_header(message), content, tries=message.tries)


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

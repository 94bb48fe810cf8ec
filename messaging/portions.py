"""How much of what a drain holds goes through which connection next.

All of it is in doubt if the worker dies, so it is little; and a connection that waits for a commit
sends nothing, so it is not too little.
"""

import math
from collections import deque
from collections.abc import Sequence

from core.secrets import UnreadableSecret
from messaging.attempts import Job
from messaging.channels.base import Account, ChannelAdapter, SenderFailure
from messaging.channels.registry import connections
from messaging.holdings import Holdings
from messaging.lines import LONGEST_WAIT, PACE, Line, Lines
from messaging.models import Lane, Policy, Sender

# A connection is given about this much work twice over, in messages and seconds, and more when it
# is through with a third, so that it need not wait for a commit. No more than `GROUP` messages.
GROUP = 10
GROUP_SECONDS = 0.05
# Connections that are worth having where a provider answers at once: some send while the marks of
# others are committed, and with one message a group, one commit serves several.
FEW: dict[str, int] = {Lane.HIGH: 4, Lane.NORMAL: 2, Lane.BULK: 6}
# Where it is slow, as many as it takes to be through with what is queued in about this long; with
# a backlog, all that it may have.
SLOW, SOON = 0.005, 0.2
# A sender is given what it can do in about so many seconds.
AHEAD = 1.0

# Messages of one sender, and their way: a line that works, a connection, or why there is none.
Portion = tuple[list[Job], Line | ChannelAdapter | SenderFailure]


class Portions:
    """Of one drain. `has_more` says that the lane holds more than was claimed."""

    def __init__(self, *, lane: str, holdings: Holdings, lines: Lines) -> None:
        self.lane = lane
        self.holdings = holdings
        self.lines = lines
        self.has_more = True
        self.accounts: dict[int, Account] = {}

    def capacity(self) -> dict[int, int]:
        """How many more messages each sender gets done before long, so that a slow one does not
        hold what others could do."""
        found: dict[int, int] = {}
        for sender in self.holdings.pool.senders():
            limit, pace = self._limit(sender), PACE.get(sender.pk)
            ahead = max(limit, math.ceil(limit * AHEAD / pace)) if pace else GROUP * limit
            queued = len(self.holdings.jobs.get(sender.pk, ())) + self.lines.count(sender.pk)
            # In few large portions: to give each its sender costs more than to hold it.
            found[sender.pk] = ahead - queued if queued * 2 <= ahead else 0
        return found

    def startable(self) -> int:
        """Jobs that wait for nothing but this thread."""
        return sum(
            len(jobs)
            for sender_id, jobs in self.holdings.jobs.items()
            if jobs and self._width(jobs, self.lines.count(sender_id)) > 0
        )

    def add_to(self, groups: list[Portion]) -> None:
        """Add what can be handed over next: to lines that have little left, and to as many further
        connections as are worth having."""
        for sender_id, jobs in list(self.holdings.jobs.items()):
            self._refill(sender_id, jobs, groups)
            under_way = self.lines.count(sender_id)
            while jobs and (free := self._width(jobs, under_way)) > 0:
                adapter = self._borrow(jobs[0].sender)
                if adapter is None:
                    break
                size = min(self._most(sender_id), math.ceil(len(jobs) / free))
                groups.append((_take_group(jobs, size), adapter))
                under_way += 1

    def _refill(self, sender_id: int, jobs: deque[Job], groups: list[Portion]) -> None:
        """To lines that are through with a third of what they had, unless somebody urgent waits
        for their connections. What may go out once only is never handed over beforehand."""
        most = self._most(sender_id)
        if most == 1 or connections().is_wanted(sender_id):
            return
        for line in self.lines.of(sender_id):
            room = most - line.pending()
            if not jobs or jobs[0].claim.message.policy == Policy.AT_MOST_ONCE:
                return
            if room * 3 >= most and line.promise():
                groups.append((_take_group(jobs, room), line))

    def _width(self, jobs: Sequence[Job], under_way: int) -> int:
        """How many more connections of this sender are worth having."""
        sender = jobs[0].sender
        pace = PACE.get(sender.pk, 0.0)
        wanted = math.ceil((len(jobs) + under_way) * pace / SOON)
        limit = self._limit(sender)
        if self.has_more and pace > SLOW:
            wanted = limit
        return min(len(jobs), min(limit, max(FEW[self.lane], wanted)) - under_way)

    def _limit(self, sender: Sender) -> int:
        """One connection is kept for what is urgent."""
        spared = 0 if self.lane == Lane.HIGH else 1
        return max(1, sender.max_connections - spared)

    def _most(self, sender_id: int) -> int:
        """How many messages one connection is given at once. All of them are in doubt if this
        worker dies: 1 where each counts, or where the others would wait for long."""
        pace = PACE.get(sender_id)
        if self.lane == Lane.HIGH or pace is None or pace * 4 > LONGEST_WAIT:
            return 1
        return min(GROUP, 2 * max(1, int(GROUP_SECONDS / max(pace, 1e-6))))

    def _borrow(self, sender: Sender) -> ChannelAdapter | SenderFailure | None:
        """A connection, or why there can be none; None while all are in use."""
        try:
            if sender.pk not in self.accounts:
                # Opening the credentials costs more than looking.
                self.accounts[sender.pk] = sender.account()
            return connections().borrow(
                self.accounts[sender.pk],
                sender.adapter,
                limit=self._limit(sender),
                is_urgent=self.lane == Lane.HIGH,
            )
        except UnreadableSecret as error:
            return SenderFailure("misconfigured", phase="configure", words=str(error))
        except KeyError:
            words = f"There is no adapter {sender.adapter!r}."
            return SenderFailure("misconfigured", phase="configure", words=words)


def _take_group(jobs: deque[Job], size: int) -> list[Job]:
    """At most `size`; who may go out once only goes alone."""
    group = [jobs.popleft()]
    while jobs and len(group) < size:
        if Policy.AT_MOST_ONCE in {group[0].claim.message.policy, jobs[0].claim.message.policy}:
            break
        group.append(jobs.popleft())
    return group

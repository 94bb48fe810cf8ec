"""What a group does not get to, and which connections there are."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from django.db import connection

from messaging import lines
from messaging.attempts import Job, new_marks
from messaging.channels.base import Receipt, SenderFailure
from messaging.channels.registry import Connections
from messaging.models import Attempt
from messaging.states import Claim
from tests.factories import NOON, drain, make_application, make_message, make_sender
from tests.installation import until
from tests.messaging.channels.outbound import make_account


class Stage:
    """A group of three for one sender; `happens` is called at each hand-over."""

    def __init__(self, adapter, monkeypatch):
        self.seconds, self.is_safe, self.happens = 0.0, True, lambda: None
        monkeypatch.setattr(lines, "time", SimpleNamespace(monotonic=lambda: self.seconds))
        monkeypatch.setattr(adapter, "send", lambda adapter, outbound: self.send())
        self.sender, application = make_sender(), make_application()
        claims = [Claim(make_message(application=application), 1) for _ in range(3)]
        jobs = [Job(claim, self.sender, {}, NOON) for claim in claims]
        self.group = list(zip(jobs, new_marks(jobs, worker="w", now=NOON), strict=True))
        self.adapter = adapter(self.sender.account())
        self.lines = lines.Lines(channel="email", clock=lambda: NOON, is_safe=lambda: self.is_safe)

    def send(self):
        self.happens()
        return Receipt(code="250")

    def words(self):
        """What came of each of the three, in their order."""
        self.lines.start(self.group, self.adapter)
        outcomes = []
        while self.lines.are_busy:
            outcomes += self.lines.collect(seconds=1, linger=0)
        assert [outcome.attempt for outcome in outcomes] == [mark for _, mark in self.group]
        return [type(outcome.result).__name__ for outcome in outcomes]


@pytest.fixture
def stage(db, adapter, monkeypatch):
    return Stage(adapter, monkeypatch)


def test_a_group_in_peace_is_handed_over_whole(stage):
    assert stage.words() == ["Receipt"] * 3


def test_after_its_sender_failed_a_group_is_not_tried_further(stage):
    def fail():
        raise SenderFailure("transient", phase="connect")

    stage.happens = fail

    assert stage.words() == ["SenderFailure", "NoneType", "NoneType"]


def test_a_sender_that_is_benched_meanwhile_gets_nothing_more(stage):
    stage.happens = lambda: stage.lines.out.add(stage.sender.pk)

    assert stage.words() == ["Receipt", "NoneType", "NoneType"]


def test_leases_that_run_out_within_a_group_stop_it_there(stage):
    def sleep():
        stage.is_safe = False

    stage.happens = sleep

    assert stage.words() == ["Receipt", "NoneType", "NoneType"]


def test_what_waited_too_long_behind_others_is_given_back(stage):
    def take_long():
        stage.seconds += lines.LONGEST_WAIT * 0.6

    stage.happens = take_long

    assert stage.words() == ["Receipt", "Receipt", "NoneType"]


def make_line(stage, count):
    """A line with the first `count` of the group, which nobody works yet."""
    return lines.Line(stage.group[:count], stage.adapter)


def test_what_was_promised_to_a_line_is_waited_for_and_comes_last(stage):
    line = make_line(stage, 1)
    assert line.promise()
    seen = []

    def work():
        while (marked := line.next()) is not None:
            seen.append(marked[1])

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: seen and not line.pending(), seconds=5, what="the first one")
    is_waiting = thread.is_alive()
    line.extend(stage.group[1:])
    thread.join(5)

    assert is_waiting
    assert seen == [attempt for _, attempt in stage.group]


def test_a_promise_that_is_not_kept_ends_the_line(stage):
    line = make_line(stage, 1)
    line.next()
    line.promise()

    line.extend([])

    assert line.next() is None
    assert not line.promise()


def test_a_line_that_ends_early_returns_what_it_was_promised(stage):
    line = make_line(stage, 1)
    line.next()
    line.promise()
    with ThreadPoolExecutor(1) as pool:
        left = pool.submit(line.end)
        line.extend(stage.group[1:])

    assert left.result(5) == stage.group[1:]
    assert not line.promise()


def test_a_line_that_worked_for_long_gets_no_more_so_that_others_have_its_connection(stage):
    line = make_line(stage, 3)
    was_open = line.takes_more()

    stage.seconds += lines.LONGEST_LINE

    assert (was_open, line.takes_more()) == (True, False)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("lane", "most"), [("high", 1), ("normal", 2), ("bulk", 2)])
def test_a_slow_provider_has_the_next_message_marked_but_not_in_high(
    adapter, monkeypatch, lane, most
):
    sender = make_sender(max_connections=2)
    application = make_application()
    for _ in range(8):
        make_message(application=application, lane=lane)
    lines.PACE[sender.pk] = 0.05
    send, marked = adapter.send, []

    def look(self, outbound):
        time.sleep(0.05)
        marked.append(Attempt.objects.filter(outcome="").count())
        connection.close()
        return send(self, outbound)

    monkeypatch.setattr(adapter, "send", look)

    drain(lane=lane)

    # One connection is kept for what is urgent.
    assert max(marked) <= most * (2 if lane == "high" else 1)
    assert lane == "high" or max(marked) == most
    assert Attempt.objects.filter(outcome="accepted").count() == 8


@pytest.mark.parametrize(("lane", "limits"), [("high", {2}), ("normal", {1}), ("bulk", {1})])
def test_one_connection_of_a_sender_is_spared_for_what_is_urgent(
    db, adapter, monkeypatch, lane, limits
):
    make_sender(max_connections=2)
    application = make_application()
    for _ in range(4):
        make_message(application=application, lane=lane)
    borrow, asked = Connections.borrow, set()

    def listen(self, account, name, *, limit, **fields):
        asked.add(limit)
        return borrow(self, account, name, limit=limit, **fields)

    monkeypatch.setattr(Connections, "borrow", listen)

    drain(lane=lane)

    assert (len(adapter.sent), asked) == (4, limits)


def test_a_process_lends_no_more_connections_than_a_sender_may_have(adapter):
    connections, account = Connections(), make_account({}, {})

    with ThreadPoolExecutor(8) as pool:
        lent = list(pool.map(lambda _: connections.borrow(account, "fake", limit=3), range(8)))
    (first, *_) = got = [one for one in lent if one is not None]
    connections.give_back(first)

    assert len(set(got)) == len(got) == 3
    assert connections.borrow(account, "fake", limit=3) is first
    assert connections.borrow(account, "fake", limit=3) is None


def test_a_connection_of_older_settings_is_closed_and_not_lent_again(adapter, monkeypatch):
    closed = []
    monkeypatch.setattr(adapter, "close", lambda self: closed.append(self))
    connections = Connections()
    old = connections.borrow(make_account({}, {}, digest="old"), "fake", limit=1)
    connections.give_back(old)

    new = connections.borrow(make_account({}, {}, digest="new"), "fake", limit=1)

    assert new.account.digest == "new"
    assert closed == [old]

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core import tallies
from core.tallies import Bucket, Count, Recent
from core.tallies.in_process import MANY, ProcessTallies

ROOT = Path(__file__).resolve().parent.parent.parent


def count(key="day", limit=50, amount=1, seed=lambda: 0):
    return Count(key, limit=limit, keep_seconds=60, seed=seed, amount=amount)


def granted(*asked):
    return all(verdict.is_granted for verdict in tallies.ask(asked))


def test_a_bucket_gives_its_size_at_once_and_then_evenly(counted):
    bucket = Bucket("b", size=5, seconds=5)

    first = [tallies.ask([bucket])[0] for _ in range(6)]
    time.sleep(1.1)
    later = [granted(bucket) for _ in range(2)]

    assert [verdict.is_granted for verdict in first] == [True] * 5 + [False]
    assert [verdict.left for verdict in first] == [4, 3, 2, 1, 0, 0]
    assert 0 < first[-1].wait <= 1
    assert 4 < first[-1].reset <= 5
    assert later == [True, False]


def test_what_is_given_back_can_be_taken_again(counted):
    bucket = Bucket("b", size=2, seconds=60)
    recent = Recent("r", limit=2, seconds=60)
    assert granted(bucket, recent, count(limit=2))
    assert granted(bucket, recent, count(limit=2))
    assert not granted(bucket, recent, count(limit=2))

    tallies.ask(
        [
            Bucket("b", size=2, seconds=60, amount=-1),
            Recent("r", limit=2, seconds=60, amount=-1),
            count(limit=2, amount=-1),
        ]
    )

    assert granted(bucket, recent, count(limit=2))
    assert not granted(bucket)
    assert not granted(recent)
    assert not granted(count(limit=2))


def test_if_one_is_refused_nothing_is_taken(counted):
    assert granted(count("full", limit=1))

    refused = tallies.ask([Bucket("b", size=3, seconds=60), count("full", limit=1), count("free")])

    assert [verdict.is_granted for verdict in refused] == [True, False, True]
    assert tallies.ask([Bucket("b", size=3, seconds=60, amount=0)])[0].left == 3
    assert tallies.ask([count("free", amount=0)])[0].left == 50


def test_what_is_not_real_is_answered_and_not_taken(counted):
    asked = [Bucket("b", size=1, seconds=60), count(limit=1), Recent("r", limit=1, seconds=60)]

    answers = [tallies.ask(asked, is_real=False) for _ in range(2)]
    real = tallies.ask(asked)
    after = tallies.ask(asked, is_real=False)

    assert all(verdict.is_granted for verdicts in (*answers, real) for verdict in verdicts)
    assert not any(verdict.is_granted for verdict in after)


def test_recent_never_holds_more_than_its_limit_in_any_window(counted):
    taken = []
    ends_at = time.monotonic() + 2.5
    while time.monotonic() < ends_at:
        before = time.monotonic()
        if granted(Recent("r", limit=3, seconds=1)):
            taken.append((before, time.monotonic()))
        time.sleep(0.02)

    gaps = [after - before for (before, _), (_, after) in zip(taken, taken[3:], strict=False)]
    assert len(taken) >= 4
    # Of any four the last comes a second after the first.
    assert min(gaps) > 0.99


def test_more_than_the_limit_at_once_is_never_granted(counted):
    refused = tallies.ask([Recent("r", limit=3, seconds=60, amount=4)])[0]

    assert not refused.is_granted
    assert granted(Recent("r", limit=3, seconds=60, amount=3))


def test_a_count_that_was_lost_begins_with_what_the_rows_know(counted):
    assert tallies.ask([count(limit=50, amount=2, seed=lambda: 47)])[0].left == 1
    assert tallies.ask([count(limit=50, seed=lambda: 0)])[0].left == 0
    assert not granted(count(limit=50, seed=lambda: 0))


def test_groups_are_decided_one_by_one_in_one_go(counted):
    groups = [[count("day", limit=2), Recent(name, limit=1, seconds=60)] for name in "aabc"]

    answers = tallies.ask_each(groups)

    assert [all(v.is_granted for v in verdicts) for verdicts in answers] == [
        True,  # a
        False,  # a again: it had one, and this takes nothing from the day
        True,  # b
        False,  # c: two a day
    ]


def test_a_redis_that_was_emptied_knows_no_script_and_gets_it_again(redis_server):
    assert granted(count(limit=5, seed=lambda: 0))
    redis_server.ask("FLUSHALL")
    redis_server.ask("SCRIPT", "FLUSH")

    assert tallies.ask([count(limit=5, seed=lambda: 1)])[0].left == 3


def test_a_decision_is_one_round_trip(redis_server):
    asked = [Bucket("b", size=9, seconds=1), count(), Recent("r", limit=9, seconds=60)]
    tallies.ask(asked)
    before = redis_server.ask("INFO", "commandstats")["cmdstat_evalsha"]["calls"]

    tallies.ask(asked)

    after = redis_server.ask("INFO", "commandstats")["cmdstat_evalsha"]["calls"]
    assert after - before == 1


WORKER = """
import sys, time, tests.environment, os
os.environ["REDIS_URL"] = sys.argv[1]
import django
django.setup()
from core import tallies
from core.tallies import Bucket, Count, Recent
asked = {
    "count": lambda: Count("day", limit=50, keep_seconds=60, seed=lambda: 0),
    "recent": lambda: Recent("person", limit=50, seconds=60),
    "bucket": lambda: Bucket("requests", size=50, seconds=6000),
}[sys.argv[2]]()
time.sleep(max(0, float(sys.argv[3]) - time.time()))
print(sum(tallies.ask([asked])[0].is_granted for _ in range(100)))
"""


@pytest.mark.parametrize("kind", ["count", "recent", "bucket"])
def test_four_processes_with_100_takes_each_get_50_together(redis_server, kind):
    begins_at = str(time.time() + 4)
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "notification_platform.settings"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, redis_server.url, kind, begins_at],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]

    got = [int(worker.communicate(timeout=60)[0]) for worker in workers]

    assert sum(got) == 50


def test_threads_of_one_process_get_what_there_is_and_no_more(counted):
    got = []

    def take():
        got.extend(granted(count(limit=50)) for _ in range(40))

    threads = [threading.Thread(target=take) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(got), sum(got)) == (200, 50)


# --- Redis is away --------------------------------------------------------------------------------


def test_with_redis_stopped_this_process_goes_on_by_itself(redis_server):
    assert granted(count(limit=3, seed=lambda: 0))
    redis_server.stop()

    answers = [granted(count(limit=3, seed=lambda: 1)) for _ in range(3)]

    # It was not there for the first, but the rows were: one is counted.
    assert answers == [True, True, False]


def test_a_frozen_redis_costs_one_request_a_quarter_of_a_second_and_the_others_nothing(
    redis_server,
):
    bucket = Bucket("b", size=1000, seconds=1)
    tallies.ask([bucket])
    redis_server.freeze()

    took = []
    for _ in range(50):
        began = time.perf_counter()
        assert granted(bucket)
        took.append(time.perf_counter() - began)

    assert took[0] < 0.6
    assert sum(took[1:]) < 0.2


def test_when_redis_is_back_it_learns_what_was_counted_without_it(redis_server, monkeypatch):
    rows = [0]
    assert granted(count(limit=5, seed=lambda: rows[0]))
    rows[0] += 1
    redis_server.freeze()
    for _ in range(2):
        assert granted(count(limit=5, seed=lambda: rows[0]))
        rows[0] += 1
    redis_server.thaw()
    monkeypatch.setattr("core.tallies.asking._resting_until", 0.0)

    back = tallies.ask([count(limit=5, amount=0, seed=lambda: rows[0])])[0]

    assert back.left == 2
    assert tallies.ask([count(limit=5, amount=0, seed=lambda: 0)])[0].left == 2


def test_what_is_over_does_not_pile_up_in_a_process():
    now = [0.0]
    here = ProcessTallies(clock=lambda: now[0])

    for number in range(3 * MANY):
        now[0] += 1
        here.ask([Bucket(f"b{number}", size=1, seconds=100)], is_real=True)

    assert here._size() <= MANY + 1

from datetime import timedelta

import pytest
from django.db import IntegrityError

from messaging import sender_health
from messaging.channels.base import OutcomeUnknown, PermanentFailure, SenderFailure
from messaging.models import Sender, SenderMove
from messaging.sender_health import Health, State, share_of, state_of, take_probe
from tests.factories import NOON, drain, make_message, make_sender, reloaded

pytestmark = pytest.mark.django_db

TRANSIENT = SenderFailure("transient")


def after(seconds):
    return NOON + timedelta(seconds=seconds)


def fail(sender, error=TRANSIENT, *, now=NOON):
    return Health().failed(reloaded(sender), error, now=now)


def work(sender, *, now=NOON):
    """One success that is written at once."""
    health = Health()
    health.worked(reloaded(sender), now=now)
    health.flush(now=now)


def play(sender, calls, *, now=NOON):
    """`F` is a failed call, `S` one that worked. Whether the last one put it out."""
    is_out = False
    for call in calls:
        is_out = fail(sender, now=now) if call == "F" else bool(work(sender, now=now))
    return is_out


def rest_of(sender, *, now=NOON):
    return (reloaded(sender).benched_until - now).total_seconds()


def rested(sender):
    """The moment at which its rest is over."""
    return reloaded(sender).benched_until


def try_it(sender, *, now):
    assert take_probe(reloaded(sender), now=now)


def state(sender, *, now=NOON):
    return state_of(reloaded(sender), now=now)


# --- closed -> open ------------------------------------------------------------------------------


def test_three_failures_in_a_row_bench_it_and_two_do_not():
    sender = make_sender()

    assert [fail(sender), fail(sender), fail(sender)] == [False, False, True]
    assert state(sender) is State.BENCHED
    assert 48 <= rest_of(sender) <= 72


def test_a_success_between_failures_begins_the_row_anew():
    sender = make_sender()

    assert not play(sender, "FFSFF")
    assert state(sender) is State.WORKING


def test_silence_counts_as_a_failure_of_the_sender():
    sender = make_sender()
    silence = OutcomeUnknown("no_answer", phase="final_dot")

    assert [fail(sender, silence) for _ in range(3)] == [False, False, True]


def test_half_of_38_calls_in_a_minute_bench_it():
    sender = make_sender()

    assert not play(sender, "SS" + "FS" * 17 + "F")
    assert play(sender, "F")


def test_half_of_18_calls_are_too_few_to_tell():
    sender = make_sender()

    assert not play(sender, "FS" * 9)
    assert state(sender) is State.WORKING


def test_an_old_minute_is_forgotten():
    sender = make_sender()
    play(sender, "FS" * 9)

    assert not play(sender, "SF", now=after(61))
    assert reloaded(sender).calls == 2


@pytest.mark.parametrize("kind", ["credentials", "identity", "misconfigured", "blocked", "quota"])
def test_what_another_try_cannot_mend_benches_it_at_once(kind):
    assert fail(make_sender(), SenderFailure(kind))


def test_throttling_benches_it_at_once_only_when_the_provider_says_for_how_long():
    assert not fail(make_sender(), SenderFailure("throttled"))
    assert fail(make_sender(), SenderFailure("throttled", retry_after=5))


def test_wrong_credentials_are_tried_at_most_once_an_hour_and_raise_an_alarm(caplog):
    sender = make_sender()

    fail(sender, SenderFailure("credentials", phase="auth"))

    assert rest_of(sender) >= 3600
    alarm = next(record for record in caplog.records if record.levelname == "ERROR")
    assert "sender_credentials_refused" in str(alarm.msg)


def test_what_the_provider_said_is_kept_without_addresses():
    sender = make_sender()

    fail(sender, SenderFailure("identity", code="550", words="<ann@example.com> not allowed"))

    assert reloaded(sender).last_failure_words == "550 <a***@example.com> not allowed"


# --- how long ------------------------------------------------------------------------------------


def test_the_bench_doubles_with_every_trial_that_fails_up_to_half_an_hour():
    sender = make_sender()
    play(sender, "FF")
    now, rests = NOON, []

    for _ in range(9):
        assert fail(sender, now=now)
        rests.append(rest_of(sender, now=now))
        now = rested(sender)
        try_it(sender, now=now)

    assert 48 <= rests[0] <= 72
    assert 96 <= rests[1] <= 144
    assert max(rests) <= 30 * 60


@pytest.mark.parametrize(
    ("asked", "least", "most"), [(0.01, 48, 72), (1800, 1800, 1800), (9**9, 3600, 3600)]
)
def test_a_provider_may_ask_for_a_longer_rest_up_to_an_hour(asked, least, most):
    sender = make_sender()

    fail(sender, SenderFailure("throttled", retry_after=asked))

    assert least <= rest_of(sender) <= most


def test_what_a_provider_asked_for_does_not_make_the_next_bench_longer():
    sender = make_sender()
    now = NOON

    for _ in range(3):
        fail(sender, SenderFailure("throttled", retry_after=1), now=now)
        assert 48 <= rest_of(sender, now=now) <= 72
        now = rested(sender)
        try_it(sender, now=now)


# --- late answers --------------------------------------------------------------------------------


def test_calls_that_fail_after_it_was_benched_do_not_bench_it_longer():
    sender = make_sender()
    play(sender, "FFF")
    until = rested(sender)

    assert fail(sender, now=after(1))
    assert (rested(sender), reloaded(sender).benches) == (until, 1)


def test_a_late_failure_whose_provider_asks_for_more_is_heard():
    sender = make_sender()
    play(sender, "FFF")

    fail(sender, SenderFailure("throttled", retry_after=900), now=after(1))

    assert rested(sender) == after(901)
    assert reloaded(sender).benches == 1


def test_a_success_of_a_call_from_before_does_not_put_it_back():
    sender = make_sender()
    seen_before = reloaded(sender)
    play(sender, "FFF")
    health = Health()

    health.worked(seen_before, now=after(2))
    health.flush(now=after(2))
    work(sender, now=rested(sender) + timedelta(seconds=1))

    assert state(sender) is State.BENCHED


# --- half-open -----------------------------------------------------------------------------------


def test_when_its_rest_is_over_one_may_try_it_and_no_second():
    sender = make_sender(benched_until=NOON)

    assert state(sender) is State.BEING_TRIED
    assert take_probe(reloaded(sender), now=NOON)
    assert not take_probe(reloaded(sender), now=after(179))


def test_a_trial_whose_worker_died_is_free_again_after_three_minutes():
    sender = make_sender(benched_until=NOON)
    try_it(sender, now=NOON)

    assert take_probe(reloaded(sender), now=after(180))


def test_a_trial_that_was_not_handed_over_is_free_again_at_once():
    sender = make_sender(benched_until=NOON)
    mine = reloaded(sender)
    take_probe(mine, now=NOON)

    sender_health.release_probe(mine)

    assert take_probe(reloaded(sender), now=NOON)


def test_who_saw_an_older_bench_may_not_try_it():
    sender = make_sender(benched_until=NOON)
    seen_before = reloaded(sender)
    try_it(sender, now=NOON)
    fail(sender, now=after(1))

    assert not take_probe(seen_before, now=after(1))


def test_a_trial_that_works_puts_it_back_at_a_tenth_and_forgets_its_failures():
    sender = make_sender()
    play(sender, "FFF")
    now = rested(sender)
    try_it(sender, now=now)

    work(sender, now=now)

    row = reloaded(sender)
    assert (row.failures, row.benches, row.benched_until, row.probe_until) == (0, 0, None, None)
    assert state(sender, now=now) is State.RECOVERING
    assert share_of(row, now=now) == 0.1


def test_a_trial_that_fails_benches_it_for_twice_as_long():
    sender = make_sender()
    play(sender, "FFF")
    now = rested(sender)
    try_it(sender, now=now)

    assert fail(sender, now=now)
    assert 96 <= rest_of(sender, now=now) <= 144
    assert reloaded(sender).probe_until is None


def test_a_message_that_is_refused_itself_shows_that_the_sender_works(adapter):
    sender = make_sender(benched_until=NOON, failures=3, benches=1)
    make_message()
    adapter.failure = PermanentFailure("hard_bounce", phase="rcpt")

    drain()

    assert state(sender) is State.RECOVERING


def test_only_a_benched_sender_is_tried():
    with pytest.raises(IntegrityError):
        make_sender(probe_until=NOON)


# --- recovering ----------------------------------------------------------------------------------


def test_its_share_doubles_each_minute_until_it_is_whole():
    sender = make_sender(recovered_at=NOON)

    shares = [share_of(sender, now=after(60 * minute)) for minute in range(6)]

    assert shares == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert state(sender, now=after(240)) is State.WORKING


def test_an_operator_ends_every_bench_and_gives_the_whole_share_at_once():
    sender = make_sender(recovered_at=NOON)
    play(sender, "FFF")

    sender_health.mend(sender, now=NOON)

    row = reloaded(sender)
    assert state(sender) is State.WORKING
    assert (row.failures, row.benches, row.calls, row.recovered_at) == (0, 0, 0, None)


# --- its history ---------------------------------------------------------------------------------


def moves_of(sender):
    rows = SenderMove.objects.filter(sender=sender).order_by("pk")
    return list(rows.values_list("from_state", "to_state", "why"))


def test_its_breaker_leaves_a_history():
    sender = make_sender()
    play(sender, "FF")
    before = moves_of(sender)
    fail(sender, SenderFailure("transient", code="421", words="ann@example.com: later"))
    bench = SenderMove.objects.get()
    now = rested(sender) + timedelta(seconds=1)
    try_it(sender, now=now)
    work(sender, now=now)
    sender_health.mend(sender, now=now)

    assert before == []
    assert moves_of(sender) == [
        ("working", "benched", "transient"),
        ("being_tried", "recovering", "success"),
        ("recovering", "working", "operator"),
    ]
    assert bench.until == now - timedelta(seconds=1)
    assert bench.words == "421 a***@example.com: later"


def test_a_sender_that_works_leaves_none():
    sender = make_sender()

    play(sender, "SSFS")
    sender_health.mend(sender, now=NOON)

    assert moves_of(sender) == []


def test_failures_while_it_rests_leave_none_more():
    sender = make_sender()
    play(sender, "FFF")

    play(sender, "FFF", now=after(5))

    assert len(moves_of(sender)) == 1


# --- what it costs -------------------------------------------------------------------------------


def test_successes_of_a_healthy_sender_are_written_once_a_second(django_assert_num_queries):
    sender, health = make_sender(), Health()

    with django_assert_num_queries(0):
        for _ in range(100):
            health.worked(sender, now=NOON)
    health.worked(sender, now=after(1))
    assert reloaded(sender).calls == 101
    with django_assert_num_queries(0):
        health.worked(sender, now=after(1.5))
    health.flush(now=after(1.5))

    assert reloaded(sender).calls == 102


def test_a_flush_writes_all_senders(django_assert_max_num_queries):
    senders, health = [make_sender() for _ in range(3)], Health()
    for sender in senders:
        health.worked(sender, now=NOON)

    health.flush(now=NOON)

    assert set(Sender.objects.values_list("calls", flat=True)) == {1}
    with django_assert_max_num_queries(0):
        health.worked(senders[0], now=NOON)


def test_one_success_after_failures_is_written_at_once_and_the_next_is_not(
    django_assert_num_queries,
):
    sender, health = make_sender(failures=2), Health()
    seen = reloaded(sender)

    health.worked(seen, now=NOON)

    assert reloaded(sender).failures == 0
    with django_assert_num_queries(0):
        health.worked(seen, now=NOON)

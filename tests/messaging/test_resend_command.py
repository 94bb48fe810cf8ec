import sys
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from messaging import resending
from messaging.management.commands import resend_messages as command
from messaging.models import Status
from tests.factories import make_message, make_sender, reloaded

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_at_the_keyboard(monkeypatch):
    monkeypatch.setattr(sys, "stdin", StringIO())


def run(*arguments):
    out = StringIO()
    call_command("resend_messages", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def failed(**fields):
    recent = timezone.now() - timedelta(minutes=5)
    return make_message(**{"status": "failed", "created_at": recent} | fields)


def is_going(message):
    return reloaded(message).status == Status.PENDING


@pytest.fixture
def pauses(monkeypatch):
    """Every sleep, on a clock that only sleeping moves."""
    slept = []
    monkeypatch.setattr(
        command, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    )
    return slept


# --- which ---------------------------------------------------------------------------------------


def test_every_option_narrows():
    sender = make_sender(name="mail-1")
    wanted = failed(sender=sender)
    others = [
        failed(sender=sender, created_at=timezone.now() - timedelta(days=3)),
        failed(sender=sender, reason="hard_bounce"),
        failed(sender=make_sender(name="mail-2")),
        failed(),
        make_message(status="success", sender=sender, created_at=timezone.now()),
    ]

    text = run("--status", "failed", "--since", "2h", "--reason", "rejected", "--sender", "mail-1")

    assert "1 of 1 messages are on their way again." in text
    assert is_going(wanted)
    assert not any(is_going(other) for other in others)


def test_the_oldest_go_first_and_the_limit_is_said():
    first, second = failed(), failed()

    text = run("--since", "2h", "--limit", "1")

    assert [is_going(first), is_going(second)] == [True, False]
    assert "1 of 1 messages" in text
    assert "There are more than --limit 1" in text


def test_by_id_those_that_do_not_match_are_counted():
    message, sent = failed(), make_message(status="success")

    text = run(str(message.pk), str(sent.pk), str(uuid4()))

    assert "2 of the 3 given do not match" in text
    assert "1 of 1 messages" in text
    assert message.events.get().details == {"from": "failed", "reason": "rejected"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Say which"),
        (("--status", "failed"), "Say which"),
        (("--since", "2h", "--rate", "0"), "'0' does not do. Write messages a second"),
        (("--since", "2h", "--rate=-1"), "more than 0"),
        (("--since", "2h", "--rate", "nan"), "more than 0"),
        (("--since", "2h", "--rate", "inf"), "more than 0"),
        (("--since", "2h", "--rate", "fast"), "more than 0"),
        (("--since", "2h", "--limit", "0"), "Write a number from 1 to 1,000,000"),
        (("--since", "2h", "--limit=-5"), "Write a number from 1"),
        (("--since", "yesterday"), "'yesterday' is no duration"),
        (("--since", "999999d"), "reaches back at most 3650d"),
        (("--since", "2h", "--reason", "no_sender"), "invalid choice: 'no_sender'"),
        (("--since", "2h", "--status", "success"), "invalid choice: 'success'"),
        (("--sender", "mail-2"), "There is no sender mail-2. There are: mail-1."),
        (("--status", "unknown", "--reason", "rejected"), "Unknown messages have no reason"),
        (("not-an-id",), "not-an-id"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(arguments, said):
    make_sender(name="mail-1")
    message = failed()

    with pytest.raises(CommandError, match=said):
        run(*arguments)

    assert not is_going(message)


def test_a_dry_run_counts_by_reason_and_sender_and_moves_nothing():
    sender = make_sender(name="mail-1")
    messages = [failed(sender=sender), failed(sender=sender), failed(reason="hard_bounce")]

    text = run("--since", "2h", "--dry-run", "--rate", "1")

    assert [line.split() for line in text.splitlines()[:2]] == [
        ["2", "rejected", "mail-1"],
        ["1", "hard_bounce", "-"],
    ]
    assert "3 messages would be sent again." in text
    assert not any(map(is_going, messages))


# --- what may have arrived -----------------------------------------------------------------------


def test_what_may_have_arrived_is_left_out_and_counted():
    certain, doubtful = failed(), failed(reason="unknown_outcome")

    text = run("--since", "2h")

    assert "The provider may have taken 1 of these" in text
    assert "1 that may have arrived are left out; --may-duplicate takes them too." in text
    assert [is_going(certain), is_going(doubtful)] == [True, False]


def test_unknown_ones_go_only_if_that_was_said():
    message = make_message(status="unknown")

    assert "0 of 0 messages" in run(str(message.pk))
    assert not is_going(message)
    assert "may duplicate" in run(str(message.pk), "--may-duplicate")
    assert is_going(message)


@pytest.mark.parametrize(("answer", "expected"), [("y", True), ("", False), ("no", False)])
def test_a_person_is_asked(monkeypatch, answer, expected):
    message = make_message(status="unknown", created_at=timezone.now())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda question: answer)

    run("--status", "unknown", "--since", "2h")

    assert is_going(message) is expected


# --- how fast ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.1, 0.9, 1, 7, 50, 999, 5_000, 200_000])
def test_a_rate_is_kept_and_spread(pauses, rate):
    ids = range(int(rate * 10) + 10)

    parts = list(command._paced(ids, rate))

    assert sum(map(len, parts)) == len(ids)
    # The first goes at once, and nobody waits after the last.
    assert sum(pauses) == pytest.approx((len(ids) - len(parts[0])) / rate, rel=0.05)
    assert len(parts[0]) <= min(resending.SLICE, max(1, rate * 0.06))


def test_with_a_rate_all_go(pauses):
    messages = [failed() for _ in range(3)]

    assert "3 of 3 messages" in run("--since", "2h", "--rate", "0.5")

    assert all(map(is_going, messages))
    assert pauses == [2, 2]


def test_lost_time_is_not_made_up_for_by_a_burst(pauses):
    steps = command._paced(range(100), rate=10)

    next(steps)
    pauses.append(60)
    started = sum(pauses)
    for _ in range(20):
        next(steps)

    assert sum(pauses) - started == pytest.approx(1.8, abs=0.11)


def test_an_interruption_says_how_many_went(monkeypatch):
    messages = [failed() for _ in range(3)]
    monkeypatch.setattr(resending, "SLICE", 1)
    resend_slice, calls = resending.resend_slice, []

    def resend_two(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return resend_slice(*arguments, **options)

    monkeypatch.setattr(resending, "resend_slice", resend_two)

    with pytest.raises(CommandError, match=r"Stopped\. 2 of 3 messages") as stopped:
        run("--since", "2h")

    assert stopped.value.returncode == 130
    assert sum(map(is_going, messages)) == 2


def test_those_that_moved_meanwhile_are_counted(monkeypatch):
    message = failed()
    choose = resending.choose

    def choose_and_be_overtaken(*arguments, **options):
        ids = choose(*arguments, **options)
        resending.resend_slice([message.pk], may_duplicate=False, now=timezone.now())
        return ids

    monkeypatch.setattr(resending, "choose", choose_and_be_overtaken)

    text = run("--since", "2h")

    assert "0 of 1 messages" in text
    assert "1 had moved meanwhile." in text

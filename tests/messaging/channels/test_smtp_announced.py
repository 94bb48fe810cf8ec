"""The next message's envelope behind the final dot of the one before (RFC 2920, section 3.1)."""

import pytest

from messaging.channels.base import (
    OutcomeUnknown,
    PermanentFailure,
    SenderFailure,
    TemporaryFailure,
)
from messaging.channels.smtp_connection import Connection
from tests.imitations.smtp import Act
from tests.messaging.channels.outbound import make_outbound

NUMBERS = ("one", "two", "three")


@pytest.fixture(autouse=True)
def pipelining(server):
    server.offers_pipelining = True


@pytest.fixture
def outbounds():
    return [
        make_outbound(
            attempt_id=f"attempt-{number}", subject=number, to=[("", f"{number}@example.com")]
        )
        for number in NUMBERS
    ]


def send_all(smtp_email, outbounds):
    """Each with the next announced; what came of each."""
    results = []
    for outbound, upcoming in zip(outbounds, [*outbounds[1:], None], strict=True):
        if upcoming is not None:
            smtp_email.expect(upcoming)
        try:
            results.append(smtp_email.send(outbound).code)
        except (OutcomeUnknown, PermanentFailure, SenderFailure, TemporaryFailure) as error:
            results.append(type(error).__name__)
    return results


def recipients(server):
    return [mail.recipients[0].partition("@")[0] for mail in server.mails]


def test_each_further_message_costs_one_piece_and_not_two(server, smtp_email, outbounds):
    smtp_email.send(make_outbound())
    pieces = server.pieces

    send_all(smtp_email, outbounds)

    assert server.pieces - pieces == 4
    assert recipients(server)[1:] == list(NUMBERS)
    assert server.connections == 1


def test_nothing_is_announced_where_pipelining_is_not_offered(server, smtp_email, outbounds):
    server.offers_pipelining = False

    assert all(code.startswith("250") for code in send_all(smtp_email, outbounds))
    assert (recipients(server), server.connections) == (list(NUMBERS), 1)


def test_a_refused_text_does_not_touch_the_message_behind_it(server, smtp_email, outbounds):
    server.once["final_dot"].append("554 5.6.0 malformed")

    first, *others = send_all(smtp_email, outbounds)

    assert first == "PermanentFailure"
    assert all(code.startswith("250") for code in others)
    assert (recipients(server), server.connections) == (["two", "three"], 1)


@pytest.mark.parametrize(
    ("reply", "error"),
    [("550 5.1.1 unknown user", "PermanentFailure"), ("451 4.7.1 later", "TemporaryFailure")],
)
def test_an_announced_recipient_that_is_refused_is_judged_as_any(
    server, smtp_email, outbounds, reply, error
):
    server.recipients["two@example.com"] = reply

    first, second, third = send_all(smtp_email, outbounds)

    assert second == error
    assert first.startswith("250")
    assert third.startswith("250")
    assert recipients(server) == ["one", "three"]


@pytest.mark.parametrize("keeps", [True, False])
def test_a_line_lost_behind_the_final_dot_leaves_that_message_open_and_no_other(
    server, smtp_email, outbounds, keeps
):
    server.keeps_unanswered = keeps
    server.once["final_dot"].append(Act.CLOSE)

    first, *others = send_all(smtp_email, outbounds)

    assert first == "OutcomeUnknown"
    assert all(code.startswith("250") for code in others)
    assert recipients(server) == [*(["one"] if keeps else []), "two", "three"]
    assert server.connections == 2


def test_a_line_lost_behind_an_answer_loses_nothing_of_the_next_message(
    server, smtp_email, outbounds
):
    server.messages_per_connection = 1

    assert all(code.startswith("250") for code in send_all(smtp_email, outbounds))
    assert (recipients(server), server.connections) == (list(NUMBERS), 3)


def test_who_was_announced_and_does_not_come_is_not_sent(server, smtp_email, outbounds):
    one, two, three = outbounds
    smtp_email.expect(two)
    smtp_email.send(one)

    smtp_email.send(three)

    assert (recipients(server), server.connections) == (["one", "three"], 2)


def test_a_server_that_ends_the_connection_with_its_answer_is_opened_anew(
    server, smtp_email, outbounds
):
    server.once["final_dot"].append("421 4.3.2 shutting down")

    _, second, third = send_all(smtp_email, outbounds)

    assert (second[:3], third[:3]) == ("250", "250")
    assert recipients(server) == ["two", "three"]


def test_a_whole_text_counts_although_what_stands_behind_it_did_not_leave(
    server, smtp_email, outbounds, monkeypatch
):
    """The system took the final dot: to call it unsent would send it twice."""
    one, two, three = outbounds
    smtp_email.send(one)
    write = Connection.write

    def take_the_text_only(self, data, *, deadline):
        text, dot, behind = data.partition(b"\r\n.\r\n")
        if not behind:
            write(self, data, deadline=deadline)
            return
        write(self, text + dot, deadline=deadline)
        self.unwritten = len(behind)
        raise TimeoutError

    monkeypatch.setattr(Connection, "write", take_the_text_only)
    smtp_email.expect(three)

    assert smtp_email.send(two).code.startswith("250")
    monkeypatch.undo()
    assert smtp_email.send(three).code.startswith("250")
    assert recipients(server) == list(NUMBERS)


def test_a_connection_is_given_up_after_its_messages_although_more_are_expected(
    server, smtp_email, outbounds, monkeypatch
):
    monkeypatch.setattr("messaging.channels.smtp.REUSE_MESSAGES", 2)

    assert all(code.startswith("250") for code in send_all(smtp_email, outbounds))
    assert (recipients(server), server.connections) == (list(NUMBERS), 2)

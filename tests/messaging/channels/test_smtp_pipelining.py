"""MAIL, RCPT and DATA in one write (RFC 2920): fewer round trips, the same judgement."""

import pytest

from messaging.channels.base import (
    DeliveryError,
    PermanentFailure,
    SenderFailure,
    TemporaryFailure,
)
from tests.imitations.smtp import Act
from tests.messaging.channels.outbound import make_outbound

TWO = [("", "ann@example.com"), ("", "bob@example.com")]


@pytest.fixture(autouse=True)
def pipelining(server):
    server.offers_pipelining = True


def test_a_message_for_many_comes_in_two_pieces(server, smtp_email):
    smtp_email.send(make_outbound())
    pieces = server.pieces
    many = [("", f"person{number}@example.com") for number in range(50)]

    smtp_email.send(make_outbound(to=many))

    assert server.pieces - pieces == 2
    assert server.mails[1].recipients == [address for _, address in many]


def test_nothing_is_pipelined_where_it_is_not_offered(server, smtp_email):
    server.offers_pipelining = False
    smtp_email.send(make_outbound())
    pieces = server.pieces

    smtp_email.send(make_outbound(to=TWO))

    assert server.pieces - pieces == 5


@pytest.mark.parametrize(
    ("phase", "reply", "error"),
    [
        ("mail", "550 5.7.1 not your address", SenderFailure),
        ("rcpt", "550 5.1.1 unknown user", PermanentFailure),
        ("rcpt", "451 4.7.1 greylisted", TemporaryFailure),
    ],
)
def test_a_server_that_waits_for_the_text_of_a_refused_message_gets_no_final_dot(
    server, smtp_email, phase, reply, error
):
    server.once[phase] += [reply] * (2 if phase == "rcpt" else 1)
    server.once["data"].append("354 go ahead")

    with pytest.raises(error) as caught:
        smtp_email.send(make_outbound(to=TWO))
    smtp_email.send(make_outbound(subject="next", to=TWO))

    assert caught.value.phase == phase
    (mail,) = server.mails
    assert b"Subject: next" in mail.data
    assert server.connections == 2


@pytest.mark.parametrize(
    ("phase", "reply"),
    [
        ("mail", "451 4.7.1 later"),
        ("rcpt", "550 5.1.1 unknown"),
        ("data", "451 4.3.0 later"),
        ("final_dot", "554 5.6.0 malformed"),
    ],
)
def test_after_a_refusal_that_was_heard_to_its_end_the_connection_serves_on(
    server, smtp_email, phase, reply
):
    server.once[phase].append(reply)
    with pytest.raises(DeliveryError) as caught:
        smtp_email.send(make_outbound())

    smtp_email.send(make_outbound(to=[("", "bob@example.com")]))

    assert caught.value.phase == phase
    (mail,) = server.mails
    assert (mail.recipients, server.connections) == (["bob@example.com"], 1)


@pytest.mark.parametrize("act", [Act.CLOSE, Act.RESET])
def test_a_refusal_counts_though_the_connection_is_lost_behind_it(server, smtp_email, act):
    server.script |= {"mail": "550 5.7.1 not your address", "rcpt": act}

    with pytest.raises(SenderFailure) as caught:
        smtp_email.send(make_outbound())

    # A reset may overtake what was said before it.
    assert caught.value.kind == "identity" or act is Act.RESET


def test_after_one_recipient_ended_the_connection_nobody_else_is_believed(server, smtp_email):
    server.recipients["bob@example.com"] = "421 4.3.2 shutting down"

    with pytest.raises(TemporaryFailure) as caught:
        smtp_email.send(make_outbound(to=TWO))

    assert caught.value.code == "421 4.3.2"
    assert server.mails == []


@pytest.mark.parametrize("words", ["", "421 4.4.2 idle for too long"])
def test_a_connection_that_the_server_closed_is_reopened_without_a_word(server, smtp_email, words):
    smtp_email.send(make_outbound())
    server.drop_connections(words)

    smtp_email.send(make_outbound())

    assert (len(server.mails), server.connections) == (2, 2)


@pytest.mark.parametrize("reply", [Act.CLOSE, Act.RESET, "421 4.7.0 enough"])
def test_a_reused_connection_that_fails_at_mail_is_reopened_once(server, smtp_email, reply):
    smtp_email.send(make_outbound())
    server.once["mail"].append(reply)

    smtp_email.send(make_outbound())

    assert (len(server.mails), server.connections) == (2, 2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("phase", ["mail", "rcpt", "data"])
def test_silence_is_charged_to_the_phase_in_which_it_fell(server, smtp_email, phase):
    server.script[phase] = Act.SILENCE

    with pytest.raises(SenderFailure) as caught:
        smtp_email.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("transient", phase)


@pytest.mark.parametrize(
    ("said", "error"),
    [("552 5.3.4 message too large", PermanentFailure), ("250 2.0.0 queued", SenderFailure)],
)
def test_what_is_said_before_the_text_left_is_no_receipt(server, smtp_email, said, error):
    server.script["data"] = f"354 go ahead\n{said}"

    with pytest.raises(error) as caught:
        smtp_email.send(make_outbound())

    assert caught.value.phase == "data"
    assert server.mails == []


def test_what_was_said_unasked_is_not_taken_for_the_next_answer(server, smtp_email):
    server.once["final_dot"].append("250 2.0.0 queued\n250 2.0.0 and again")
    smtp_email.send(make_outbound())

    smtp_email.send(make_outbound())

    assert (len(server.mails), server.connections) == (2, 2)


def test_a_message_that_was_torn_off_leaves_no_connection_to_the_next(
    server, smtp_email, monkeypatch
):
    def torn(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("messaging.channels.smtp_envelope.stuffed", torn)
        with pytest.raises(KeyboardInterrupt):
            smtp_email.send(make_outbound())

    smtp_email.send(make_outbound())

    assert (len(server.mails), server.connections) == (1, 2)

"""Where a silent or lost server leaves the outcome open, and where it does not (section 5)."""

import socket
from collections.abc import Iterator

import pytest

from messaging.channels.base import (
    DeliveryError,
    OutcomeUnknown,
    PermanentFailure,
    SenderFailure,
)
from messaging.channels.smtp import SmtpEmail
from tests.imitations.smtp import Act
from tests.messaging.channels.outbound import make_account, make_outbound

# More than the socket buffers of both ends hold.
HUGE = "<p>" + "0123456789" * 800_000


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_port_where_nobody_listens_is_the_senders_failure(free_port):
    adapter = SmtpEmail(make_account({"host": "127.0.0.1", "port": free_port}, {}))

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("transient", "connect")


def test_a_host_that_does_not_exist_is_the_senders_failure(monkeypatch):
    def resolve(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    adapter = SmtpEmail(make_account({"host": "mail.invalid"}, {}))

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("transient", "connect")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("phase", "error_phase"),
    [
        ("banner", "connect"),
        ("ehlo", "ehlo"),
        ("auth", "auth"),
        ("mail", "mail"),
        ("rcpt", "rcpt"),
        ("data", "data"),
    ],
)
def test_silence_before_the_message_is_the_senders_failure(server, open_smtp, phase, error_phase):
    server.users = {"sender": "right"}
    server.script[phase] = Act.SILENCE
    adapter = open_smtp(server, password="right")

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("transient", error_phase)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_stops_reading_cannot_have_the_message(server, smtp_email):
    server.script["midway"] = Act.DEAF

    with pytest.raises(SenderFailure) as caught:
        smtp_email.send(make_outbound(html=HUGE))

    assert (caught.value.kind, caught.value.phase) == ("transient", "data")


def test_a_server_that_hangs_up_in_the_message_cannot_have_it(server, smtp_email):
    server.script["midway"] = Act.RESET

    with pytest.raises(SenderFailure) as caught:
        smtp_email.send(make_outbound(html=HUGE))

    assert (caught.value.kind, caught.value.phase) == ("transient", "data")


def test_a_refusal_in_the_message_is_the_messages_own(server, smtp_email):
    server.script["midway"] = "552 5.3.4 message too large"

    with pytest.raises(PermanentFailure) as caught:
        smtp_email.send(make_outbound(html=HUGE))

    assert (caught.value.kind, caught.value.code) == ("rejected", "552 5.3.4")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("act", [Act.SILENCE, Act.CLOSE, Act.RESET])
@pytest.mark.parametrize("is_kept", [True, False])
def test_no_answer_to_the_final_dot_leaves_it_open(server, smtp_email, act, is_kept):
    server.script["final_dot"] = act
    server.keeps_unanswered = is_kept

    with pytest.raises(OutcomeUnknown) as caught:
        smtp_email.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("no_answer", "final_dot")
    assert len(server.mails) == is_kept


def test_half_an_answer_to_the_final_dot_leaves_it_open(server, smtp_email):
    server.script["final_dot"] = Act.HALF

    with pytest.raises(OutcomeUnknown):
        smtp_email.send(make_outbound())


@pytest.mark.parametrize("reply", ["354 go ahead", "150 wait"])
def test_an_answer_to_the_final_dot_that_says_neither_yes_nor_no_leaves_it_open(
    server, smtp_email, reply
):
    server.script["final_dot"] = reply

    with pytest.raises(OutcomeUnknown) as caught:
        smtp_email.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("no_answer", "final_dot")


@pytest.mark.usefixtures("impatient")
def test_a_multiline_answer_that_never_ends_leaves_it_open(server, smtp_email):
    server.script["final_dot"] = "250-2.0.0 queued as 4711"

    with pytest.raises(OutcomeUnknown):
        smtp_email.send(make_outbound())


def test_a_lost_message_is_not_sent_again_by_the_adapter(server, smtp_email):
    server.keeps_unanswered = True
    server.script["final_dot"] = Act.CLOSE

    with pytest.raises(OutcomeUnknown):
        smtp_email.send(make_outbound())

    assert (server.connections, len(server.mails)) == (1, 1)


@pytest.mark.parametrize("phase", ["connect", "ehlo", "mail", "rcpt", "data", "final_dot"])
def test_after_a_lost_connection_the_next_message_gets_a_fresh_one(server, smtp_email, phase):
    server.once[{"connect": "banner"}.get(phase, phase)].append(Act.RESET)
    with pytest.raises(DeliveryError):
        smtp_email.send(make_outbound())

    smtp_email.send(make_outbound())

    assert len(server.mails) == 1
    assert server.connections == 2


def test_a_server_that_answers_garbage_to_the_login_is_the_senders_failure(server, open_smtp):
    server.users = {"sender": "right"}
    server.script["auth"] = "334 x"
    adapter = open_smtp(server, password="right")

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert caught.value.phase == "auth"

"""A server that always says a little more is given up when the phase's time is over."""

import pytest

from messaging.channels.base import OutcomeUnknown, SenderFailure
from tests.imitations.smtp import SmtpServer
from tests.messaging.channels.outbound import make_outbound

# Seconds between bytes: a reply of 20 takes far longer than an impatient client waits, and no
# single byte does.
SLOWLY = 0.05
ENDLESS = "\n".join(["250-and so on"] * 5000)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("is_pipelined", [False, True])
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
def test_a_reply_that_drips_is_given_up(server, open_smtp, phase, error_phase, is_pipelined):
    server.offers_pipelining = is_pipelined
    server.users = {"sender": "right"}
    server.script |= {"rcpt": "250 2.1.5 a long reply", "data": "354 a long reply"}
    server.drips[phase] = SLOWLY
    adapter = open_smtp(server, password="right")

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("transient", error_phase)
    assert caught.value.words == "The server did not answer in time."


@pytest.mark.usefixtures("impatient")
def test_a_reply_to_the_final_dot_that_drips_leaves_it_open(server, smtp_email):
    server.drips["final_dot"] = SLOWLY
    server.keeps_unanswered = True

    with pytest.raises(OutcomeUnknown):
        smtp_email.send(make_outbound())


@pytest.mark.usefixtures("impatient")
def test_a_reply_that_drips_through_tls_is_given_up(trusted, open_smtp):
    with SmtpServer(certificate=trusted, implicit_tls=True, drips={"mail": SLOWLY}) as server:
        adapter = open_smtp(server, security="tls")

        with pytest.raises(SenderFailure) as caught:
            adapter.send(make_outbound())

    # On a slow machine the handshake itself may not come about in the short time.
    assert caught.value.phase in {"mail", "connect", "ehlo"}


def test_a_slow_server_that_is_done_in_time_is_heard(server, smtp_email):
    server.drips = dict.fromkeys(("banner", "ehlo", "mail", "rcpt", "data", "final_dot"), 0.001)

    receipt = smtp_email.send(make_outbound())

    assert (receipt.code, len(server.mails)) == ("250 2.0.0", 1)


@pytest.mark.parametrize("phase", ["ehlo", "mail", "rcpt", "data"])
def test_a_reply_without_end_is_not_collected(server, smtp_email, phase):
    server.script[phase] = ENDLESS

    with pytest.raises(SenderFailure) as caught:
        smtp_email.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("transient", phase)


@pytest.mark.parametrize("line", [ENDLESS, "250-" + "x" * 30_000])
def test_a_reply_without_end_to_the_final_dot_leaves_it_open(server, smtp_email, line):
    server.script["final_dot"] = line

    with pytest.raises(OutcomeUnknown):
        smtp_email.send(make_outbound())

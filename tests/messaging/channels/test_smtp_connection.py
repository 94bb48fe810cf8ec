"""One connection for many messages, and what becomes of it."""

import pytest

from messaging.channels import smtp
from messaging.channels.base import DeliveryError, PermanentFailure, SenderFailure
from messaging.channels.smtp import SmtpEmail
from tests.imitations.smtp import Act
from tests.messaging.channels.outbound import make_outbound, smtp_account


def test_many_messages_share_one_connection(server, smtp_email):
    for _ in range(10):
        smtp_email.send(make_outbound())

    assert (len(server.mails), server.connections) == (10, 1)
    assert server.commands.count("EHLO") == 1


@pytest.mark.parametrize("words", ["", "421 4.4.2 idle for too long"])
def test_a_connection_that_the_server_closed_is_reopened_without_a_word(server, smtp_email, words):
    smtp_email.send(make_outbound(subject="first"))
    server.drop_connections(words)

    smtp_email.send(make_outbound(subject="second"))

    subjects = [mail.data.count(b"Subject: first") for mail in server.mails]
    assert (subjects, server.connections) == ([1, 0], 2)


@pytest.mark.parametrize("reply", [Act.CLOSE, Act.RESET, "421 4.7.0 enough"])
def test_a_reused_connection_that_fails_at_mail_is_reopened_once(server, smtp_email, reply):
    smtp_email.send(make_outbound())
    server.once["mail"].append(reply)

    smtp_email.send(make_outbound())

    assert (len(server.mails), server.connections) == (2, 2)


def test_a_fresh_connection_that_fails_at_mail_is_not_tried_for_ever(server, smtp_email):
    smtp_email.send(make_outbound())
    server.script["mail"] = "421 4.7.0 enough"

    with pytest.raises(SenderFailure) as caught:
        smtp_email.send(make_outbound())

    assert caught.value.kind == "throttled"
    assert (len(server.mails), server.connections) == (1, 2)


def test_a_limit_of_messages_for_each_connection_costs_nothing(server, smtp_email):
    server.messages_per_connection = 2

    for _ in range(5):
        smtp_email.send(make_outbound())

    assert (len(server.mails), server.connections) == (5, 3)


def test_a_connection_is_given_up_after_its_share_of_messages(server, smtp_email, monkeypatch):
    monkeypatch.setattr(smtp, "REUSE_MESSAGES", 2)

    for _ in range(3):
        smtp_email.send(make_outbound())

    assert server.connections == 2
    assert server.commands.count("QUIT") == 1


def test_a_connection_that_idled_for_too_long_is_not_used(server, smtp_email, monkeypatch):
    smtp_email.send(make_outbound())
    monkeypatch.setattr(smtp, "REUSE_SECONDS", -1.0)

    smtp_email.send(make_outbound())

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
def test_after_a_refusal_the_connection_serves_the_next_message(server, smtp_email, phase, reply):
    server.once[phase].append(reply)
    with pytest.raises(DeliveryError):
        smtp_email.send(make_outbound())

    smtp_email.send(make_outbound(to=[("", "bob@example.com")]))

    (mail,) = server.mails
    assert (mail.recipients, server.connections) == (["bob@example.com"], 1)
    assert "RSET" in server.commands


def test_a_server_that_does_not_take_back_a_refused_message_is_left(server, smtp_email):
    server.script["rset"] = "502 not implemented"
    server.once["rcpt"].append("550 5.1.1 unknown")
    with pytest.raises(PermanentFailure):
        smtp_email.send(make_outbound())

    smtp_email.send(make_outbound())

    assert (len(server.mails), server.connections) == (1, 2)


@pytest.mark.usefixtures("impatient")
def test_silence_after_a_refusal_hides_nothing_of_it(server, smtp_email):
    server.script["rset"] = Act.SILENCE
    server.script["rcpt"] = "550 5.1.1 unknown"

    with pytest.raises(PermanentFailure) as caught:
        smtp_email.send(make_outbound())

    assert caught.value.kind == "hard_bounce"


@pytest.mark.parametrize("act", [Act.SILENCE, Act.CLOSE, Act.RESET])
def test_closing_never_raises_and_never_waits_for_long(server, smtp_email, act, monkeypatch):
    monkeypatch.setattr(smtp, "GOOD_BYE", 0.1)
    smtp_email.send(make_outbound())
    server.script["quit"] = act

    smtp_email.close()
    smtp_email.close()

    assert len(server.mails) == 1


def test_a_mended_password_lets_a_new_adapter_in(server):
    server.users = {"sender": "new"}
    account = smtp_account(server, password="old")
    with pytest.raises(SenderFailure) as caught:
        SmtpEmail(account).send(make_outbound())
    server.users = {"sender": "old"}
    adapter = SmtpEmail(account)

    adapter.send(make_outbound())
    adapter.close()

    assert (caught.value.kind, len(server.mails)) == ("credentials", 1)


@pytest.mark.parametrize("methods", ["PLAIN", "LOGIN", "CRAM-MD5", "PLAIN LOGIN CRAM-MD5"])
def test_a_wrong_password_is_offered_once(server, open_smtp, methods):
    server.users, server.auth_methods = {"sender": "right"}, methods
    adapter = open_smtp(server, password="wrong")

    with pytest.raises(SenderFailure):
        adapter.send(make_outbound())

    assert server.commands.count("AUTH") == 1


@pytest.mark.parametrize("methods", ["PLAIN", "LOGIN", "CRAM-MD5", "PLAIN LOGIN", "XOAUTH2 LOGIN"])
def test_it_logs_in_by_what_the_server_offers(server, open_smtp, methods):
    server.users, server.auth_methods = {"sender": "right"}, methods
    adapter = open_smtp(server, password="right")

    adapter.send(make_outbound())

    assert server.mails[0].username == "sender"


def test_a_method_that_the_server_does_not_know_after_all_is_followed_by_the_next(
    server, open_smtp
):
    server.users = {"sender": "right"}
    server.once["auth"].append("504 5.5.4 not that one")
    adapter = open_smtp(server, password="right")

    adapter.send(make_outbound())

    assert server.mails[0].username == "sender"


@pytest.mark.parametrize("methods", ["XOAUTH2", ""])
def test_a_server_without_a_login_that_we_know_is_misconfigured(server, open_smtp, methods):
    server.users, server.auth_methods = {"sender": "right"}, methods
    adapter = open_smtp(server, password="right")

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("misconfigured", "auth")


def test_a_probe_shows_each_phase_and_leaves_nothing_open(server, open_smtp):
    server.users = {"sender": "right"}
    adapter = open_smtp(server, password="right")

    steps = list(adapter.probe())

    assert [(step.phase, step.is_ok) for step in steps] == [
        ("connect", True),
        ("ehlo", True),
        ("auth", True),
    ]
    assert server.commands[-1] == "QUIT"


def test_a_probe_ends_with_the_step_that_failed(server, open_smtp):
    server.users = {"sender": "right"}
    adapter = open_smtp(server, password="wrong")

    steps = list(adapter.probe())

    assert (steps[-1].phase, steps[-1].is_ok) == ("auth", False)
    assert "535 5.7.8" in steps[-1].words
    assert server.mails == []

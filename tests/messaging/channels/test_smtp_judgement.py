"""The table of DESIGN.md section 6, phase by phase, through the real adapter."""

import pytest

from messaging.channels.base import (
    DeliveryError,
    OutcomeUnknown,
    PermanentFailure,
    SenderFailure,
    TemporaryFailure,
)
from tests.imitations.smtp import Act, SmtpServer
from tests.messaging.channels.outbound import make_outbound

# phase, reply, error, kind, phase of the error
TABLE: list[tuple[str, str | Act, type[DeliveryError], str, str]] = [
    ("banner", "421 4.3.2 shutting down", SenderFailure, "transient", "banner"),
    ("banner", "450 busy", SenderFailure, "transient", "banner"),
    ("banner", "554 5.7.1 your address is listed", SenderFailure, "blocked", "banner"),
    ("banner", "550 go away", SenderFailure, "blocked", "banner"),
    ("banner", "SSH-2.0-OpenSSH_9.2", SenderFailure, "transient", "banner"),
    ("banner", Act.CLOSE, SenderFailure, "transient", "connect"),
    ("banner", Act.RESET, SenderFailure, "transient", "connect"),
    ("ehlo", "421 4.3.2 shutting down", SenderFailure, "transient", "ehlo"),
    ("ehlo", "451 4.3.0 try later", SenderFailure, "transient", "ehlo"),
    ("ehlo", Act.CLOSE, SenderFailure, "transient", "ehlo"),
    ("auth", "454 4.7.0 too many logins", SenderFailure, "throttled", "auth"),
    ("auth", "421 4.7.0 too many connections", SenderFailure, "throttled", "auth"),
    ("auth", "432 4.7.12 password transition", SenderFailure, "throttled", "auth"),
    ("auth", "535 5.7.8 bad credentials", SenderFailure, "credentials", "auth"),
    ("auth", "534 5.7.9 app password required", SenderFailure, "credentials", "auth"),
    ("auth", "538 5.7.11 encryption required", SenderFailure, "credentials", "auth"),
    ("auth", "530 5.7.0 must issue STARTTLS", SenderFailure, "credentials", "auth"),
    ("auth", Act.CLOSE, SenderFailure, "transient", "auth"),
    ("mail", "421 4.7.0 slow down", SenderFailure, "throttled", "mail"),
    ("mail", "450 4.7.1 too much", SenderFailure, "throttled", "mail"),
    ("mail", "451 4.7.650 rate limited", SenderFailure, "throttled", "mail"),
    ("mail", "452 4.3.1 no space", SenderFailure, "throttled", "mail"),
    ("mail", "550 5.7.1 not your address", SenderFailure, "identity", "mail"),
    ("mail", "553 5.7.1 sender rejected", SenderFailure, "identity", "mail"),
    ("mail", "553 5.1.7 bad sender", SenderFailure, "identity", "mail"),
    ("mail", "553 5.1.8 domain not found", SenderFailure, "identity", "mail"),
    ("mail", "530 5.7.0 log in first", SenderFailure, "credentials", "mail"),
    ("mail", Act.CLOSE, SenderFailure, "transient", "mail"),
    ("rcpt", "421 4.3.2 shutting down", TemporaryFailure, "greylisted", "rcpt"),
    ("rcpt", "450 4.2.0 greylisted", TemporaryFailure, "greylisted", "rcpt"),
    ("rcpt", "451 4.7.1 greylisted", TemporaryFailure, "greylisted", "rcpt"),
    ("rcpt", "452 4.5.3 too many recipients", TemporaryFailure, "greylisted", "rcpt"),
    ("rcpt", "550 5.1.1 unknown user", PermanentFailure, "hard_bounce", "rcpt"),
    ("rcpt", "551 5.1.6 moved", PermanentFailure, "hard_bounce", "rcpt"),
    ("rcpt", "553 5.1.3 bad syntax", PermanentFailure, "hard_bounce", "rcpt"),
    ("rcpt", "550 5.2.1 disabled", PermanentFailure, "hard_bounce", "rcpt"),
    ("rcpt", "550 no such user here", PermanentFailure, "hard_bounce", "rcpt"),
    ("rcpt", "550-5.1.1 unknown\n550 5.1.1 user", PermanentFailure, "hard_bounce", "rcpt"),
    ("rcpt", "501 syntax error", PermanentFailure, "rejected", "rcpt"),
    ("rcpt", "503 bad sequence", PermanentFailure, "rejected", "rcpt"),
    ("rcpt", "550 5.4.1 no route", PermanentFailure, "rejected", "rcpt"),
    ("rcpt", "552 5.2.2 mailbox full", TemporaryFailure, "mailbox_full", "rcpt"),
    ("rcpt", "550 5.2.2 mailbox full", TemporaryFailure, "mailbox_full", "rcpt"),
    ("rcpt", "452 4.2.2 mailbox full", TemporaryFailure, "mailbox_full", "rcpt"),
    ("rcpt", "552 storage allocation exceeded", TemporaryFailure, "mailbox_full", "rcpt"),
    ("rcpt", "550 5.7.1 blocked", PermanentFailure, "blocked", "rcpt"),
    ("rcpt", "554 5.7.1 access denied", PermanentFailure, "blocked", "rcpt"),
    ("rcpt", "554 no", PermanentFailure, "blocked", "rcpt"),
    ("rcpt", "530 5.7.0 log in first", SenderFailure, "credentials", "rcpt"),
    ("rcpt", Act.CLOSE, SenderFailure, "transient", "rcpt"),
    ("data", "421 4.3.2 shutting down", SenderFailure, "transient", "data"),
    ("data", "451 4.3.0 local error", TemporaryFailure, "temporary", "data"),
    ("data", "554 5.7.1 policy", PermanentFailure, "blocked", "data"),
    ("data", "550 5.7.1 policy", PermanentFailure, "blocked", "data"),
    ("data", "554 5.5.1 no", PermanentFailure, "rejected", "data"),
    ("data", "250 what", SenderFailure, "transient", "data"),
    ("data", Act.CLOSE, SenderFailure, "transient", "data"),
    ("data", Act.RESET, SenderFailure, "transient", "data"),
    ("final_dot", "421 4.3.2 shutting down", TemporaryFailure, "temporary", "final_dot"),
    ("final_dot", "450 4.2.0 later", TemporaryFailure, "temporary", "final_dot"),
    ("final_dot", "452 4.3.1 no space", TemporaryFailure, "temporary", "final_dot"),
    ("final_dot", "454 4.7.0 throttled", SenderFailure, "throttled", "final_dot"),
    ("final_dot", "550 5.7.1 looks like spam", PermanentFailure, "blocked", "final_dot"),
    ("final_dot", "552 5.3.4 too large", PermanentFailure, "rejected", "final_dot"),
    ("final_dot", "554 5.6.0 malformed", PermanentFailure, "rejected", "final_dot"),
    ("final_dot", Act.CLOSE, OutcomeUnknown, "no_answer", "final_dot"),
    ("final_dot", Act.RESET, OutcomeUnknown, "no_answer", "final_dot"),
    ("final_dot", "what?", OutcomeUnknown, "no_answer", "final_dot"),
    ("final_dot", "354 go ahead", OutcomeUnknown, "no_answer", "final_dot"),
    ("final_dot", "999 odd", OutcomeUnknown, "no_answer", "final_dot"),
]


@pytest.mark.parametrize("is_pipelined", [False, True])
@pytest.mark.parametrize(("phase", "reply", "error", "kind", "error_phase"), TABLE)
def test_a_refusal_is_judged_by_phase_and_reply(
    server: SmtpServer, open_smtp, phase, reply, error, kind, error_phase, is_pipelined
):
    server.offers_pipelining = is_pipelined
    server.users = {"sender": "right"}
    server.script[phase] = reply
    adapter = open_smtp(server, password="right")

    with pytest.raises(DeliveryError) as caught:
        adapter.send(make_outbound())

    assert (type(caught.value), caught.value.kind) == (error, kind)
    # A reset takes back what was said before it and not yet read.
    is_overtaken = is_pipelined and reply is Act.RESET and caught.value.phase in {"mail", "rcpt"}
    assert caught.value.phase == error_phase or is_overtaken
    assert server.mails == []


def test_the_code_and_the_words_of_the_server_are_kept(server, smtp_email):
    server.script["rcpt"] = "550-5.1.1 The mailbox\n550 5.1.1 does not exist"

    with pytest.raises(PermanentFailure) as caught:
        smtp_email.send(make_outbound())

    assert caught.value.code == "550 5.1.1"
    assert caught.value.words == "The mailbox 5.1.1 does not exist"


def test_greylisting_asks_for_at_least_a_minute(server, smtp_email):
    server.script["rcpt"] = "451 4.7.1 greylisted"

    with pytest.raises(TemporaryFailure) as caught:
        smtp_email.send(make_outbound())

    assert caught.value.retry_after == 60


def test_nothing_that_is_said_to_quit_matters(server, smtp_email):
    server.script["quit"] = "500 never"
    smtp_email.send(make_outbound())

    smtp_email.close()

    assert len(server.mails) == 1


def test_a_server_without_ehlo_is_greeted_in_the_old_way(server, smtp_email):
    server.script["ehlo"] = "502 5.5.1 not implemented"

    receipt = smtp_email.send(make_outbound())

    assert receipt.code == "250 2.0.0"
    assert "HELO" in server.commands


def test_a_server_that_knows_neither_greeting_has_blocked_us(server, smtp_email):
    server.script |= {"ehlo": "550 no", "helo": "550 no"}

    with pytest.raises(SenderFailure) as caught:
        smtp_email.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("blocked", "ehlo")


@pytest.mark.parametrize("is_pipelined", [False, True])
def test_who_was_refused_is_told_by_position_while_the_others_get_it(
    server, smtp_email, is_pipelined
):
    server.offers_pipelining = is_pipelined
    server.recipients = {
        "bob@example.com": "550 5.1.1 unknown user",
        "dan@example.com": "451 4.7.1 greylisted",
    }
    outbound = make_outbound(
        to=[("", "ann@example.com"), ("", "bob@example.com")],
        cc=[("", "cid@example.com"), ("", "dan@example.com")],
        bcc=[("", "eve@example.com")],
    )

    receipt = smtp_email.send(outbound)

    assert [(one.position, one.code) for one in receipt.refused] == [
        ("to/1", "550 5.1.1"),
        ("cc/1", "451 4.7.1"),
    ]
    (mail,) = server.mails
    assert mail.recipients == ["ann@example.com", "cid@example.com", "eve@example.com"]


def test_a_recipient_for_whom_another_relay_is_named_counts_as_taken(server, smtp_email):
    server.script["rcpt"] = "251 2.1.5 will forward"

    receipt = smtp_email.send(make_outbound())

    assert receipt.refused == ()


def test_when_all_are_refused_and_one_only_for_now_the_message_is_tried_later(server, smtp_email):
    server.recipients = {
        "ann@example.com": "550 5.1.1 unknown user",
        "bob@example.com": "451 4.7.1 greylisted",
    }

    with pytest.raises(TemporaryFailure):
        smtp_email.send(make_outbound(to=[("", "ann@example.com"), ("", "bob@example.com")]))

    assert server.mails == []


def test_a_recipient_named_twice_is_asked_for_once(server, smtp_email):
    outbound = make_outbound(to=[("", "ann@example.com")], bcc=[("Ann", "ann@example.com")])

    smtp_email.send(outbound)

    assert server.mails[0].recipients == ["ann@example.com"]

import re
from dataclasses import replace

import pytest

from messaging.channels.base import PermanentFailure, SenderFailure
from messaging.channels.smtp import SmtpEmail
from tests.messaging.channels.outbound import make_account, make_outbound, smtp_account
from tests.messaging.channels.reading import body, people, read, text_header

SMUGGLED = (
    "Hello\n.\nMAIL FROM:<eve@example.com>\r.\rRCPT TO:<ann@example.com>\r\n.\r\nDATA\n.\r\nbye"
)


def test_lines_that_begin_with_a_dot_arrive_as_they_were_written(server, smtp_email):
    text = ".\n..\n.a\n\n.\nend"

    smtp_email.send(make_outbound(text=text))

    (mail,) = server.mails
    assert b"\r\n..\r\n...\r\n..a\r\n" in mail.raw
    assert body(mail.data, "plain") == text


@pytest.mark.parametrize("part", ["html", "text"])
def test_a_body_that_plays_the_end_of_the_message_does_not_end_it(server, smtp_email, part):
    smtp_email.send(make_outbound(**{part: SMUGGLED}))
    smtp_email.send(make_outbound())

    assert len(server.mails) == 2
    assert server.commands.count("MAIL") == 2
    raw = server.mails[0].raw
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert not re.search(rb"(?m)^\.\r?$", raw)


def test_the_envelope_holds_everyone_and_the_header_no_blind_copy(server, smtp_email):
    outbound = make_outbound(
        to=[("Ann", "ann@example.com")],
        cc=[("Cid", "cid@example.com")],
        bcc=[("Eve", "eve@example.com")],
    )

    smtp_email.send(outbound)

    (mail,) = server.mails
    assert mail.sender == "sender@example.com"
    assert mail.recipients == ["ann@example.com", "cid@example.com", "eve@example.com"]
    assert b"eve@" not in mail.raw


def test_unicode_goes_everywhere_and_the_wire_stays_ascii(trusted, server, smtp_email):
    outbound = make_outbound(
        to=[("王小明", "ann@example.com")],
        subject="订单已发货 🎉",
        html="<p>你好</p>",
        text="你好\n世界",
    )

    smtp_email.send(outbound)

    data = server.mails[0].data
    data.decode("ascii")
    assert text_header(data, "Subject") == "订单已发货 🎉"
    assert people(data, "To") == [("王小明", "ann@example.com")]
    assert (body(data, "html"), body(data, "plain")) == ("<p>你好</p>", "你好\n世界")


def test_no_line_is_longer_than_a_relay_takes(server, smtp_email):
    smtp_email.send(make_outbound(subject="x" * 2000, html="<p>" + "x" * 300_000, text="y" * 5000))

    (mail,) = server.mails
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 79
    assert body(mail.data, "html") == "<p>" + "x" * 300_000


def test_the_message_id_is_the_same_at_every_attempt_and_the_attempt_id_is_not(server, smtp_email):
    outbound = make_outbound()

    smtp_email.send(outbound)
    smtp_email.send(replace(outbound, attempt_id="attempt-2"))

    first, second = (read(mail.data) for mail in server.mails)
    assert first["Message-ID"] == second["Message-ID"] == outbound.message_id
    assert first["X-Notification-Attempt"] == "attempt-1"
    assert second["X-Notification-Attempt"] == "attempt-2"


@pytest.mark.parametrize("role", ["to", "cc", "bcc"])
@pytest.mark.parametrize(
    "address", ["ann@example.com>\r\nRCPT TO:<eve@example.com", "änn@example.com", "ann"]
)
def test_an_address_that_is_none_fails_the_message_and_not_the_sender(
    server, smtp_email, role, address
):
    with pytest.raises(PermanentFailure) as caught:
        smtp_email.send(make_outbound(**{role: [("", address)]}))

    assert (caught.value.kind, caught.value.phase) == ("rejected", "serialize")
    assert server.connections == 0


@pytest.mark.parametrize(
    "content",
    [
        {"subject": "a\r\nBcc: eve@example.com"},
        {"to": [("a\nBcc: eve@example.com", "ann@example.com")]},
        {"html": "\ud83c"},
    ],
)
def test_what_cannot_be_written_fails_the_message(server, smtp_email, content):
    with pytest.raises(PermanentFailure) as caught:
        smtp_email.send(make_outbound(**content))

    assert (caught.value.kind, caught.value.phase) == ("rejected", "serialize")
    assert server.connections == 0


@pytest.mark.parametrize(
    "identity",
    [
        {"from_address": "sénder@example.com"},
        {"from_address": "a@example.com> SIZE=1"},
        {"from_name": "a\r\nBcc: eve@example.com"},
    ],
)
def test_a_from_that_cannot_be_written_is_the_senders_fault(server, identity):
    adapter = SmtpEmail(replace(smtp_account(server), **identity))

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert caught.value.kind == "misconfigured"


@pytest.mark.parametrize(
    "options",
    [
        {"host": "a" * 70, "security": "none"},
        {"host": "a\x00b", "security": "none"},
        {"host": "127.0.0.1", "port": 70_000, "security": "none"},
    ],
)
def test_a_host_that_cannot_be_one_is_the_senders_fault(options):
    adapter = SmtpEmail(make_account(options, {}))

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert caught.value.phase == "connect"


@pytest.mark.parametrize("helo_name", ["bad\r\nname", "bäd"])
def test_a_name_that_cannot_be_said_is_the_senders_fault(server, open_smtp, helo_name):
    adapter = open_smtp(server, helo_name=helo_name)

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("misconfigured", "ehlo")


def test_a_stored_password_beyond_ascii_is_the_senders_fault(server, open_smtp):
    server.users = {"sender": "right"}
    adapter = open_smtp(server, password="pässword")

    with pytest.raises(SenderFailure) as caught:
        adapter.send(make_outbound())

    assert (caught.value.kind, caught.value.phase) == ("misconfigured", "auth")

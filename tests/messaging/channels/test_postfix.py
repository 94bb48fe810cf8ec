"""What a real server makes of our dialogue and our bytes: Postfix takes them and passes them on."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import parseaddr
from pathlib import Path

import pytest

from messaging.channels.base import Attachment, Outbound, PermanentFailure
from messaging.channels.smtp import SmtpEmail
from tests.imitations.postfix import REFUSED, Postfix, why_not
from tests.imitations.smtp import Mail, SmtpServer
from tests.messaging.channels.outbound import make_account, make_outbound
from tests.messaging.channels.reading import body, lines_as_read, people, read, text_header

CROWD = [(f"人{number}", f"person{number}@example.com") for number in range(60)]
DOTS = ".\n..\n.a\n\n.\r\n.\rMAIL FROM:<eve@example.com>\n.\n"
LONG = "x" * 5000 + "\n" + "." * 3000 + "\n" + "你好，世界。" * 4000
FILES = (
    Attachment("发票 2026年11月.pdf", "application/pdf", b"%PDF\x00\r\n.\r\n\n\r\xff" * 3000),
    Attachment("empty.bin", "application/octet-stream", b""),
    Attachment("logo.png", "image/png", b"\x89PNG\r\n\x1a\n", content_id="logo@example.com"),
)
NASTY: dict[str, Outbound] = {
    "chinese": make_outbound(
        to=[("王, 小明; <x>", "ann@example.com")], subject="订单已发货 🎉" * 12, text="你好\n世界"
    ),
    "long lines": make_outbound(subject="x" * 990, html=f"<p>{LONG}", text=LONG),
    "dots": make_outbound(html=DOTS, text=DOTS),
    "only a dot": make_outbound(text="."),
    "empty": make_outbound(html="", text=""),
    "line ends alone": make_outbound(text="\n\n\r\r\n\n"),
    "no line end": make_outbound(text="end"),
    "looks like a header": make_outbound(text="Subject: no\n\nFrom eve\n>From eve"),
    "trailing spaces": make_outbound(text="a \n\t\nb\t "),
    "many recipients": make_outbound(to=CROWD[:30], cc=CROWD[30:45], bcc=CROWD[45:]),
    "attachments": replace(
        make_outbound(html='<img src="cid:logo@example.com">', text="see"), attachments=FILES
    ),
    "large": make_outbound(html="<p>" + "0123456789" * 100_000),
}


@pytest.fixture(scope="module", autouse=True)
def runnable() -> None:
    reason = why_not()
    if reason and os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"REQUIRE_SERVICES=1, and {reason}")
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def far_end(runnable: None) -> Iterator[SmtpServer]:
    """Where Postfix hands everything on to."""
    with SmtpServer(offers_pipelining=True) as running:
        yield running


@pytest.fixture(scope="module")
def postfix(far_end: SmtpServer, certificate: Path) -> Iterator[Postfix]:
    with Postfix(relay_to=far_end.port, certificate=certificate) as running:
        yield running


@pytest.fixture
def adapter(postfix: Postfix) -> Iterator[SmtpEmail]:
    options = {"host": "127.0.0.1", "port": postfix.port, "security": "none"}
    adapter = SmtpEmail(make_account(options, {}))
    yield adapter
    adapter.close()


@pytest.fixture
def arrived(far_end: SmtpServer, postfix: Postfix) -> Callable[[int], list[Mail]]:
    """Waits for so many messages, and takes them away from the far end."""

    def wait(count: int) -> list[Mail]:
        until = time.monotonic() + 60
        while len(far_end.mails) < count:
            assert time.monotonic() < until, postfix.log()[-5000:]
            time.sleep(0.02)
        mails = far_end.mails[:]
        far_end.mails.clear()
        return mails

    return wait


def test_commands_are_pipelined(adapter, postfix):
    steps = {step.phase: step for step in adapter.probe()}

    assert all(step.is_ok for step in steps.values())
    assert "PIPELINING" in steps["ehlo"].words


@pytest.mark.parametrize("name", NASTY)
def test_a_nasty_message_comes_out_as_it_went_in(adapter, arrived, name):
    outbound = NASTY[name]
    content = outbound.content

    receipt = adapter.send(outbound)

    (mail,) = arrived(1)
    assert receipt.code == "250 2.0.0"
    assert receipt.refused == ()
    assert mail.sender == "sender@example.com"
    assert sorted(mail.recipients) == sorted(address for _, address in content.recipients())
    assert text_header(mail.data, "Subject") == content.subject
    assert people(mail.data, "To") == content.to
    assert people(mail.data, "Cc") == content.cc
    assert text_header(mail.data, "Message-ID") == outbound.message_id
    assert parseaddr(text_header(mail.data, "From"))[1] == "sender@example.com"
    if content.html:
        assert body(mail.data, "html") == lines_as_read(content.html)
    if content.text or not content.html:
        assert body(mail.data, "plain") == lines_as_read(content.text)
    files = [part for part in read(mail.data).walk() if part.get_content_disposition()]
    assert {part.get_filename(): part.get_payload(decode=True) for part in files} == {
        one.filename: one.data for one in outbound.attachments
    }


def test_a_blind_copy_is_in_the_envelope_and_nowhere_else(adapter, arrived):
    adapter.send(make_outbound(bcc=[("Eve", "eve@example.com")]))

    (mail,) = arrived(1)
    assert "eve@example.com" in mail.recipients
    assert b"eve@" not in mail.raw.lower()


def test_many_messages_go_over_one_connection(adapter, arrived, postfix):
    connections = postfix.log().count(": connect from")

    for number in range(60):
        adapter.send(make_outbound(subject=f"number {number}", text=f".{number}"))

    mails = arrived(60)
    assert {text_header(mail.data, "Subject") for mail in mails} == {
        f"number {number}" for number in range(60)
    }
    assert postfix.log().count(": connect from") - connections == 1


def test_messages_go_through_starttls(trusted, postfix, arrived):
    options = {"host": "127.0.0.1", "port": postfix.port, "security": "starttls"}
    adapter = SmtpEmail(make_account(options, {}))

    for outbound in (NASTY["dots"], NASTY["large"], NASTY["attachments"]):
        adapter.send(outbound)
    adapter.close()

    assert [b"using TLSv1" in mail.data for mail in arrived(3)] == [True] * 3


def test_who_is_refused_is_told_and_the_connection_serves_on(adapter, arrived):
    receipt = adapter.send(make_outbound(to=[("", "ann@example.com"), ("", REFUSED)]))
    with pytest.raises(PermanentFailure) as caught:
        adapter.send(make_outbound(to=[("", REFUSED)]))
    adapter.send(make_outbound())

    assert [(one.position, one.code) for one in receipt.refused] == [("to/1", "550 5.1.1")]
    assert caught.value.kind == "hard_bounce"
    assert [mail.recipients for mail in arrived(2)] == [["ann@example.com"]] * 2

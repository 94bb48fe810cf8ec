"""The benchmark's own parts. Nothing is timed here."""

import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.admin import Answer, Asked
from bench.admin_pages import Page, all_pages
from bench.growth_probe import nodes
from bench.letter import HTML, HTML_BYTES
from bench.report import Bound, Figure, bounds_table, percentile, table
from bench.stage import ROOT
from tests.factories import make_message, make_operator, make_sender

PEOPLE = ("bench@example.com", ["ann@example.com"])


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "first.eml"


@pytest.fixture
def port(kept: Path) -> Iterator[int]:
    """A running sink's."""
    command = [sys.executable, "-m", "bench.smtp_sink", "--keep", str(kept)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.terminate()


def messages_at(port: int) -> int:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="tests") as server:
        return int(server.docmd("XCOUNT")[1].split()[0])


def test_the_sink_takes_several_messages_on_one_connection(port):
    with smtplib.SMTP("127.0.0.1", port, local_hostname="tests") as server:
        for number in range(3):
            assert server.sendmail(*PEOPLE, f"Subject: {number}\r\n\r\nHello\r\n") == {}

    assert messages_at(port) == 3


def test_the_sink_keeps_the_first_message_as_it_was_before_its_dots_were_stuffed(port, kept):
    body = b"Subject: dots\r\n\r\n.\r\n..two\r\nend.\r\n"

    with smtplib.SMTP("127.0.0.1", port, local_hostname="tests") as server:
        server.sendmail(*PEOPLE, body)
        server.sendmail(*PEOPLE, b"Subject: second\r\n\r\n")

    assert kept.read_bytes() == body
    assert messages_at(port) == 2


def test_the_sink_answers_pipelined_commands_one_by_one_in_order(port):
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        answers = connection.makefile("rb")
        assert answers.readline().startswith(b"220 ")
        envelope = b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"
        connection.sendall(
            b"HELO tests\r\n" + envelope + b"Subject: 1\r\n\r\nx\r\n.\r\n" + envelope
        )
        connection.sendall(b".\r\nNONSENSE\r\nQUIT\r\n")
        codes = [line[:3] for line in answers]

    expected = b"250 250 250 354 250 250 250 354 250 502 221"
    assert codes == expected.split()
    assert messages_at(port) == 2


def test_the_sink_finds_a_final_dot_that_comes_in_pieces(port):
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = connection.makefile("rb")
        connection.sendall(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
        for _ in range(4):
            answers.readline()
        for piece in (b"Hello", b"\r", b"\n", b".", b"\r", b"\n"):
            connection.sendall(piece)
        assert answers.readline().startswith(b"250 ")

    assert messages_at(port) == 1


def test_a_sink_that_was_reset_counts_from_nothing(port):
    with smtplib.SMTP("127.0.0.1", port, local_hostname="tests") as server:
        server.sendmail(*PEOPLE, b"Subject: 1\r\n\r\n")

        server.docmd("XRESET")

        assert server.docmd("XCOUNT") == (250, b"0 0 0")


def test_the_letter_has_the_size_that_the_figures_speak_of():
    assert len(HTML.encode()) == HTML_BYTES


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds():
    disturbed = Figure("a", [100, 10, 100], "b", [200, 20, 100], target=0.5)

    assert disturbed.ratio == 0.5
    assert disturbed.rate == 100


def test_the_table_names_figure_reference_ratio_and_target():
    figures = [
        Figure("bulk", [1234.4], "smtplib", [4937.6], target=0.25),
        Figure("accept", [50.0], "usual", [10.0], target=6, is_factor=True, p50_ms=1, p99_ms=2.25),
        Figure("alone", [7.0]),
    ]

    heading, _, bulk, accept, alone = table(figures).splitlines()

    assert heading.split()[-2:] == ["ratio", "target"]
    assert bulk.split() == ["bulk", "1,234", "smtplib", "4,938", "25%", ">=", "25%", "reached"]
    assert "1.0" in accept
    assert accept.endswith("5.0 x  >= 6.0 x  not yet")
    assert alone.split() == ["alone", "7"]


def test_a_percentile_is_the_smallest_value_that_covers_its_share():
    hundred = list(range(100, 0, -1))

    assert percentile(hundred, 0.50) == 50
    assert percentile(hundred, 0.99) == 99
    assert percentile([*hundred, 101], 0.99) == 100
    assert percentile([7.5], 0.99) == 7.5
    assert percentile([3, 1, 2], 0.0) == 1


def test_the_second_table_names_what_may_not_be_exceeded():
    bounds = [
        Bound("p99", 512.4, "ms", 500, "20 messages"),
        Bound("claim", 3.0, "x", 3.0),
        Bound("alone", 97.0, "MB"),
    ]

    heading, _, p99, claim, alone = bounds_table(bounds).splitlines()

    assert heading.split() == ["measured", "target"]
    assert p99.split() == ["p99", "512", "ms", "<=", "500", "ms", "not", "yet", "20", "messages"]
    assert claim.split() == ["claim", "3.0", "x", "<=", "3.0", "x", "reached"]
    assert alone.split() == ["alone", "97", "MB"]


def test_a_plan_is_told_by_its_nodes_and_their_indexes():
    scan = {"Node Type": "Index Scan", "Index Name": "message_due"}
    plan = {"Node Type": "Update", "Plans": [{"Node Type": "Limit", "Plans": [scan]}]}

    assert list(nodes(plan)) == ["Update", "Limit", "Index Scan message_due"]


@pytest.mark.django_db
def test_every_page_of_the_admin_is_found_by_its_registry():
    make_operator()
    make_sender(name="mail-1")
    message = make_message()

    pages = {page.path: page for page in all_pages(searches=["ann@example.com"])}

    assert {
        "/admin/",
        "/admin/messaging/message/",
        "/admin/messaging/message/?status=failed",
        "/admin/messaging/message/?q=ann%40example.com",
        f"/admin/messaging/message/{message.pk}/change/",
        f"/admin/messaging/message/{message.pk}/history/",
        "/admin/messaging/sender/add/",
        "/admin/messaging/event/",
    } <= pages.keys()
    assert pages["/admin/messaging/event/"].of == "messaging.Event"
    assert not any("logout" in path for path in pages)


def test_a_page_that_breaks_is_told_from_one_that_nobody_may_open():
    page = Page("messaging.Message", "list", "/admin/messaging/message/")

    def asked(*statuses: int) -> Asked:
        return Asked(page, page.of, page.kind, [Answer(s, 10.0 * s, 3, 1.0) for s in statuses])

    assert asked(200, 500, 200).failed == "answered with 500"
    assert asked(200, 302).failed == ""
    assert asked(200, 302, 200).ms == 2000
    assert not asked(403, 403).is_page

"""What the sink counts, keeps and lets wait. Real sockets, and delays of a fraction of a second."""

import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.stage import ROOT

PEOPLE = ("bench@example.com", ["ann@example.com"])
ENVELOPE = b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"
DELAY = 0.3


@contextmanager
def sink(*options: str) -> Iterator[int]:
    """A running sink's port."""
    command = [sys.executable, "-m", "bench.smtp_sink", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.terminate()


@contextmanager
def talk(port: int) -> Iterator[tuple[socket.socket, Iterator[bytes]]]:
    """A greeted connection, and its answers line by line."""
    with (
        socket.create_connection(("127.0.0.1", port), 5) as connection,
        connection.makefile("rb") as answers,
    ):
        answers.readline()
        yield connection, answers


def test_a_provider_slow_at_messages_answers_commands_at_once():
    with sink("--delay", str(DELAY), "--delay-of", "messages") as port, talk(port) as (line, heard):
        started = time.monotonic()
        line.sendall(ENVELOPE)
        assert [next(heard)[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        envelope_took = time.monotonic() - started
        line.sendall(b"Subject: 1\r\n\r\nx\r\n.\r\n")
        assert next(heard).startswith(b"250 ")
        took = time.monotonic() - started

    assert envelope_took < DELAY
    assert took >= DELAY


def test_a_provider_slow_at_messages_takes_the_next_one_after_its_answer():
    message = ENVELOPE + b"Subject: 1\r\n\r\nx\r\n.\r\n"
    with sink("--delay", str(DELAY), "--delay-of", "messages") as port, talk(port) as (line, heard):
        started = time.monotonic()
        line.sendall(message + message + b"QUIT\r\n")
        codes = [answer[:3] for answer in heard]
        took = time.monotonic() - started

    assert codes == b"250 250 354 250 250 250 354 250 221".split()
    assert took >= 2 * DELAY


def test_a_provider_slow_at_everything_lets_pipelined_commands_wait_together():
    with sink("--delay", str(DELAY)) as port, talk(port) as (line, heard):
        started = time.monotonic()
        line.sendall(ENVELOPE)
        assert [next(heard)[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        took = time.monotonic() - started

    assert DELAY <= took < 3 * DELAY


def test_the_sink_tells_which_message_came_when():
    with sink("--times") as port, smtplib.SMTP("127.0.0.1", port, local_hostname="tests") as server:
        before = time.time()
        server.sendmail(*PEOPLE, b"Subject: 1\r\nMessage-ID: <one@example.com>\r\n\r\nx\r\n")
        server.sendmail(*PEOPLE, b"message-id:\r\n <two@example.com>\r\n\r\nx\r\n")
        lines = server.docmd("XTIMES")[1].splitlines()[:-1]
        server.docmd("XRESET")
        after_reset = server.docmd("XTIMES")

    times = {id_: float(at) for id_, at in (line.split() for line in lines)}
    assert list(times) == [b"one", b"two"]
    assert before <= times[b"one"] <= times[b"two"] <= time.time()
    assert after_reset == (250, b"2.0.0 That is all")


def test_the_sink_counts_connections_that_send_and_no_others():
    with sink() as port, smtplib.SMTP("127.0.0.1", port, local_hostname="tests") as control:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="tests") as first:
            first.sendmail(*PEOPLE, b"Subject: 1\r\n\r\n")
            with smtplib.SMTP("127.0.0.1", port, local_hostname="tests") as second:
                second.sendmail(*PEOPLE, b"Subject: 2\r\n\r\n")
        assert control.docmd("XCOUNT")[1].split()[2] == b"2"

        control.docmd("XRESET")

        assert control.docmd("XCOUNT") == (250, b"0 0 0")

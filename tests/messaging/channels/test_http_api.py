"""What `HttpApi` does with answers that imitations of providers do not give."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from messaging.channels import http_api
from messaging.channels.base import OutcomeUnknown
from messaging.channels.http_api import HttpApi

SHORT = 1.0


@contextmanager
def answering(raw: bytes, *, drips: bool = False) -> Iterator[str]:
    """A server that says `raw` to one caller; if it drips, it goes on for ever."""
    listening = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(raw)
            try:
                while drips and not stopping.wait(0.02):
                    connection.sendall(b" ")
            except OSError:
                return

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    stopping.set()
    serving.join(5)
    listening.close()


@pytest.fixture(autouse=True)
def short_deadlines(monkeypatch):
    monkeypatch.setattr(http_api, "TIMEOUT", (SHORT, SHORT))
    monkeypatch.setattr(http_api, "ANSWER_SECONDS", SHORT)


@pytest.mark.parametrize("head", ["200 OK", "302 Found\r\nLocation: http://127.0.0.1:1/elsewhere"])
def test_an_answer_that_drips_is_cut_off_after_its_time(head):
    raw = f"HTTP/1.1 {head}\r\nContent-Length: 900\r\n\r\n".encode()
    started = monotonic()

    with answering(raw, drips=True) as url, pytest.raises(OutcomeUnknown):
        HttpApi(url).call("POST", "/")

    assert monotonic() - started < 5


@pytest.mark.parametrize(
    ("rest", "body"),
    [
        (b"Content-Length: 5\r\n\r\nhello", b"hello"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
        (b"\r\nhello", b"hello"),
        (b"Content-Length: 0\r\n\r\n", b""),
    ],
)
def test_an_answer_is_read_however_it_is_framed(rest, body):
    with answering(b"HTTP/1.1 200 OK\r\n" + rest) as url:
        api = HttpApi(url)
        reply = api.call("POST", "/")
        api.close()

    assert (reply.status, reply.body) == (200, body)


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 50\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_half_an_answer_is_none(rest):
    with answering(b"HTTP/1.1 200 OK\r\n" + rest) as url, pytest.raises(OutcomeUnknown):
        HttpApi(url).call("POST", "/")

"""The load at a fixed rate, against a server that answers in one thread."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.latency import waits
from bench.load import SteadyLoad
from bench.stage import BenchError


class Answer(BaseHTTPRequestHandler):
    """202 with the number that was asked with, after `seconds`."""

    seconds = 0.0

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.seconds)
        body = json.dumps({"id": asked["number"]}).encode()
        self.send_response(202)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def steady(port: int) -> SteadyLoad:
    head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    return SteadyLoad(port=port, head=head, body='{"number": "%NUMBER%"}', first_number=0)


def test_requests_leave_at_their_rate_and_each_answer_is_kept_with_its_time(port):
    began = time.time()

    result = steady(port).run_at(rate=50, connections=8, duration=0.4)

    accepted = result["accepted"]
    assert result["statuses"] == {202: 20}
    assert sorted(id_ for id_, _ in accepted) == [f"{number:012}" for number in range(1, 21)]
    due = sorted(at - began for _, at in accepted)
    assert due[-1] - due[0] == pytest.approx(19 / 50, abs=0.001)
    assert result["took"] >= 19 / 50


def test_a_request_that_waits_for_a_connection_counts_from_when_it_was_due(port, monkeypatch):
    monkeypatch.setattr(Answer, "seconds", 0.1)

    result = steady(port).run_at(rate=100, connections=1, duration=0.04)

    # Four requests at once, one after the other: the last waited for three others.
    assert result["seconds"][-1] > 0.3


def test_each_wait_is_from_due_to_arrived():
    assert waits({"a": 10.0, "b": 20.0}, {"b": 20.5, "a": 10.25, "other": 1.0}) == [0.25, 0.5]


def test_a_message_that_was_accepted_and_never_came_ends_the_run():
    with pytest.raises(BenchError, match="1 of 2"):
        waits({"a": 10.0, "b": 20.0}, {"a": 10.25})

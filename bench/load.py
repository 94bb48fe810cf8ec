"""A load generator: so many connections, each asks again as soon as it is answered; or, given a
rate, so many requests a second, whatever the answers take.

`python -m bench.load` reads a JSON object from standard input and prints one. It imports nothing of
Django, so that it takes little from the cores that it shares with the server. A connection is used
again unless the server closes it, as gunicorn's sync workers do.
"""

import json
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

# Stands in the body where each request gets a number of its own.
NUMBER = b"%NUMBER%"


@dataclass(slots=True)
class Caller:
    """One connection and what it waits for."""

    connection: socket.socket
    asked_at: float
    answer: bytearray = field(default_factory=bytearray)


class Load:
    """Requests to one server for some seconds; those under way at the end are waited for."""

    def __init__(self, *, port: int, head: str, body: str, first_number: int) -> None:
        self.address = ("127.0.0.1", port)
        sample = body.encode().replace(NUMBER, b"%012d" % 0)
        self.head = f"{head}Content-Length: {len(sample)}\r\n\r\n".encode()
        self.before, self.after = body.encode().split(NUMBER)
        self.number = first_number
        self.seconds: list[float] = []
        self.statuses: dict[int, int] = {}
        self.poll = select.epoll()
        self.callers: dict[int, Caller] = {}

    def run(self, *, connections: int, duration: float) -> dict[str, Any]:
        started = time.perf_counter()
        for _ in range(connections):
            self._ask(self._connect())
        while self.callers:
            for number, _ in self.poll.poll(30) or self._give_up():
                if self._answered(self.callers[number]):
                    is_late = time.perf_counter() - started >= duration
                    self._next(self.callers.pop(number), is_late=is_late)
        self.poll.close()
        took = time.perf_counter() - started
        return {"took": took, "statuses": self.statuses, "seconds": sorted(self.seconds)}

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self.address, timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.poll.register(connection, select.EPOLLIN)
        return connection

    def _ask(self, connection: socket.socket, *, due_at: float | None = None) -> None:
        self.number += 1
        asked_at = time.perf_counter() if due_at is None else due_at
        connection.sendall(self.head + self.before + b"%012d" % self.number + self.after)
        self.callers[connection.fileno()] = Caller(connection, asked_at)

    def _answered(self, caller: Caller) -> bool:
        chunk = caller.connection.recv(65_536)
        if not chunk:
            raise ConnectionError(f"The server hung up after {bytes(caller.answer)[:200]!r}.")
        caller.answer += chunk
        head, blank, body = bytes(caller.answer).partition(b"\r\n\r\n")
        if not blank:
            return False
        found = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        return len(body) >= int(found or 0)

    def _next(self, caller: Caller, *, is_late: bool) -> None:
        self.seconds.append(time.perf_counter() - caller.asked_at)
        status = int(caller.answer[9:12])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        connection = caller.connection
        if b"connection: close" in bytes(caller.answer).lower() or is_late:
            self.poll.unregister(connection)
            connection.close()
            if is_late:
                return
            connection = self._connect()
        self._ask(connection)

    def _give_up(self) -> list[tuple[int, int]]:
        raise TimeoutError(f"{len(self.callers)} requests got no answer in 30 s.")


class SteadyLoad(Load):
    """Requests at a fixed rate. Each counts from the moment at which it was due, so that a server
    that makes the next ones wait does not look faster for it."""

    def run_at(self, *, rate: float, connections: int, duration: float) -> dict[str, Any]:
        """Also returns `accepted`: the id in each answer, and the Unix time at which it was due."""
        self.accepted: list[tuple[str, float]] = []
        started, asked, count = time.perf_counter(), 0, int(rate * duration)
        self.wall = time.time() - started
        while asked < count or self.callers:
            due_at, now = started + asked / rate, time.perf_counter()
            has_room = asked < count and len(self.callers) < connections
            if has_room and now >= due_at:
                self._ask(self._connect(), due_at=due_at)
                asked += 1
                continue
            events = self.poll.poll(due_at - now if has_room else 30)
            for number, _ in events or (() if has_room else self._give_up()):
                if self._answered(self.callers[number]):
                    self._note(self.callers.pop(number))
        self.poll.close()
        result = {"took": time.perf_counter() - started, "statuses": self.statuses}
        return result | {"seconds": sorted(self.seconds), "accepted": self.accepted}

    def _note(self, caller: Caller) -> None:
        body = bytes(caller.answer).partition(b"\r\n\r\n")[2]
        self.accepted.append((json.loads(body).get("id", ""), self.wall + caller.asked_at))
        self._next(caller, is_late=True)


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    if "rate" in asked["run"]:
        print(json.dumps(SteadyLoad(**asked["target"]).run_at(**asked["run"])))
    else:
        print(json.dumps(Load(**asked["target"]).run(**asked["run"])))

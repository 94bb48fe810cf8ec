"""What must not be reached, and a resolver that leads there."""

import socket
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest


class Canary:
    """Counts who connects to it."""

    def __init__(self) -> None:
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._listening.settimeout(0.02)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                continue
            self.connections += 1
            connection.close()

    def end(self) -> None:
        time.sleep(0.05)
        self._ended.set()
        self._thread.join()
        self._listening.close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: Sequence[str]) -> list[str]:
    """The resolver answers each look with the next of `answers`, a list of addresses each."""
    left = [list(answer) for answer in answers]
    looks: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        looks.append(host)
        answer = left.pop(0) if len(left) > 1 else left[0]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, port))
            for each in answer
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return looks

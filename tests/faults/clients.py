"""Callers of the API who write down what they asked for and what they were told."""

import itertools
import json
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.installation import Installation


@dataclass(frozen=True, slots=True)
class Request:
    reference: str
    # 0: no answer came, or none that could be read.
    status: int
    message_id: str
    policy: str
    words: str
    at: float
    to: str = ""

    @property
    def is_accepted(self) -> bool:
        return self.status == 202


class Clients:
    """Sends through the HTTP API from a few threads. Every request ends up in `requests`, whatever
    became of it; none is sent twice."""

    path = "/api/v1/messages/email/send"

    def __init__(self, installation: Installation, *, threads: int = 8) -> None:
        self.installation = installation
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._token = ""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="client")
        self._stopping = threading.Event()
        self._pacer: threading.Thread | None = None

    def __enter__(self) -> "Clients":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    # --- sending ---------------------------------------------------------------------------------

    def send(self, count: int = 1, **fields: Any) -> list[Request]:
        """Send `count` messages at once and wait for all answers."""
        return [future.result() for future in [self._submit(fields) for _ in range(count)]]

    def start(self, *, rate: float, **fields: Any) -> None:
        """Send `rate` messages a second until `stop`."""
        self._stopping.clear()
        self._pacer = threading.Thread(target=self._pace, args=(rate, fields), name="pacer")
        self._pacer.start()

    def stop(self) -> None:
        """No new requests; those under way get their answers."""
        self._stopping.set()
        if self._pacer is not None:
            self._pacer.join()
            self._pacer = None

    def _pace(self, rate: float, fields: dict[str, Any]) -> None:
        futures: list[Future[Request]] = []
        next_at = time.monotonic()
        while not self._stopping.wait(max(0.0, next_at - time.monotonic())):
            # After a stall the missed ones are not caught up with, or they would be a load test.
            next_at = max(next_at + 1 / rate, time.monotonic() - 1)
            if self._pool._work_queue.qsize() < 50:
                futures.append(self._submit(fields))
        for future in futures:
            future.result()

    def _submit(self, fields: dict[str, Any]) -> Future[Request]:
        return self._pool.submit(self._ask, next(self._numbers), fields)

    def body_of(self, number: int) -> dict[str, Any]:
        """Of the message with that number; nobody gets two."""
        return {
            "to": f"ref-{number}@example.com",
            "subject": f"Fault ref-{number}",
            "content": "<p>Hi</p>",
        }

    def _ask(self, number: int, fields: dict[str, Any]) -> Request:
        reference = f"ref-{number}"
        body = {**self.body_of(number), "reference": reference, **fields}
        status, message_id, words = 0, "", ""
        try:
            for _ in range(2):
                status, message_id, words = self._post(body)
                if status != 401:
                    break
                self._token = ""
        except OSError as error:
            words = f"{type(error).__name__}: {error}"
        except Exception as error:
            # An answer that stopped half-way: as good as none.
            words = f"{type(error).__name__}: {error}"
        policy = str(fields.get("policy", "at_least_once"))
        request = Request(
            *(reference, status, message_id, policy, words, time.time()), to=str(body["to"])
        )
        with self._lock:
            self.requests.append(request)
        return request

    def _post(self, body: dict[str, Any]) -> tuple[int, str, str]:
        """The status, the message's id, and the words of a refusal."""
        try:
            if not self._token:
                self._token = self.installation.token()
            answer = self.installation.call(self.path, body, token=self._token, timeout=30)
            return 202, str(answer["id"]), ""
        except urllib.error.HTTPError as error:
            with error:
                return error.code, "", error.read()[:500].decode(errors="replace")

    # --- the ledger ------------------------------------------------------------------------------

    def accepted(self) -> list[Request]:
        with self._lock:
            return [request for request in self.requests if request.is_accepted]

    def unanswered(self) -> list[Request]:
        with self._lock:
            return [request for request in self.requests if request.status == 0]

    def summary(self) -> str:
        with self._lock:
            statuses = [request.status for request in self.requests]
        counts = {status: statuses.count(status) for status in sorted(set(statuses))}
        return json.dumps({str(status) if status else "none": n for status, n in counts.items()})

    def clear(self) -> None:
        with self._lock:
            self.requests.clear()

"""The public API as an application calls it, answers of refusal included."""

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Any

from tests.installation import until


@dataclass(frozen=True)
class Reply:
    status: int
    body: dict[str, Any]
    headers: Message


class Caller:
    """One application, with its token."""

    def __init__(self, bind: str, *, api_key: str, api_secret: str) -> None:
        self._base, self._token = f"http://{bind}/api/v1/", ""
        keys = {"api_key": api_key, "api_secret": api_secret}
        self._token = self.ask("auth/token", keys).body["access_token"]

    def ask(self, path: str, content: Any = None, **headers: str) -> Reply:
        """GET, or POST if there is a content. Names of headers are written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Content-Type"] = "application/json"
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        data = json.dumps(content).encode() if content is not None else None
        request = urllib.request.Request(self._base + path, data, sent)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return Reply(answer.status, json.load(answer), answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, json.load(error), error.headers)

    def send(self, channel: str, **fields: Any) -> str:
        """One message, which differs from every other by its reference. Its id."""
        reply = self.try_to_send(channel, **fields)
        assert reply.status == 202, reply.body
        return str(reply.body["id"])

    def try_to_send(self, channel: str, **fields: Any) -> Reply:
        return self.ask(f"messages/{channel}/send", {"reference": secrets.token_hex(8)} | fields)

    def batch(self, channel: str, items: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
        reply = self.ask("messages/batch", {"channel": channel, "items": items} | fields)
        assert reply.status == 202, reply.body
        return reply.body

    # --- following -------------------------------------------------------------------------------

    def message(self, id_: str) -> dict[str, Any]:
        return self.ask(f"messages/{id_}").body

    def entries(self, id_: str, kind: str = "") -> list[dict[str, Any]]:
        """Of the timeline, of that kind or all."""
        entries = self.ask(f"messages/{id_}/timeline").body["entries"]
        return [entry for entry in entries if kind in ("", entry["kind"])]

    def attempts(self, id_: str) -> list[dict[str, Any]]:
        return [entry["attempt"] for entry in self.entries(id_, "attempt")]

    def wait(self, id_: str, *, seconds: float = 20, **expected: str) -> dict[str, Any]:
        """Until the message shows what is `expected`; all of it."""
        seen: list[dict[str, Any]] = []

        def is_so() -> bool:
            seen[:] = [self.message(id_)]
            return all(seen[0][name] == value for name, value in expected.items())

        until(is_so, seconds=seconds, what=f"{expected}")
        return seen[0]

    def wait_for_batch(self, batch_id: str, **expected: int) -> None:
        """Until so many of its messages have each status, and none another."""

        def is_so() -> bool:
            return bool(self.ask(f"batches/{batch_id}").body["messages"] == expected)

        until(is_so, seconds=30, what=f"{expected}")

    def listed(self, query: str) -> Iterator[dict[str, Any]]:
        yield from self.ask(f"messages?page_size=100&{query}").body["results"]

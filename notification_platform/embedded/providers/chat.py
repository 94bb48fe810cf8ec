"""An imitation of two chat servers that people run themselves: ntfy and Gotify.

ntfy (docs.ntfy.sh/publish, "Publish as JSON") takes `POST /` with a topic in its JSON, or text that
is too long for that as `PUT`/`POST /<topic>` with its title in the query; with a bearer token or a
user name and password where the topic is protected. Gotify (gotify.net/api-docs) takes
`POST /message` with the application's token in `X-Gotify-Key`.
"""

import re
from base64 import b64decode
from typing import Any
from uuid import uuid4

from notification_platform.embedded.providers.server import Answer, Arrival, Asked, LocalProvider

TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
# In bytes: ntfy makes an attachment of what is longer, and reads twice as much of a JSON.
LARGEST_MESSAGE = 4096


def _error(code: int, status: int, words: str) -> Answer:
    """As ntfy tells of errors (server/errors.go)."""
    return Answer.of({"code": code, "http": status, "error": words}, status)


class ChatServer(LocalProvider):
    """`token`: what ntfy's topics ask for, as a bearer or as anybody's password; none, they are
    open. `gotify_token`: of the one application that Gotify knows."""

    def __init__(self, *, token: str = "", gotify_token: str = "", port: int = 0) -> None:
        super().__init__(port=port)
        self.token = token
        self.gotify_token = gotify_token

    def answer(self, asked: Asked) -> Answer:
        if asked.method == "POST" and asked.path == "/message":
            return self._gotify(asked)
        if asked.method == "POST":
            return self._ntfy(asked)
        return _error(40401, 404, "page not found")

    # --- ntfy -----------------------------------------------------------------------------------

    def _ntfy(self, asked: Asked) -> Answer:
        if self.token and _password_of(asked) != self.token:
            return _error(40101, 401, "unauthorized")
        given: Any = dict(asked.query)
        if asked.path == "/":
            if len(asked.body) > 2 * LARGEST_MESSAGE:
                return _error(41303, 413, "JSON body too large")
            try:
                given = asked.json()
                topic, text = given["topic"], str(given.get("message", ""))
            except (ValueError, TypeError, KeyError):
                return _error(40017, 400, "invalid request: request body must be valid JSON")
        else:
            topic, text = asked.path.strip("/"), asked.body.decode("utf-8", "replace")
        if not isinstance(topic, str) or not TOPIC.fullmatch(topic):
            return _error(40009, 400, "invalid request: topic invalid")
        arrival = Arrival(
            to=topic,
            title=str(given.get("title", "")),
            text=text or "triggered",
            details={
                "service": "ntfy",
                "markdown": asked.headers.get("x-markdown", "") in {"yes", "true", "1"},
                "priority": asked.headers.get("x-priority", "default"),
                "as_file": len(text.encode()) > LARGEST_MESSAGE,
            },
        )
        self.keep(arrival)
        return Answer.of(
            {
                "id": uuid4().hex[:12],
                "event": "message",
                "topic": topic,
                "title": arrival.title,
                "message": arrival.text,
            }
        )

    # --- Gotify ----------------------------------------------------------------------------------

    def _gotify(self, asked: Asked) -> Answer:
        def refuse(status: int, name: str, words: str) -> Answer:
            told = {"error": name, "errorCode": status, "errorDescription": words}
            return Answer.of(told, status)

        if not self.gotify_token or asked.headers.get("x-gotify-key") != self.gotify_token:
            words = (
                "you need to provide a valid access token or user credentials to access this api"
            )
            return refuse(401, "Unauthorized", words)
        try:
            given = asked.json()
            text = str(given["message"])
        except (ValueError, TypeError, KeyError):
            return refuse(400, "Bad Request", "Field 'message' is required")
        self.keep(
            Arrival(
                to="gotify",
                title=str(given.get("title", "")),
                text=text,
                details={"service": "Gotify", "priority": given.get("priority", 0)},
            )
        )
        return Answer.of({"id": len(self.arrived), "appid": 1, "message": text})


def _password_of(asked: Asked) -> str:
    kind, _, given = asked.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return given if kind.lower() == "bearer" else ""
    try:
        return b64decode(given).decode().partition(":")[2]
    except ValueError:
        return ""

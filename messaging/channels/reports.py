"""What providers report of messages that they took: the form in which adapters hand it on."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest

# Of the headers of a report these are needed to read it; all the others only to verify it.
READING_HEADERS = ("Content-Type", "svix-id")


class ForgedReport(Exception):
    """It does not prove that it comes from the provider. Says what is missing, never a secret."""


class UnreadableReport(Exception):
    """It is none that the provider documents. Says where it stopped making sense."""


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened to one message.

    `kind` is a value of `Feedback`, or empty for news that only prove that the provider has the
    message. `key` is the same for repeats of the same news. `suppress` is a value of
    `Suppression.Reason` where the recipient must not be written to again, else empty. `is_refusal`:
    the provider did not even try, which proves nothing about a hand-over that it refused.
    """

    kind: str
    key: str
    at: datetime | None = None
    attempt_id: str = ""
    provider_message_id: str = ""
    recipient: str = ""
    suppress: str = ""
    is_refusal: bool = False
    words: str = ""


def kept_headers(request: HttpRequest) -> dict[str, str]:
    """Those without which its body cannot be read."""
    return {
        name: request.headers[name][:200] for name in READING_HEADERS if name in request.headers
    }


def request_of(body: bytes, headers: Mapping[str, str]) -> WSGIRequest:
    """A request as it came, for those who can read nothing else."""
    environ = {
        "REQUEST_METHOD": "POST",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "443",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "https",
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return WSGIRequest({**environ, "wsgi.input": BytesIO(body)})


def with_body(request: HttpRequest, body: bytes) -> WSGIRequest:
    """`request` again, whose body was read already."""
    return WSGIRequest(
        {**request.META, "CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body)}
    )


def key_of(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode(errors="replace")).hexdigest()

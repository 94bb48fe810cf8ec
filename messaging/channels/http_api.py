"""Calls to the HTTP API of a provider: bounded in time and size, and judged by how far they came.

Nothing is repeated below the engine, no redirect is followed, no `.netrc` is read.
"""

import contextlib
import json
import ssl
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
)

from core.crash import crash_at, is_armed
from messaging.channels.base import DeliveryError, OutcomeUnknown, SenderFailure
from messaging.channels.crash_replies import crash_before_replies

# Seconds: to connect, and between two bytes of the answer.
TIMEOUT = (10.0, 30.0)
# For a whole answer, however slowly it drips.
ANSWER_SECONDS = 60.0
# The same of calls that send no message: nothing is lost when they are given up, and whoever waits
# for them keeps a worker from others.
ASKING_TIMEOUT, ASKING_SECONDS = (5.0, 10.0), 20.0
# Answers of providers have some hundred bytes.
MAX_ANSWER = 1_000_000
# Refused before a byte left: a key that is no header, an address that is none.
UNSENDABLE = (
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)
NEVER_CONNECTED = (
    NewConnectionError,
    ConnectTimeoutError,
    requests.ConnectTimeout,
    requests.exceptions.ProxyError,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that came whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def object(self) -> dict[str, Any] | None:
        """The JSON object that it holds; None if it holds none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def words(self) -> str:
        """For people, in one line."""
        return " ".join(self.body.decode("utf-8", "replace").split())[:400]


class Straight(requests.Session):
    """Goes where it is sent. To know where a redirect leads, `requests` reads all of its body, even
    where it does not follow."""

    def get_redirect_target(self, response: requests.Response) -> None:
        return None


class HttpApi:
    """One account's connection to a provider, used by one thread at a time. `base_url` ends
    without a slash, paths begin with one."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._session: requests.Session | None = None

    def call(
        self,
        method: str,
        path: str,
        *,
        is_sending: bool = True,
        params: Mapping[str, str] | None = None,
        content: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """`content` is sent as JSON, as readable characters. Any status is a reply.

        Raises `SenderFailure` where nothing can have been taken, else `OutcomeUnknown`; of a call
        that sends no message (`is_sending` false) always the former."""
        body = None if content is None else json.dumps(content, ensure_ascii=False).encode()
        sent = {"User-Agent": "notification-platform", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json; charset=utf-8"
        try:
            return self._call(
                method, path, params, body if form is None else form, sent, is_sending
            )
        except OutcomeUnknown as error:
            if is_sending:
                raise
            raise SenderFailure(
                "transient", phase=error.phase, code=error.code, words=error.words
            ) from error

    def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: Any,
        headers: Mapping[str, str],
        is_sending: bool,
    ) -> Reply:
        session = self._open()
        if __debug__ and is_sending:
            crash_at("before_request")
        timeout, seconds = (
            (TIMEOUT, ANSWER_SECONDS) if is_sending else (ASKING_TIMEOUT, ASKING_SECONDS)
        )
        ends_at = time.monotonic() + seconds
        try:
            response = session.request(
                method,
                self.base_url + path,
                params=params,
                data=body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                stream=True,
                proxies=requests.utils.get_environ_proxies(self.base_url),
            )
            with response:
                reply = read_whole(response, ends_at)
        except UnicodeError as error:
            # A header that could not be written: nothing left.
            words = type(error).__name__
            raise SenderFailure("misconfigured", phase="configure", words=words) from error
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            self.close()
            # Not from `error`: its words hold the whole address, and with it tokens and keys.
            raise judge_transport(error) from None
        except DeliveryError:
            self.close()
            raise
        if __debug__ and is_sending:
            crash_at("after_reply")
        return reply

    def close(self) -> None:
        """Drop the connection. Never raises."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(requests.RequestException, OSError):
                session.close()

    def _open(self) -> requests.Session:
        if self._session is None:
            self._session = Straight()
            self._session.trust_env = False
            if __debug__ and is_armed("after_request"):
                crash_before_replies(self._session)
        return self._session


def read_whole(response: requests.Response, ends_at: float) -> Reply:
    """Raises `OutcomeUnknown` for an answer that is too large or takes too long."""
    found = bytearray()
    try:
        # What has come, and no more: a whole piece of the body could drip for ever.
        while piece := response.raw.read1(65_536, decode_content=True):
            found += piece
            is_large = len(found) > MAX_ANSWER
            if is_large or time.monotonic() > ends_at:
                words = "The answer is too large." if is_large else "The answer takes too long."
                raise OutcomeUnknown(
                    "no_answer", phase="response", code=str(response.status_code), words=words
                )
    except HTTPError as error:
        raise requests.ConnectionError(error) from error
    return Reply(response.status_code, response.headers, bytes(found))


def judge_status(reply: Reply) -> DeliveryError:
    """Of a reply that says nothing in the provider's own words: what its status means."""
    status = reply.status
    shown: dict[str, Any] = {"phase": "response", "code": str(status), "words": reply.words()}
    if 300 <= status < 400 or status == 404:
        # The address is wrong, and nothing about this message.
        return SenderFailure("misconfigured", **shown)
    if status in {401, 403}:
        return SenderFailure("credentials", **shown)
    if status == 402:
        return SenderFailure("quota", **shown)
    if status in {408, 425}:
        return SenderFailure("transient", **shown)
    if status in {429, 503}:
        wait = _seconds(reply.headers.get("Retry-After", ""))
        return SenderFailure("throttled", retry_after=wait, **shown)
    if 400 <= status < 500:
        return SenderFailure("misconfigured", **shown)
    # What cannot be read of a 2xx, 500, 502, 504: it may have been taken.
    return OutcomeUnknown("no_answer", **shown)


def judge_transport(error: BaseException) -> DeliveryError:
    """No answer. Only if no connection came about is it certain that nothing was taken."""
    chain: list[BaseException] = [error]
    while (below := chain[-1].__cause__ or chain[-1].__context__) and below not in chain:
        chain.append(below)
    causes: list[BaseException] = [*chain]
    for link in chain:
        reason = getattr(link.args[0], "reason", None) if link.args else None
        if isinstance(link, MaxRetryError):
            reason = link.reason
        if isinstance(reason, BaseException):
            causes.append(reason)
    words = type(chain[-1]).__name__
    if any(isinstance(cause, UNSENDABLE) for cause in causes):
        return SenderFailure("misconfigured", phase="configure", words=words)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return SenderFailure("misconfigured", phase="tls", words=words)
    if any(isinstance(cause, NEVER_CONNECTED) for cause in causes):
        return SenderFailure("transient", phase="connect", words=words)
    # TLS also breaks, resets and times out after the request: only the place tells the difference.
    if any(_was_connecting(cause) for cause in causes):
        return SenderFailure("transient", phase="tls", words=words)
    return OutcomeUnknown("no_answer", phase="response", words=words)


def _was_connecting(error: BaseException) -> bool:
    """Whether it was raised before urllib3 had a connection on which to put the request."""
    return any(
        frame.f_code.co_name == "connect" and "urllib3" in frame.f_code.co_filename
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def retry_after(response: requests.Response | None) -> float | None:
    """Seconds."""
    return _seconds(response.headers.get("Retry-After", "") if response is not None else "")


def _seconds(text: str) -> float | None:
    """From a number or a date."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 1.0), 3600.0)

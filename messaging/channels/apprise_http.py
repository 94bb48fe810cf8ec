"""The HTTP that Apprise speaks: judged, bounded and remembered by us.

Its plugins call `requests.post`, swallow what goes wrong and answer True or False. In their modules
stands a `requests` of ours instead. It goes only where the operator allows, checked at every
connection; follows no redirect, knows no proxy; and keeps of each call what a plugin forgets: how
far it came, and what was answered.
"""

import contextlib
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from io import BytesIO
from ipaddress import ip_address
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from core.outgoing import CallFailed, resolve
from core.outgoing_addresses import (
    ForbiddenUrl,
    Networks,
    Target,
    judge_addresses,
    read_url,
)
from messaging.channels import http_api
from messaging.channels.base import DeliveryError, OutcomeUnknown, PermanentFailure, SenderFailure

# Of one hand-over: some services look something up first.
MAX_CALLS = 10
# What a plugin may say of a call; the rest is ours.
TAKEN_OVER = ("params", "data", "json", "headers", "auth", "files")
# Where services put the words for people in what they answer.
WORDS_IN = ("code", "errcode", "error_code", "error", "errmsg", "msg", "message", "description")


def _no_networks() -> Networks:
    return ()


_networks: Callable[[], Networks] = _no_networks


def connect(networks: Callable[[], Networks]) -> None:
    """Who knows the settings says, once, to which networks beyond the public ones chats may go."""
    global _networks
    _networks = networks


class Exchange(http_api.Straight):
    """All calls of one hand-over. With `is_rehearsal` none leaves: `targets` says where they would
    have gone."""

    def __init__(self, *, is_rehearsal: bool = False) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter())
        self.is_rehearsal = is_rehearsal
        self.targets: list[Target] = []
        # One for each call: what it means for the message, None where a 2xx came.
        self.outcomes: list[DeliveryError | None] = []
        self.reply: http_api.Reply | None = None
        self._ends_at = time.monotonic() + http_api.ANSWER_SECONDS

    def request(self, method: Any, url: Any, *args: Any, **given: Any) -> requests.Response:
        try:
            return self._request(str(method), str(url), given)
        except (ForbiddenUrl, CallFailed) as error:
            kind = "misconfigured" if isinstance(error, ForbiddenUrl) else "transient"
            failure: DeliveryError = SenderFailure(kind, phase="connect", words=str(error))
        except UnicodeError as error:
            failure = SenderFailure("misconfigured", phase="configure", words=type(error).__name__)
        except DeliveryError as error:
            failure = error
        except (requests.RequestException, OSError, ValueError) as error:
            failure = http_api.judge_transport(error)
        if isinstance(failure, OutcomeUnknown) and str(method).upper() == "GET":
            # Services look things up so, and are sent nothing.
            failure = SenderFailure("transient", phase=failure.phase, words=failure.words)
        self.outcomes.append(failure)
        # All that a plugin can understand, and nothing that it could tell.
        raise requests.ConnectionError(failure.kind) from None

    def _request(self, method: str, url: str, given: dict[str, Any]) -> requests.Response:
        target = judge_url(url)
        self.targets.append(target)
        if self.is_rehearsal:
            raise SenderFailure("transient", phase="rehearsal")
        if len(self.targets) > MAX_CALLS or time.monotonic() > self._ends_at:
            raise OutcomeUnknown("no_answer", phase="response", words="Apprise came to no end.")
        response = super().request(
            method,
            url,
            **{name: given[name] for name in TAKEN_OVER if name in given},
            timeout=http_api.TIMEOUT,
            allow_redirects=False,
            stream=True,
            verify=True,
        )
        with response:
            self.reply = reply = http_api.read_whole(response, self._ends_at)
        self.outcomes.append(_judge(reply))
        return _as_response(response, reply)


def judge_url(url: str) -> Target:
    """Raises `ForbiddenUrl`. Plain http is judged again where the addresses are known."""
    parts = urlsplit(url)
    return read_url(f"{parts.scheme}://{parts.netloc}/", networks=_networks(), allows_http=True)


def judged_addresses(host: str, port: int, *, is_encrypted: bool, seconds: float) -> list[str]:
    """Where `host` may be connected. Raises `ForbiddenUrl` and `CallFailed`."""
    networks = _networks()
    addresses = judge_addresses(host, resolve(host, port, seconds=seconds), networks)
    inside = [a for a in addresses if any(ip_address(a) in network for network in networks)]
    if not is_encrypted and len(inside) < len(addresses):
        raise ForbiddenUrl(
            f"{host} is called without TLS, which is allowed inside your own networks only: use "
            "the schema that ends in s."
        )
    return addresses


def _judge(reply: http_api.Reply) -> DeliveryError | None:
    if 200 <= reply.status < 300:
        return None
    shown = http_api.Reply(reply.status, reply.headers, words_of(reply).encode())
    failure = http_api.judge_status(shown)
    if 400 <= reply.status < 500 and failure.kind == "misconfigured" and reply.status != 404:
        # Chats answer so to what stands in a message, and it can be no better next time.
        return PermanentFailure(
            "rejected", phase="response", code=str(reply.status), words=failure.words
        )
    return failure


def words_of(reply: http_api.Reply) -> str:
    """Of an answer, what is meant for people: services repeat the message in it."""
    found = reply.object()
    if found is None:
        return reply.words()[:200]
    said = [found[name] for name in WORDS_IN if isinstance(found.get(name), str | int)]
    return " ".join(" ".join(str(word) for word in said).split())[:200]


def _as_response(response: requests.Response, reply: http_api.Reply) -> requests.Response:
    """A whole one: the body of the first was read away."""
    whole = requests.Response()
    whole.status_code, whole.headers = response.status_code, response.headers
    whole.reason, whole.url, whole.encoding = response.reason, response.url, response.encoding
    whole.raw = BytesIO(reply.body)
    return whole


class _Connecting:
    """For urllib3's connections: the addresses are looked up and judged here, and nowhere else."""

    host: str
    port: int
    is_encrypted = False

    def _new_conn(self) -> socket.socket:
        seconds = http_api.TIMEOUT[0]
        host = self.host.strip("[]")
        addresses = judged_addresses(
            host, self.port, is_encrypted=self.is_encrypted, seconds=seconds
        )
        failure: OSError | None = None
        for address in addresses[:4]:
            try:
                return socket.create_connection((address, self.port), timeout=seconds)
            except OSError as error:
                failure = error
        words = (failure and failure.strerror) or type(failure).__name__
        raise CallFailed(f"No connection: {words}.")


class _Plain(_Connecting, HTTPConnection):
    pass


class _Encrypted(_Connecting, HTTPSConnection):
    is_encrypted = True


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _EncryptedPool(HTTPSConnectionPool):
    ConnectionCls = _Encrypted


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _EncryptedPool}


# --- in the place of `requests` -------------------------------------------------------------------

_current: ContextVar[Exchange] = ContextVar("apprise_exchange")


class _Requests(ModuleType):
    """What plugins use of `requests`, with our calls; anything else of it is missing. Outside of a
    hand-over every call raises `LookupError`."""

    codes = requests.codes
    exceptions = requests.exceptions
    RequestException = requests.RequestException

    def request(self, method: str, url: str, **given: Any) -> requests.Response:
        return _current.get().request(method, url, **given)

    def get(self, url: str, params: Any = None, **given: Any) -> requests.Response:
        return self.request("GET", url, params=params, **given)

    def post(self, url: str, data: Any = None, json: Any = None, **given: Any) -> requests.Response:
        return self.request("POST", url, data=data, json=json, **given)

    def delete(self, url: str, **given: Any) -> requests.Response:
        return self.request("DELETE", url, **given)


_OURS = _Requests("requests")


@contextlib.contextmanager
def speaking_through(exchange: Exchange, plugin: Any) -> Iterator[None]:
    """Every call of `plugin` in this block is one of `exchange`."""
    for each in type(plugin).__mro__:
        module = sys.modules[each.__module__]
        if each.__module__.startswith("apprise.") and hasattr(module, "requests"):
            module.requests = _OURS  # type: ignore[attr-defined]
    token = _current.set(exchange)
    try:
        yield
    finally:
        _current.reset(token)
        exchange.close()

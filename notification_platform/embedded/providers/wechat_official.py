"""A WeChat Official Account (公众号) on a loopback port, with its followers and their reports.

After developers.weixin.qq.com/doc/offiaccount: stable_token, template messages, subscribe notices,
the server address and its events.
"""

import json
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from messaging.channels import wechat_crypto
from notification_platform.embedded.providers.server import Answer, Arrival, Asked, LocalProvider
from notification_platform.embedded.providers.wechat_tokens import Tokens

# Seconds in which an id of the caller's is good for one message.
REMEMBERED = 600
TRIES = 3
PROMPT_SECONDS = 0.5
WORDS = {
    0: "ok",
    40001: "invalid credential, access_token is invalid or not latest",
    40003: "invalid openid",
    40013: "invalid appid",
    40014: "invalid access_token",
    40037: "invalid template_id",
    40125: "invalid appsecret",
    40164: "invalid ip 127.0.0.1, not in whitelist",
    41001: "access_token missing",
    42001: "access_token expired",
    43004: "require subscribe",
    43101: "user refuse to accept the msg",
    47001: "data format error",
    47003: "argument invalid! data.{}.value invalid",
}
# Characters that a field takes, by the beginning of its name.
LONGEST = {
    "thing": 20,
    "number": 32,
    "letter": 32,
    "symbol": 5,
    "character_string": 32,
    "phone_number": 17,
    "car_number": 8,
    "name": 20,
    "phrase": 5,
    "const": 20,
}


@dataclass(frozen=True, slots=True)
class Event:
    """What will be posted: its name, to whom it happened, and the rest as XML."""

    name: str
    openid: str
    xml: str


class OfficialServer(LocalProvider):
    """An account with followers. What became of messages is posted to `callback_url` when
    `post_events` is called; if it `is_prompt`, soon after the answer."""

    def __init__(self, *, port: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(port=port)
        self._clock = clock
        self.app_id = "wx0123456789abcdef"
        self.secret = "app-secret-0123456789abcdef01234"  # noqa: S105
        self.followers = {"oAnn-Follows_WeChat000000001", "oBob-Follows_WeChat000000002"}
        # Follow, and refuse its messages.
        self.blocking: set[str] = set()
        # Know the account and do not follow it any more.
        self.former = {"oEve-Followed_WeChat00000003"}
        self.templates = {
            "template-0001": ("thing1", "number2"),
            "notice-0001": ("thing1", "phrase2"),
        }
        # How many notices of a template somebody agreed to.
        self.agreed: dict[tuple[str, str], int] = {}
        self.is_listed = True
        self.tokens = Tokens(clock)
        self.token_fetches = 0
        # Each one logs out the company's other systems.
        self.plain_token_fetches = 0
        self.forced_refreshes = 0
        # The same id of the caller's again.
        self.duplicates = 0
        self.callback_url = ""
        self.is_prompt = False
        self.callback_token = "callbackToken2026"  # noqa: S105
        self.encoding_aes_key = ""
        self.events: deque[Event] = deque()
        self._taken: dict[tuple[str, str], tuple[float, int]] = {}
        self._last_id = 3_487_542_469_355_618_000

    def invalidate_tokens(self) -> None:
        with self.lock:
            self.tokens.revoke()

    def agree(self, openid: str, template_id: str, times: int = 1) -> None:
        """Somebody subscribes to so many notices."""
        key = (openid, template_id)
        self.agreed[key] = self.agreed.get(key, 0) + times

    def answer(self, asked: Asked) -> Answer:
        match asked.method, asked.path:
            case "POST", "/cgi-bin/stable_token":
                return self._give_token(asked)
            case _, "/cgi-bin/token":
                self.plain_token_fetches += 1
                self.tokens.revoke()
                given = self.tokens.give(self.app_id)
                return Answer.of({"access_token": given.value, "expires_in": 7200})
            case "GET", "/cgi-bin/get_api_domain_ip":
                return self._with_token(asked, lambda body: Answer.of({"ip_list": ["127.0.0.1"]}))
            case "POST", "/cgi-bin/message/template/send":
                return self._with_token(asked, self._send)
            case "POST", "/cgi-bin/message/subscribe/bizsend":
                return self._with_token(asked, self._notify)
        return Answer.of({"errcode": 404, "errmsg": "not found"}, 404)

    def _give_token(self, asked: Asked) -> Answer:
        self.token_fetches += 1
        body = _object(asked.body)
        if body is None or body.get("grant_type") != "client_credential":
            return _says(47001)
        if body.get("appid") != self.app_id:
            return _says(40013)
        if body.get("secret") != self.secret:
            return _says(40125)
        if not self.is_listed:
            return _says(40164)
        if body.get("force_refresh"):
            self.forced_refreshes += 1
            self.tokens.revoke()
        given = self.tokens.give(self.app_id)
        return Answer.of({"access_token": given.value, "expires_in": self.tokens.left(given)})

    def _with_token(self, asked: Asked, do: Callable[[dict[str, Any]], Answer]) -> Answer:
        _, code = self.tokens.owner_of(asked.query.get("access_token", ""))
        if code:
            # What it says of a token that another one has replaced.
            return _says(40001 if code == 40014 else code)
        body = _object(asked.body) if asked.method == "POST" else {}
        return _says(47001) if body is None else do(body)

    def _send(self, body: dict[str, Any]) -> Answer:
        openid, ours = str(body.get("touser")), str(body.get("client_msg_id") or "")
        if refused := self._fault(body, openid):
            return refused
        at, before = self._taken.get((openid, ours), (float("-inf"), 0))
        if ours and self._clock() - at < REMEMBERED:
            self.duplicates += 1
            return _says(0, msgid=before)
        msgid = self._next_id()
        self._taken[openid, ours] = (self._clock(), msgid)
        is_blocked = openid in self.blocking
        status = "failed:user block" if is_blocked else "success"
        xml = f"<MsgID>{msgid}</MsgID><Status>{_data(status)}</Status>"
        self.tell("TEMPLATESENDJOBFINISH", openid, xml)
        self.keep(self._arrival(openid, body))
        return _says(0, msgid=msgid)

    def _notify(self, body: dict[str, Any]) -> Answer:
        openid, template = str(body.get("touser")), str(body.get("template_id"))
        if refused := self._fault(body, openid):
            return refused
        if openid in self.blocking or self.agreed.get((openid, template), 0) < 1:
            return _says(43101)
        self.agreed[openid, template] -= 1
        msgid = self._next_id()
        xml = (
            f"<SubscribeMsgSentEvent><List><TemplateId>{_data(template)}</TemplateId>"
            f"<MsgID>{msgid}</MsgID><ErrorCode>0</ErrorCode><ErrorStatus>{_data('success')}"
            "</ErrorStatus></List></SubscribeMsgSentEvent>"
        )
        self.tell("subscribe_msg_sent_event", openid, xml)
        self.keep(self._arrival(openid, body))
        return _says(0, msgid=msgid)

    def _fault(self, body: dict[str, Any], openid: str) -> Answer | None:
        if openid in self.former:
            return _says(43004)
        if openid not in self.followers:
            return _says(40003)
        fields = self.templates.get(str(body.get("template_id")))
        if fields is None:
            return _says(40037)
        data = body.get("data")
        for name in fields:
            value = data.get(name, {}).get("value") if isinstance(data, dict) else None
            longest = LONGEST.get(name.rstrip("0123456789"), 200)
            if not isinstance(value, str) or not 0 < len(value) <= longest:
                return _says(47003, about=name)
        return None

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _arrival(self, openid: str, body: dict[str, Any]) -> Arrival:
        lines = [f"{name}: {one['value']}" for name, one in body["data"].items()]
        rest = {name: value for name, value in body.items() if name not in {"touser", "data"}}
        return Arrival(openid, "\n".join(lines), str(body["template_id"]), rest)

    # --- reports ---------------------------------------------------------------------------------

    def tell(self, name: str, openid: str, xml: str = "") -> None:
        """Something happens at the account."""
        self.events.append(Event(name, openid, xml))
        if self.is_prompt and self.callback_url:
            timer = threading.Timer(PROMPT_SECONDS, self.post_events)
            timer.daemon = True
            timer.start()

    def post_events(self, *, times: int = 1) -> list[int]:
        """All that wait, each `times` times; the statuses of the answers. As WeChat does, once more
        up to three times unless `success` comes back."""
        statuses = []
        for _ in range(len(self.events)):
            try:
                body = self.xml_of(self.events.popleft())
            except IndexError:
                # Somebody else posts them.
                break
            for _ in range(times):
                for _ in range(TRIES):
                    status, said = self.post(body)
                    statuses.append(status)
                    if said == "success":
                        break
        return statuses

    def xml_of(self, event: Event) -> str:
        return (
            f"<xml><ToUserName>{_data('gh_0123456789ab')}</ToUserName>"
            f"<FromUserName>{_data(event.openid)}</FromUserName>"
            f"<CreateTime>{int(time.time())}</CreateTime><MsgType>{_data('event')}</MsgType>"
            f"<Event>{_data(event.name)}</Event>{event.xml}</xml>"
        )

    def signed(self, xml: str, *, at: int | None = None) -> tuple[str, bytes]:
        """What follows the ? of the address, and the body, encrypted if there is a key."""
        timestamp = str(int(time.time()) if at is None else at)
        nonce = str(secrets.randbelow(10**9))
        token = self.callback_token
        query = {
            "signature": wechat_crypto.signature(token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
        }
        if self.encoding_aes_key:
            key = wechat_crypto.key_from(self.encoding_aes_key)
            encrypted = wechat_crypto.encrypt(xml.encode(), key=key, receive_id=self.app_id)
            query |= {
                "encrypt_type": "aes",
                "msg_signature": wechat_crypto.signature(token, timestamp, nonce, encrypted),
            }
            xml = (
                f"<xml><ToUserName>{_data('gh_0123456789ab')}</ToUserName>"
                f"<Encrypt>{_data(encrypted)}</Encrypt></xml>"
            )
        return urlencode(query), xml.encode()

    def post(self, xml: str) -> tuple[int, str]:
        query, body = self.signed(xml)
        request = urllib.request.Request(  # noqa: S310
            f"{self.callback_url}?{query}", body, {"Content-Type": "text/xml"}
        )
        return _answer_to(request)

    def greet(self) -> tuple[int, str, str]:
        """As when the address is entered: the status, what came back, and what should have."""
        echo = secrets.token_hex(8)
        query, _ = self.signed("")
        request = urllib.request.Request(  # noqa: S310
            f"{self.callback_url}?{query}&{urlencode({'echostr': echo})}"
        )
        return (*_answer_to(request), echo)


def _answer_to(request: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")
    except OSError:
        return 0, ""


def _says(code: int, *, about: str = "", **further: Any) -> Answer:
    words = WORDS[code].format(about)
    rid = f" rid: {secrets.token_hex(4)}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
    return Answer.of({"errcode": code, "errmsg": words + (rid if code else ""), **further})


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _data(text: str) -> str:
    return f"<![CDATA[{text}]]>" if "]]>" not in text else escape(text)

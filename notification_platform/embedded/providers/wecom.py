"""WeChat Work (企业微信) on a loopback port: applications and group robots.

After developer.work.weixin.qq.com: /document/path/91039 (tokens), /90236 (messages), /91770
(robots), /90313 (codes).
"""

import json
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from notification_platform.embedded.providers.server import Answer, Arrival, Asked, LocalProvider
from notification_platform.embedded.providers.wechat_tokens import Tokens

TEXT_BYTES = 2048
ROBOT_MARKDOWN_BYTES = 4096
ROBOT_A_MINUTE = 20
MEMBER_A_MINUTE = 30
WORDS = {
    0: "ok",
    40001: "invalid credential",
    40008: "invalid message type",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40056: "invalid agentid",
    41001: "access_token missing",
    42001: "access_token expired",
    44004: "empty content",
    45002: "content size out of limit",
    45009: "api freq out of limit",
    47001: "data format error",
    60020: "not allow to access from your ip",
    81013: "user & party & tag all invalid",
    93000: "invalid webhook url",
    301002: "not allow operate another agent with this accesstoken",
}
CARDS = frozenset(
    {
        *("text_notice", "news_notice", "button_interaction"),
        *("vote_interaction", "multiple_interaction"),
    }
)
ROBOT_CARDS = frozenset({"text_notice", "news_notice"})


@dataclass(slots=True)
class App:
    agent_id: int
    secret: str
    name: str


class WecomServer(LocalProvider):
    """A corporation with an application and robots. `robots` are groups by the robot's key."""

    def __init__(self, *, port: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(port=port)
        self._clock = clock
        self.corp_id = "ww0123456789abcdef"
        self.apps = [App(1000002, "app-secret-0123456789-abcdefghijklmnopqrstuv", "Notifications")]
        self.members = {"zhangsan", "lisi", "wangwu"}
        self.parties = {"1", "2"}
        self.tags = {"7"}
        self.robots = {"693a91f6-7aaa-4bc4-97a0-0ec2sifa5aaa": "Operations"}
        self.is_trusted = True
        self.tokens = Tokens(clock)
        self.token_fetches = 0
        # The same content again.
        self.duplicates = 0
        # What was more than a member may get in a minute: nobody is told.
        self.dropped = 0
        self._seen: dict[str, tuple[float, str]] = {}
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)

    def rotate_secret(self) -> str:
        """A new one for the first application, as in the console: the old token ends as well."""
        with self.lock:
            app = self.apps[0]
            app.secret = secrets.token_urlsafe(32)
            self.tokens.revoke(str(app.agent_id))
            return app.secret

    def invalidate_tokens(self) -> None:
        with self.lock:
            self.tokens.revoke()

    def answer(self, asked: Asked) -> Answer:
        match asked.method, asked.path:
            case "GET", "/cgi-bin/gettoken":
                return self._give_token(asked)
            case "GET", "/cgi-bin/agent/get":
                return self._as_app(asked, self._tell_of_app)
            case "POST", "/cgi-bin/message/send":
                return self._as_app(asked, self._send)
            case "POST", "/cgi-bin/webhook/send":
                return self._send_by_robot(asked)
        return Answer.of({"errcode": 404, "errmsg": "not found"}, 404)

    # --- applications ----------------------------------------------------------------------------

    def _give_token(self, asked: Asked) -> Answer:
        self.token_fetches += 1
        if asked.query.get("corpid") != self.corp_id:
            return _says(40013)
        secret = asked.query.get("corpsecret")
        app = next((one for one in self.apps if one.secret == secret), None)
        if app is None:
            return _says(40001)
        given = self.tokens.give(str(app.agent_id))
        return _says(0, access_token=given.value, expires_in=self.tokens.left(given))

    def _as_app(self, asked: Asked, do: Callable[[Asked, App], Answer]) -> Answer:
        owner, code = self.tokens.owner_of(asked.query.get("access_token", ""))
        if code:
            return _says(code)
        if not self.is_trusted:
            return _says(60020)
        return do(asked, next(app for app in self.apps if str(app.agent_id) == owner))

    def _tell_of_app(self, asked: Asked, app: App) -> Answer:
        if asked.query.get("agentid") != str(app.agent_id):
            return _says(301002)
        return _says(0, agentid=app.agent_id, name=app.name, close=0)

    def _send(self, asked: Asked, app: App) -> Answer:
        body = _object(asked)
        if body is None:
            return _says(47001)
        if not isinstance(body.get("agentid"), int):
            return _says(40056)
        if body["agentid"] != app.agent_id:
            return _says(301002)
        code = _fault(body, markdown_bytes=TEXT_BYTES, cards=CARDS)
        if code:
            return _says(code)
        reached, invalid = self._recipients(body)
        if not reached:
            return _says(81013, **invalid)
        if known := self._sent_before(asked.body, app, body):
            return _says(0, msgid=known, **invalid)
        msgid = secrets.token_urlsafe(24)
        self._seen[self._print_of(asked.body, app)] = (self._clock(), msgid)
        if to := [one for one in reached if self._has_room(one)]:
            self.keep(_arrival("|".join(to), body, {"agentid": app.agent_id, **invalid}))
        return _says(0, msgid=msgid, **invalid)

    def _recipients(self, body: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
        """Who is reached, and who is not; ids come back in lower case."""
        if body.get("touser") == "@all":
            return sorted(self.members), {}
        reached, invalid = [], {}
        for name, known, told, form in (
            ("touser", {one.lower() for one in self.members}, "invaliduser", "{}"),
            ("toparty", self.parties, "invalidparty", "party:{}"),
            ("totag", self.tags, "invalidtag", "tag:{}"),
        ):
            given = [one.lower() for one in str(body.get(name, "")).split("|") if one]
            reached += [form.format(one) for one in given if one in known]
            if wrong := [one for one in given if one not in known]:
                invalid[told] = "|".join(wrong)
        return reached, invalid

    def _sent_before(self, content: bytes, app: App, body: dict[str, Any]) -> str:
        if body.get("enable_duplicate_check") != 1:
            return ""
        at, msgid = self._seen.get(self._print_of(content, app), (float("-inf"), ""))
        if self._clock() - at >= body.get("duplicate_check_interval", 1800):
            return ""
        self.duplicates += 1
        return msgid

    def _print_of(self, content: bytes, app: App) -> str:
        return f"{app.agent_id} {content.decode('utf-8', 'replace')}"

    def _has_room(self, member: str) -> bool:
        has_room = self._count(f"member {member}", MEMBER_A_MINUTE)
        self.dropped += not has_room
        return has_room

    # --- robots ----------------------------------------------------------------------------------

    def _send_by_robot(self, asked: Asked) -> Answer:
        key = asked.query.get("key", "")
        if key not in self.robots:
            return _says(93000)
        body = _object(asked)
        if body is None:
            return _says(47001)
        code = _fault(body, markdown_bytes=ROBOT_MARKDOWN_BYTES, cards=ROBOT_CARDS)
        if code or body["msgtype"] == "textcard":
            return _says(code or 40008)
        if not self._count(f"robot {key}", ROBOT_A_MINUTE):
            return _says(45009)
        self.keep(_arrival(self.robots[key], body, {"robot": True}))
        return _says(0)

    def _count(self, whose: str, most: int) -> bool:
        times, now = self._times[whose], self._clock()
        while times and times[0] <= now - 60:
            times.popleft()
        if len(times) >= most:
            return False
        times.append(now)
        return True


def _says(code: int, **further: Any) -> Answer:
    return Answer.of({"errcode": code, "errmsg": WORDS[code], **further})


def _object(asked: Asked) -> dict[str, Any] | None:
    try:
        body = json.loads(asked.body)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _fault(body: dict[str, Any], *, markdown_bytes: int, cards: frozenset[str]) -> int:
    """The `errcode`; 0 if there is nothing wrong."""
    kind = body.get("msgtype")
    if kind not in {"text", "markdown", "textcard", "news", "template_card"}:
        return 40008
    part = body.get(kind)
    if not isinstance(part, dict) or not part:
        return 44004
    if kind in {"text", "markdown"}:
        size = len(str(part.get("content", "")).encode())
        most = markdown_bytes if kind == "markdown" else TEXT_BYTES
        return 44004 if not size else 45002 if size > most else 0
    if kind == "textcard":
        return 0 if all(part.get(name) for name in ("title", "description", "url")) else 44004
    if kind == "news":
        articles = part.get("articles")
        return 0 if isinstance(articles, list) and 1 <= len(articles) <= 8 else 44004
    return 0 if part.get("card_type") in cards else 40008


def _arrival(to: str, body: dict[str, Any], details: dict[str, Any]) -> Arrival:
    """What a member sees: of titles and descriptions no more than there is room for."""
    kind = body["msgtype"]
    part = body[kind]
    if kind == "news":
        titles = [str(article.get("title", "")) for article in part["articles"]]
        text = "\n".join(str(article.get("description", "")) for article in part["articles"])
        return Arrival(to, text, titles[0], {"msgtype": kind, **details, **part})
    if kind == "template_card":
        main = part.get("main_title") or {}
        return Arrival(
            to, str(main.get("desc", "")), str(main.get("title", "")), {"msgtype": kind, **part}
        )
    title, text = str(part.get("title", "")), str(part.get("content", part.get("description", "")))
    rest = {name: value for name, value in part.items() if name not in {"content", "description"}}
    shown = text if kind != "textcard" else text[:512]
    return Arrival(to, shown, title[:128], {"msgtype": kind, **details, **rest})

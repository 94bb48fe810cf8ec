"""Sends one e-mail through the public API, follows it, and tells its story."""

import json
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

from notification_platform.embedded.first_data import Access
from notification_platform.mailbox import find_by_message_id

PATIENCE = 30.0


class DemoFailed(Exception):
    """Says what did not work; the platform is not usable then."""


def show(*, port: int, access: Access, stopped: threading.Event) -> None:
    """Raises `DemoFailed`. Returns early when the process is told to stop."""
    address = f"http://localhost:{port}"
    api = f"http://127.0.0.1:{port}/api/v1"
    started = time.monotonic()
    token = _call(
        f"{api}/auth/token", {"api_key": access.api_key, "api_secret": access.api_secret}
    )["access_token"]
    accepted = _call(
        f"{api}/messages/email/send",
        {
            "to": "newcomer@example.com",
            "subject": "Your first notification 你好",
            "content": "<h1>It works</h1><p>This mail went the whole way: API, database, worker, "
            "sender, SMTP.</p>",
            "text": "It works. This mail went the whole way: API, database, worker, sender, SMTP.",
            "reference": f"make run at {datetime.now():%Y-%m-%d %H:%M:%S}",  # noqa: DTZ005
        },
        token=token,
    )
    message = _follow(api, accepted["id"], token, started=started, stopped=stopped)
    if message is None:
        return
    _tell(message, address)
    _guide(address, access)


def _follow(
    api: str, message_id: str, token: str, *, started: float, stopped: threading.Event
) -> dict[str, Any] | None:
    while not stopped.is_set():
        message = _call(f"{api}/messages/{message_id}", token=token)
        if message["status"] == "success":
            return message
        if time.monotonic() - started > PATIENCE or message["status"] in {"failed", "cancelled"}:
            raise DemoFailed(
                f"message {message_id} is {message['status']} after {PATIENCE:.0f} s: "
                f"{message['reason']} {message['reason_detail']}"
            )
        stopped.wait(0.1)
    return None


def _call(url: str, body: Any = None, *, token: str = "") -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310
    # A proxy of the shell has no business between us and ourselves.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        raise DemoFailed(f"{url} answered {error.code}: {error.read().decode()[:500]}") from error
    except OSError as error:
        raise DemoFailed(f"{url}: {error}") from error


def _tell(message: dict[str, Any], address: str) -> None:
    print(f"\nOne e-mail, through the whole platform\n\n  id      {message['id']}")  # noqa: T201
    for step in message["history"]:
        at = datetime.fromisoformat(step["at"]).astimezone()
        print(f"  {at:%H:%M:%S.%f}"[:-3] + f"  {step['status']:<8} {step['detail']}")  # noqa: T201
    mail = find_by_message_id(message["id"])
    print(f"  sender  {message['sender']}")  # noqa: T201
    print(f"  mail    {address}/mailbox/{mail}" if mail else "")  # noqa: T201


def _guide(address: str, access: Access) -> None:
    api = f"{address}/api/v1"
    print(  # noqa: T201
        f"""
Where to go

  API docs  {address}/docs  (or {address}/redoc)
  admin     {address}/admin/  user {access.operator}, password {access.password}
  mailbox   {address}/mailbox
  phone     {address}/phone  (what other channels sent)
  health    {address}/health

Try it yourself

  TOKEN=$(curl -s -X POST {api}/auth/token -H "Content-Type: application/json" \\
    -d '{{"api_key": "{access.api_key}", "api_secret": "{access.api_secret}"}}' \\
    | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')

  curl -X POST {api}/messages/email/send -H "Authorization: Bearer $TOKEN" \\
    -H "Content-Type: application/json" \\
    -d '{{"to": "user@example.com", "subject": "测试邮件", "content": "<h1>Hello World</h1>"}}'

  curl -X POST {api}/messages/email/send -H "Authorization: Bearer $TOKEN" \\
    -H "Content-Type: application/json" \\
    -d '{{"to": "user@example.com", "template_code": "welcome", "locale": "zh-hans",
         "variables": {{"name": "小明", "product": "Example", "action_url": "https://example.com"}}}}'

  curl -X POST {api}/messages/sms/send -H "Authorization: Bearer $TOKEN" \\
    -H "Content-Type: application/json" \\
    -d '{{"to": "13800138000", "template_code": "login-code", "locale": "zh-hans",
         "variables": {{"code": "482913", "minutes": 5}}}}'

  curl -X POST {api}/messages/wechat/send -H "Authorization: Bearer $TOKEN" \\
    -H "Content-Type: application/json" \\
    -d '{{"to": ["zhangsan", "party:2"], "message_type": "markdown", "content": "**构建** 已通过"}}'

  curl -X POST {api}/messages/chat/send -H "Authorization: Bearer $TOKEN" \\
    -H "Content-Type: application/json" \\
    -d '{{"to": "ops-chat", "title": "db-1", "content": "Disk is 95 % full"}}'

  curl "{api}/messages?status=success&page=1&page_size=10" -H "Authorization: Bearer $TOKEN"

It runs until Ctrl-C; what it did is kept for the next time.""",
        flush=True,
    )

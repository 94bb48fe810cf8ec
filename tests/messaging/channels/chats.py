"""What tests of chats share: an imitation that is called through the real Apprise."""

from ipaddress import ip_network
from typing import Any

import pytest

from messaging.channels import apprise_http, http_api
from messaging.channels.apprise_chat import AppriseChat
from messaging.channels.base import DeliveryError
from messaging.channels.content import TextContent
from tests.messaging.channels.http_contract import account_of, outbound_of

# Seconds: long enough for who answers on a busy machine.
SOON = 1.5

TOKEN = "tk_0123456789abcdefghijklmnopqrs"
GOTIFY = "AbCdEfGhIjKlMn1"
TEXT = TextContent(to=[("", "team")], subject="发布完成", text="Version 2.1 is live. 已上线")


def shorten_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_api, "TIMEOUT", (SOON, SOON))
    monkeypatch.setattr(http_api, "ANSWER_SECONDS", SOON)


def allow(monkeypatch: pytest.MonkeyPatch, *networks: str) -> None:
    found = [ip_network(network) for network in networks]
    monkeypatch.setattr(apprise_http, "_networks", lambda: found)


def ntfy(
    provider: Any, token: str = TOKEN, topic: str = "releases", arguments: str = "?auth=token"
) -> str:
    return f"ntfy://{token}@127.0.0.1:{provider.port}/{topic}{arguments}"


def adapter_for(url: str) -> AppriseChat:
    return AppriseChat(account_of(AppriseChat, options={}, credentials={"url": url}))


def failure(adapter: AppriseChat, content: TextContent = TEXT, **further: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        adapter.send(outbound_of(content, **further))
    told = f"{caught.value!r} {caught.value} {caught.value.words}"
    assert TOKEN not in told
    assert GOTIFY not in told
    assert TEXT.text not in told
    return caught.value

"""Which senders the embedded mode has beside the mailbox: each against an imitation.

A row is in use as soon as its adapter is in `messaging.channels.registry`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.module_loading import import_string

from messaging.channels.base import Channel, ChannelAdapter
from messaging.channels.registry import ADAPTERS
from notification_platform.embedded.providers.server import LocalProvider

PROVIDERS = "notification_platform.embedded.providers"


@dataclass(frozen=True, slots=True)
class LocalSender:
    """`account` gives options and credentials for the provider, once it runs. Senders with the same
    `provider` share one."""

    name: str
    adapter: str
    provider: str
    account: Callable[[Any], tuple[dict[str, Any], dict[str, Any]]]

    @property
    def adapter_class(self) -> type[ChannelAdapter]:
        return ADAPTERS[self.adapter]

    @property
    def channel(self) -> Channel:
        return self.adapter_class.channel

    def make_provider(self) -> LocalProvider:
        provider: LocalProvider = import_string(f"{PROVIDERS}.{self.provider}")()
        return provider


LOCAL_SENDERS = (
    LocalSender(
        "local-chat",
        "apprise",
        "chat.ChatServer",
        lambda server: ({}, {"url": f"ntfy://127.0.0.1:{server.port}/newcomers"}),
    ),
    LocalSender(
        "local-sms",
        "aliyun_sms",
        "aliyun.AliyunSmsServer",
        lambda server: (
            {
                "access_key_id": next(iter(server.keys)),
                "sign_name": min(server.signatures),
                "api_url": server.url,
            },
            {"access_key_secret": next(iter(server.keys.values()))},
        ),
    ),
    LocalSender(
        "local-wecom",
        "wecom_app",
        "wecom.WecomServer",
        lambda server: (
            {
                "corp_id": server.corp_id,
                "agent_id": server.apps[0].agent_id,
                "api_url": server.url,
            },
            {"secret": server.apps[0].secret},
        ),
    ),
    LocalSender(
        "local-wecom-robot",
        "wecom_robot",
        "wecom.WecomServer",
        lambda server: ({"api_url": server.url}, {"key": next(iter(server.robots))}),
    ),
    LocalSender(
        "local-official",
        "wechat_official",
        "wechat_official.OfficialServer",
        lambda server: (
            {"app_id": server.app_id, "api_url": server.url},
            {"app_secret": server.secret},
        ),
    ),
)


def usable() -> list[LocalSender]:
    return [local for local in LOCAL_SENDERS if local.adapter in ADAPTERS]

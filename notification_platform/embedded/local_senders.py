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
    """`account` gives options and credentials for the provider, once it runs; `furnish` gives the
    provider what the starters and the documentation name, and `reports_to` the address to which it
    is to report. Senders with the same `provider` share one."""

    name: str
    adapter: str
    provider: str
    account: Callable[[Any], tuple[dict[str, Any], dict[str, Any]]]
    furnish: Callable[[Any], None] = lambda server: None
    reports_to: Callable[[Any, str], None] | None = None

    @property
    def adapter_class(self) -> type[ChannelAdapter]:
        return ADAPTERS[self.adapter]

    @property
    def channel(self) -> Channel:
        return self.adapter_class.channel

    def make_provider(self) -> LocalProvider:
        provider: LocalProvider = import_string(f"{PROVIDERS}.{self.provider}")()
        self.furnish(provider)
        return provider


def _furnish_sms(server: Any) -> None:
    server.templates |= {
        "SMS_100000001": "Your code is ${code}. It is valid for ${minutes} minutes.",
        "SMS_100000002": "您的验证码是${code}，${minutes}分钟内有效。",
    }


def _report_sms(server: Any, url: str) -> None:
    server.report_url, server.reports_at_once = url, True


def _furnish_official(server: Any) -> None:
    server.templates["TM_ORDER_PAID"] = ("character_string1", "thing2", "amount3", "time4")
    server.followers.add("oABCD0123456789_example-id00")


def _report_official(server: Any, url: str) -> None:
    server.callback_url, server.is_prompt = url, True


LOCAL_SENDERS = (
    LocalSender(
        "ops-chat",
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
        furnish=_furnish_sms,
        reports_to=_report_sms,
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
        "ops-robot",
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
            {"app_secret": server.secret, "callback_token": server.callback_token},
        ),
        furnish=_furnish_official,
        reports_to=_report_official,
    ),
)


def usable() -> list[LocalSender]:
    return [local for local in LOCAL_SENDERS if local.adapter in ADAPTERS]

"""Messages of a robot in WeChat Work (企业微信 群机器人), into the one group that it is in."""

import time
from collections.abc import Iterator
from typing import ClassVar

from messaging.channels import wecom_codes
from messaging.channels.base import (
    Channel,
    DeliveryError,
    Misfit,
    Option,
    Outbound,
    PermanentFailure,
    ProbeStep,
    Receipt,
)
from messaging.channels.content import TextContent
from messaging.channels.wechat_api import WechatAdapter, is_ok, words_of
from messaging.channels.wecom_app import API_URL
from messaging.channels.wecom_content import (
    OF_ROBOTS,
    is_for_robot,
    message_of,
    misfits,
)

SEND = "/cgi-bin/webhook/send"


class WecomRobot(WechatAdapter):
    """One robot. Its key is all it needs and all that protects it. WeChat Work gives its messages
    no ids and tells no repeats apart."""

    name = "wecom_robot"
    channel = Channel.WECHAT
    codes = wecom_codes.CODES
    is_named = True
    usual_limits: ClassVar[dict[str, int]] = {"per_minute": 20}
    options = (
        Option(
            "key",
            "What follows key= in the robot's address.",
            is_required=True,
            is_secret=True,
        ),
        Option("api_url", "Another address of the API.", default=API_URL),
    )

    @classmethod
    def misfits(cls, content: TextContent) -> list[Misfit]:
        if not is_for_robot(content):
            return []
        found = list(misfits(content, OF_ROBOTS))
        if len(content.recipients()) > 1:
            words = "A robot serves one group: a message to it has no other recipients."
            found.append(Misfit("/to", "invalid", words))
        mentions = ("mentions", "mentioned_mobiles")
        if content.format != "text" and any(content.details.get(name) for name in mentions):
            words = "WeChat Work mentions members in texts; in a markdown write <@id>."
            found.append(Misfit("/mentions", "invalid", words))
        return found

    def send(self, outbound: Outbound) -> Receipt:
        content: TextContent = outbound.content
        if content.format not in OF_ROBOTS.formats:
            words = f"A robot sends no {content.format}."
            raise PermanentFailure("rejected", phase="serialize", words=words)
        answer = self._ask(
            "POST",
            SEND,
            params={"key": self.option("key")},
            content=message_of(content, is_robot=True),
            is_sending=True,
        )
        if not is_ok(answer):
            raise self._judge(answer)
        return Receipt(code="0", words=words_of(answer))

    def probe(self) -> Iterator[ProbeStep]:
        """There is no call that sends nothing. An empty message is refused for itself if the key is
        right, and for the key (93000) if it is not: nothing appears in the group."""
        began = time.monotonic()
        try:
            answer = self._ask("POST", SEND, params={"key": self.option("key")}, content={})
            error = self._judge(answer)
            is_known = isinstance(error, PermanentFailure)
        except DeliveryError as failure:
            error, is_known = failure, False
        finally:
            self.close()
        words = (
            "WeChat Work knows the key. Only a message shows whether it arrives in the group."
            if is_known
            else str(error)
        )
        yield ProbeStep("key", is_known, words, (time.monotonic() - began) * 1000)

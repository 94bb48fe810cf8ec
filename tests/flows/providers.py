"""The imitations that `make run` uses, with what these flows look at besides."""

import json
import threading
import time
from collections import defaultdict
from typing import Any

from notification_platform.embedded.providers.aliyun import AliyunSmsServer, SentSms
from notification_platform.embedded.providers.server import Answer, Asked
from notification_platform.embedded.providers.wechat_official import OfficialServer
from notification_platform.embedded.providers.wecom import WecomServer

SECOND_KEY_ID, SECOND_SECRET = "LTAI5tSecondAccount", "second-secret-0123456789"
SECOND_SIGN_NAME = "示例商城"
OPERATIONS, BUILDS = "693a91f6-7aaa-4bc4-97a0-operations", "0ec2fa5a-5aaa-4bc4-97a0-builds"
# Ids of the starter templates, as an operator would have them approved. The second account has ids
# of its own.
SMS_TEMPLATES = {
    "SMS_100000001": "Your code is ${code}. It is valid for ${minutes} minutes.",
    "SMS_100000002": "您的验证码是${code}，${minutes}分钟内有效。",
    "SMS_900000002": "您的验证码是${code}，${minutes}分钟内有效。",
}
NO_MONEY = {"RequestId": "R-1", "Code": "isv.AMOUNT_NOT_ENOUGH", "Message": "账户余额不足"}


class Clock:
    """Of a provider for which `ahead` seconds more have passed."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Aliyun(AliyunSmsServer):
    """Two accounts, of which those of `penniless` keys send nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.keys |= {SECOND_KEY_ID: SECOND_SECRET}
        self.signatures |= {SECOND_SIGN_NAME}
        self.templates |= SMS_TEMPLATES
        self.penniless: set[str] = set()
        self.questions = 0

    def answer(self, asked: Asked) -> Answer:
        action = asked.headers.get("x-acs-action")
        self.questions += action == "QuerySendDetails"
        said = asked.headers.get("authorization", "")
        if action == "SendSms" and any(f"Credential={key}," in said for key in self.penniless):
            return Answer.of(NO_MONEY)
        return super().answer(asked)

    def sent_to(self, *numbers: str) -> list[SentSms]:
        """In the order of `numbers`, of which each may have several or none."""
        return [sms for number in numbers for sms in list(self.sent) if sms.number == number]


class Wecom(WecomServer):
    """`codes` are what it answered to messages, by the key of the robot; empty: the application."""

    def __init__(self) -> None:
        self.clock = Clock()
        super().__init__(clock=self.clock)
        self.members |= {f"member{n}" for n in range(100)}
        self.robots = {OPERATIONS: "Operations", BUILDS: "Builds"}
        self.codes: defaultdict[str, list[int]] = defaultdict(list)
        self.asked_by: set[int] = set()

    def answer(self, asked: Asked) -> Answer:
        answer = super().answer(asked)
        if asked.path.endswith("/send"):
            self.codes[asked.query.get("key", "")].append(json.loads(answer.body)["errcode"])
        if asked.path.endswith("/message/send"):
            # A thread serves a connection.
            self.asked_by.add(threading.get_ident())
        return answer

    def a_minute_passes(self) -> None:
        self.clock.ahead += 60

    def posted_to(self, group: str) -> list[str]:
        return [arrival.text for arrival in list(self.arrived) if arrival.to == group]


class Official(OfficialServer):
    """With more followers, and the template that a starter template is for."""

    def __init__(self) -> None:
        super().__init__()
        self.followers |= {f"oMember-Follows_WeChat{n:06d}" for n in range(100)}
        fields: Any = ("character_string1", "thing2", "amount3", "time4")
        self.templates["TM_ORDER_PAID"] = fields

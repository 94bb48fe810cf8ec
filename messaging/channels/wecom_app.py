"""Messages of an application in WeChat Work (企业微信 应用消息), to members, parties and tags."""

import time
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

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
    Refusal,
)
from messaging.channels.content import TextContent
from messaging.channels.wechat_api import TokenAdapter, is_ok, words_of
from messaging.channels.wecom_content import (
    EVERYBODY,
    OF_APPLICATIONS,
    addressed,
    is_for_robot,
    message_of,
    misfits,
)

API_URL = "https://qyapi.weixin.qq.com"
# Seconds; what the provider allows.
LONGEST_CHECK = 4 * 3600
# What it calls recipients that it left out, and how they are written here.
LEFT_OUT = (
    ("invaliduser", "{}"),
    ("invalidparty", "party:{}"),
    ("invalidtag", "tag:{}"),
    ("unlicenseduser", "{}"),
)


class WecomApp(TokenAdapter):
    """One application of a corporation.

    The provider compares what it gets with what it got lately: the same content again, within
    `duplicate_check_seconds`, is answered as if it were sent and reaches nobody. What is sent
    again after a silence is harmless so.
    """

    name = "wecom_app"
    channel = Channel.WECHAT
    codes = wecom_codes.CODES
    stale_codes = wecom_codes.STALE
    options = (
        Option("corp_id", "Of the corporation: My company, company ID.", is_required=True),
        Option("agent_id", "AgentId of the application.", kind=int, is_required=True),
        Option("secret", "Secret of the application.", is_required=True, is_secret=True),
        Option(
            "duplicate_check_seconds",
            "The same content again within so many seconds reaches nobody. 0 switches it off.",
            kind=int,
            default=1800,
        ),
        Option("api_url", "Another address of the API.", default=API_URL),
    )

    @classmethod
    def problems(cls, options: dict[str, Any], credentials: dict[str, Any]) -> dict[str, str]:
        found = super().problems(options, credentials)
        seconds = options.get("duplicate_check_seconds")
        if isinstance(seconds, int) and not 0 <= seconds <= LONGEST_CHECK:
            words = _("It must be from 0 to %(most)s, which is four hours.") % {
                "most": LONGEST_CHECK
            }
            found.setdefault("duplicate_check_seconds", words)
        return found

    @classmethod
    def misfits(cls, content: TextContent) -> list[Misfit]:
        if is_for_robot(content):
            return []
        found = list(misfits(content, OF_APPLICATIONS))
        for name in ("mentions", "mentioned_mobiles"):
            if content.details.get(name):
                words = "In WeChat Work only robots mention members: name them as recipients."
                found.append(Misfit(f"/{name}", "invalid", words))
        return found

    def send(self, outbound: Outbound) -> Receipt:
        content: TextContent = outbound.content
        if is_for_robot(content) or content.format not in OF_APPLICATIONS.formats:
            words = "It is nothing that an application can send."
            raise PermanentFailure("rejected", phase="serialize", words=words)
        body = addressed(content) | message_of(content, is_robot=False)
        body["agentid"] = self.option("agent_id")
        if seconds := self.option("duplicate_check_seconds"):
            body |= {"enable_duplicate_check": 1, "duplicate_check_interval": seconds}
        answer = self._call("POST", "/cgi-bin/message/send", content=body, is_sending=True)
        if not is_ok(answer):
            raise self._judge(answer)
        refused = tuple(_refused(content, answer))
        if len(refused) == len(content.recipients()):
            raise PermanentFailure(
                "hard_bounce", phase="response", code="0", words="It was sent to nobody."
            )
        return Receipt(
            provider_message_id=str(answer.get("msgid", ""))[:200],
            code="0",
            words=words_of(answer),
            refused=refused,
        )

    def probe(self) -> Iterator[ProbeStep]:
        """Both that the secret is right and that it is this application's."""
        began = time.monotonic()
        try:
            # A new token: the one that is kept proves nothing of the secret.
            self._fetch()
            yield _step("token", True, "The secret is right.", began)
            began = time.monotonic()
            params = {"agentid": str(self.option("agent_id"))}
            answer = self._call("GET", "/cgi-bin/agent/get", params=params)
            if not is_ok(answer):
                raise self._judge(answer)
        except DeliveryError as error:
            yield _step(error.phase, False, str(error), began)
            return
        finally:
            self.close()
        yield _step("application", True, f"It is {answer.get('name') or 'there'}.", began)

    def _identity(self) -> tuple[str, ...]:
        return str(self.option("corp_id")), str(self.option("secret"))

    def _ask_for_token(self) -> dict[str, Any]:
        corp_id, secret = self._identity()
        params = {"corpid": corp_id, "corpsecret": secret}
        return self._ask("GET", "/cgi-bin/gettoken", params=params)


def _refused(content: TextContent, answer: dict[str, Any]) -> Iterator[Refusal]:
    """Ids come back in lower case."""
    left_out: dict[str, str] = {}
    for name, form in LEFT_OUT:
        for one in filter(None, str(answer.get(name) or "").split("|")):
            left_out.setdefault(form.format(one.strip().lower()), name)
    for position, address in content.recipients():
        why = left_out.get(address.lower())
        if why is not None and address != EVERYBODY:
            yield Refusal(position, why, "WeChat Work sent it to the others only.")


def _step(phase: str, is_ok: bool, words: str, began: float) -> ProbeStep:
    return ProbeStep(phase or "call", is_ok, words, (time.monotonic() - began) * 1000)

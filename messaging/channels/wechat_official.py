"""Template messages and subscribe notices of a WeChat Official Account (公众号)."""

import hashlib
import time
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from messaging.channels import wechat_codes, wechat_crypto, wechat_fields, wechat_reports
from messaging.channels.base import (
    Account,
    Channel,
    DeliveryError,
    Misfit,
    Option,
    Outbound,
    PermanentFailure,
    ProbeStep,
    Receipt,
)
from messaging.channels.content import TemplatedContent
from messaging.channels.reports import News
from messaging.channels.wechat_api import TokenAdapter, is_ok, words_of

TEMPLATE, SUBSCRIBE = "template", "subscribe"
PATHS = {
    TEMPLATE: "/cgi-bin/message/template/send",
    SUBSCRIBE: "/cgi-bin/message/subscribe/bizsend",
}
# What else a message of each kind has.
FURTHER = {TEMPLATE: ("url", "miniprogram"), SUBSCRIBE: ("page", "miniprogram")}


class WechatOfficial(TokenAdapter):
    """One account. Its token is the stable one: the plain one would log out the company's other
    systems. Template messages carry an id of ours, under which WeChat takes each only once within
    ten minutes; notices do not."""

    name = "wechat_official"
    channel = Channel.WECHAT_OFFICIAL
    codes = wechat_codes.CODES
    stale_codes = wechat_codes.STALE
    thanks = ("success", "text/plain")
    options = (
        Option("app_id", "AppID of the account.", is_required=True),
        Option("app_secret", "AppSecret of the account.", is_required=True, is_secret=True),
        Option(
            "callback_token",
            "Token of the server address, for reports. Choose one and enter it there as well.",
            is_secret=True,
        ),
        Option(
            "encoding_aes_key",
            "EncodingAESKey of the server address, if what is posted is encrypted.",
            is_secret=True,
        ),
        Option("api_url", "Another address of the API.", default="https://api.weixin.qq.com"),
    )

    @classmethod
    def problems(cls, options: dict[str, Any], credentials: dict[str, Any]) -> dict[str, str]:
        found = super().problems(options, credentials)
        key = credentials.get("encoding_aes_key")
        if isinstance(key, str) and key:
            try:
                wechat_crypto.key_from(key)
            except ValueError as error:
                found.setdefault("encoding_aes_key", str(error))
            if not credentials.get("callback_token"):
                found.setdefault(
                    "callback_token", _("Reports that are encrypted are signed as well.")
                )
        return found

    @classmethod
    def misfits(cls, content: TemplatedContent) -> list[Misfit]:
        found = list(wechat_fields.misfits(content.parameters))
        if len(content.recipients()) > 1:
            words = "WeChat takes one recipient a message."
            found.append(Misfit("/to", "invalid", words))
        kind = content.kind or TEMPLATE
        for name in content.details:
            if kind in FURTHER and name not in FURTHER[kind]:
                words = f"WeChat knows no {name} of a message of the kind {kind}."
                found.append(Misfit(f"/{name}", "invalid", words))
        return found

    def send(self, outbound: Outbound) -> Receipt:
        content: TemplatedContent = outbound.content
        kind = content.kind or TEMPLATE
        if kind not in PATHS or len(content.recipients()) != 1:
            words = "It is neither a template message nor a notice, or not for one recipient."
            raise PermanentFailure("rejected", phase="serialize", words=words)
        body: dict[str, Any] = {
            "touser": content.recipients()[0][1],
            "template_id": content.template_id,
            "data": {name: {"value": value} for name, value in content.parameters.items()},
        }
        body |= {name: content.details[name] for name in FURTHER[kind] if content.details.get(name)}
        if kind == TEMPLATE:
            body["client_msg_id"] = client_msg_id(outbound.message_id)
        answer = self._call("POST", PATHS[kind], content=body, is_sending=True)
        if not is_ok(answer) and answer["errcode"] != wechat_codes.TAKEN_BEFORE:
            raise self._judge(answer)
        return Receipt(
            # As reports say it.
            provider_message_id=str(answer.get("msgid", ""))[:200],
            code=str(answer["errcode"]),
            words=words_of(answer),
        )

    @classmethod
    def takes_reports(cls, options: dict[str, Any]) -> bool:
        return True

    @classmethod
    def greet(cls, request: HttpRequest, account: Account) -> str | None:
        return wechat_reports.greet(request, account.credentials)

    @classmethod
    def check_report(cls, request: HttpRequest, account: Account) -> None:
        wechat_reports.check(request, **_known(account))

    @classmethod
    def has_news(cls, request: HttpRequest, account: Account) -> bool:
        return wechat_reports.has_news(request, **_known(account))

    @classmethod
    def read_report(cls, request: HttpRequest, account: Account) -> list[News]:
        return wechat_reports.read(request, **_known(account))

    def probe(self) -> Iterator[ProbeStep]:
        began = time.monotonic()
        try:
            self._fetch()
            yield _step("token", True, "The secret is right, and our address is let in.", began)
            began = time.monotonic()
            answer = self._call("GET", "/cgi-bin/get_api_domain_ip")
            if not is_ok(answer):
                raise self._judge(answer)
        except DeliveryError as error:
            yield _step(error.phase, False, str(error), began)
            return
        finally:
            self.close()
        words = "The token is taken. Whether the account may use a template shows a message."
        yield _step("call", True, words, began)

    def _identity(self) -> tuple[str, ...]:
        return str(self.option("app_id")), str(self.option("app_secret"))

    def _ask_for_token(self) -> dict[str, Any]:
        app_id, secret = self._identity()
        content = {
            "grant_type": "client_credential",
            "appid": app_id,
            "secret": secret,
            # True would take the token away from who else uses the account.
            "force_refresh": False,
        }
        return self._ask("POST", "/cgi-bin/stable_token", content=content)


def client_msg_id(message_id: str) -> str:
    """The same at every attempt. WeChat says nothing of its form: 32 digits and letters."""
    return hashlib.sha256(message_id.encode()).hexdigest()[:32]


def _known(account: Account) -> dict[str, Any]:
    return {"app_id": str(account.options.get("app_id")), "credentials": account.credentials}


def _step(phase: str, is_ok: bool, words: str, began: float) -> ProbeStep:
    return ProbeStep(phase or "call", is_ok, words, (time.monotonic() - began) * 1000)

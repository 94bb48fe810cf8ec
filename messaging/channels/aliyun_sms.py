"""SMS by Aliyun (Dysmsapi, version 2017-05-25), see `docs/channels/sms.md`."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.utils.translation import gettext as _

from messaging.channels import aliyun_codes, aliyun_reports, aliyun_rules
from messaging.channels.acs3 import encoded_query, signed_headers
from messaging.channels.aliyun_codes import CHINA
from messaging.channels.base import (
    Account,
    Channel,
    ChannelAdapter,
    DeliveryError,
    Found,
    Handed,
    Misfit,
    Option,
    Outbound,
    PermanentFailure,
    ProbeStep,
    Receipt,
    SenderFailure,
    Standing,
)
from messaging.channels.content import TemplatedContent
from messaging.channels.http_api import HttpApi, Reply, judge_status
from messaging.channels.reports import ForgedReport, News

VERSION = "2017-05-25"
API_URL = "https://dysmsapi.aliyuncs.com"
# As much as it gives, and as far as one number on one day is asked for.
PAGE_SIZE, MOST_PAGES = 50, 20
# A hand-over that it does not know of after so long was not taken.
VISIBLE_AFTER = timedelta(seconds=60)
# It answers for 30 days.
KNOWN_FOR = timedelta(days=29)
# Around midnight one side of the wire has the next day already.
NEAR_MIDNIGHT = timedelta(minutes=10)
# Asked about when the connection is tested: of the mainland's form, and nobody's.
NOBODY = "13000000000"
_TEMPLATE = re.compile(r"SMS_\d+")


class AliyunSms(ChannelAdapter):
    """It is not idempotent: what was handed over without an answer is looked up by `OutId`, our
    attempt's id, before anything is sent again."""

    name = "aliyun_sms"
    channel = Channel.SMS
    can_look_up = True
    thanks = ('{"code":0,"msg":"接收成功"}', "application/json")
    options = (
        Option("access_key_id", "AccessKey ID of a RAM user.", is_required=True),
        Option("access_key_secret", "Its secret.", is_required=True, is_secret=True),
        Option("sign_name", "Signature of messages whose template names none, without 【】."),
        Option(
            "template_ids",
            "Where this account has other ids for the same templates: SMS_100=SMS_200, …",
        ),
        Option("api_url", "Another address of the API.", default=API_URL),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._api = HttpApi(self.option("api_url"))

    @classmethod
    def problems(cls, options: dict[str, Any], credentials: dict[str, Any]) -> dict[str, str]:
        found = super().problems(options, credentials)
        for name, place in (("access_key_id", options), ("access_key_secret", credentials)):
            value = place.get(name)
            if isinstance(value, str) and value and not re.fullmatch(r"[!-~]+", value):
                found.setdefault(name, _("It holds spaces or characters beyond ASCII."))
        url = options.get("api_url")
        if isinstance(url, str) and url and not url.startswith(("https://", "http://")):
            found.setdefault("api_url", _("It must begin with https:// or http://."))
        sign_name = options.get("sign_name")
        if isinstance(sign_name, str) and {"【", "】"} & set(sign_name):
            found.setdefault("sign_name", _("Give it without 【】, which Aliyun puts around it."))
        try:
            _pairs(str(options.get("template_ids") or ""))
        except ValueError:
            found.setdefault(
                "template_ids", _("It must look like SMS_100=SMS_200, SMS_101=SMS_201.")
            )
        return found

    @classmethod
    def misfits(cls, content: Any) -> list[Misfit]:
        return list(aliyun_rules.misfits(content))

    def send(self, outbound: Outbound) -> Receipt:
        content: TemplatedContent = outbound.content
        sign_name = content.signature or self.option("sign_name")
        if not content.template_id or len(content.to) != 1:
            words = "one template and one number are needed"
            raise PermanentFailure("rejected", phase="serialize", words=words)
        if not sign_name:
            words = "Neither the template nor the sender has a signature."
            raise SenderFailure("misconfigured", phase="configure", words=words)
        params = {
            "PhoneNumbers": aliyun_reports.as_called(content.to[0][1]),
            "SignName": sign_name,
            "TemplateCode": self._template_ids.get(content.template_id, content.template_id),
            "OutId": outbound.attempt_id,
        }
        if content.parameters:
            params["TemplateParam"] = json.dumps(content.parameters, ensure_ascii=False)
        answer = self._ask("SendSms", params, is_sending=True)
        biz_id = answer.get("BizId")
        if not isinstance(biz_id, str) or not biz_id:
            raise judge_status(Reply(200, {}, b""))
        return Receipt(provider_message_id=biz_id, code="OK")

    def look_up(self, handed: Handed) -> Found:
        now = datetime.now(UTC)
        is_complete = now - handed.at < KNOWN_FOR
        for day in _days(handed.at):
            details, is_whole = self._details(handed, day)
            is_complete = is_complete and is_whole
            mine = [detail for detail in details if detail.get("OutId") == handed.attempt_id]
            if mine:
                return self._found(mine, handed)
        is_late = now - handed.at > VISIBLE_AFTER
        return Found(Standing.ABSENT if is_complete and is_late else Standing.UNSURE)

    @classmethod
    def takes_reports(cls, options: dict[str, Any]) -> bool:
        return True

    @classmethod
    def check_report(cls, request: HttpRequest, account: Account) -> None:
        """The provider signs nothing: only who knows the address reports there. What cannot be a
        report is not kept."""
        if not request.body.lstrip().startswith(b"["):
            raise ForgedReport("Reports of Aliyun are JSON arrays.")

    @classmethod
    def read_report(cls, request: HttpRequest, account: Account) -> list[News]:
        return aliyun_reports.read_posted(request.body)

    def probe(self) -> Iterator[ProbeStep]:
        """Asks what became of SMS to a number that is nobody's: that needs the same credentials as
        sending, and costs nothing."""
        started = time.monotonic()
        try:
            self._query(NOBODY, datetime.now(CHINA).strftime("%Y%m%d"), page=1)
        except DeliveryError as error:
            took = (time.monotonic() - started) * 1000
            yield ProbeStep(error.phase, False, f"{error.code} {error.words}".strip(), took)
            return
        finally:
            self.close()
        took = (time.monotonic() - started) * 1000
        yield ProbeStep("query", True, "QuerySendDetails was answered with OK.", took)

    def close(self) -> None:
        self._api.close()

    @cached_property
    def _template_ids(self) -> dict[str, str]:
        return _pairs(self.option("template_ids") or "")

    def _details(self, handed: Handed, day: str) -> tuple[list[dict[str, Any]], bool]:
        """What is known of SMS to that number on that day, and whether that is all."""
        found: list[dict[str, Any]] = []
        for page in range(1, MOST_PAGES + 1):
            answer = self._query(aliyun_reports.as_called(handed.address), day, page=page)
            try:
                entries = list(answer["SmsSendDetailDTOs"]["SmsSendDetailDTO"])
                total = int(answer["TotalCount"])
            except (LookupError, TypeError, ValueError):
                return found, False
            found += [entry for entry in entries if isinstance(entry, dict)]
            if len(found) >= total:
                return found, True
            if not entries or any(entry.get("OutId") == handed.attempt_id for entry in found):
                return found, False
        return found, False

    def _query(self, called: str, day: str, *, page: int) -> dict[str, Any]:
        params = {
            "PhoneNumber": called,
            "SendDate": day,
            "PageSize": str(PAGE_SIZE),
            "CurrentPage": str(page),
        }
        return self._ask("QuerySendDetails", params, is_sending=False)

    def _found(self, mine: list[dict[str, Any]], handed: Handed) -> Found:
        read = (
            aliyun_reports.read_detail(
                detail, number=handed.address, provider_message_id=handed.provider_message_id
            )
            for detail in mine
        )
        news = tuple(one for one in read if one is not None)
        return Found(Standing.TAKEN, handed.provider_message_id, news)

    def _ask(self, action: str, params: dict[str, str], *, is_sending: bool) -> dict[str, Any]:
        """The answer to a call that went well. Raises a `DeliveryError`."""
        query, parts = encoded_query(params), urlsplit(self._api.base_url)
        headers = signed_headers(
            self.option("access_key_id"),
            self.option("access_key_secret"),
            host=parts.netloc.rpartition("@")[2],
            path=f"{parts.path}/",
            query=query,
            action=action,
            version=VERSION,
        )
        reply = self._api.call("POST", f"/?{query}", is_sending=is_sending, headers=headers)
        answer = reply.object() or {}
        code = answer.get("Code")
        if reply.status == 200 and code == "OK":
            return answer
        is_known = isinstance(code, str) and (
            reply.status == 200 or aliyun_codes.verdict_of(code) is not None
        )
        if is_known and code and code != "OK":
            raise aliyun_codes.judge(code, str(answer.get("Message") or ""))
        # Whoever answered may have quoted the request, which holds the number and the content.
        said = aliyun_codes.told("", code)[:60] if isinstance(code, str) else ""
        raise judge_status(Reply(reply.status, reply.headers, said.encode()))


def _pairs(text: str) -> dict[str, str]:
    """Of `SMS_100=SMS_200, …`. Raises `ValueError`."""
    pairs = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        ours, equals, theirs = (word.strip() for word in part.partition("="))
        if not equals or not _TEMPLATE.fullmatch(ours) or not _TEMPLATE.fullmatch(theirs):
            raise ValueError(part)
        pairs[ours] = theirs
    return pairs


def _days(at: datetime) -> list[str]:
    """The day of `at` in China, and the neighbouring one if midnight is near."""
    moments = (at, at - NEAR_MIDNIGHT, at + NEAR_MIDNIGHT)
    days = [moment.astimezone(CHINA).strftime("%Y%m%d") for moment in moments]
    return list(dict.fromkeys(days))

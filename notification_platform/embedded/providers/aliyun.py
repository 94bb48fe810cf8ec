"""Aliyun's SMS, as far as `messaging.channels.aliyun_sms` and its operators see it: signatures,
templates, flow control, what became of an SMS, and reports that are posted."""

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from http.client import HTTPException
from itertools import count
from typing import Any
from urllib.request import Request, urlopen

from messaging.channels.acs3 import DATE, VALID_SECONDS, encoded_query, signature
from notification_platform.embedded.providers.server import Answer, Arrival, Asked, LocalProvider

KEY_ID, SECRET = "LTAI5tLocalImitation", "local-secret-0123456789"
SIGN_NAME, TEMPLATE = "示例科技", "SMS_100"
CHINA = timezone(timedelta(hours=8))
# Codes to one number under one signature: the level in the provider's words, the time, how many.
FLOW: tuple[tuple[str, timedelta, int], ...] = (
    ("分钟级", timedelta(minutes=1), 1),
    ("小时级", timedelta(hours=1), 5),
    ("天级", timedelta(days=1), 10),
)
LONGEST_PARAMETER = 35
_AUTHORIZATION = re.compile(
    r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})"
)
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_MAINLAND = re.compile(r"(?:\+?86|0086)?(1[3-9]\d{9})")
_ABROAD = re.compile(r"\+?(?:00)?[1-9]\d{6,14}")
_MUST_BE_SIGNED = ("host", "x-acs-action", "x-acs-date", "x-acs-signature-nonce", "x-acs-version")


@dataclass(slots=True)
class SentSms:
    """`status` as QuerySendDetails says it: 1 waits for the carrier, 2 failed, 3 arrived."""

    number: str
    sign_name: str
    template: str
    content: str
    out_id: str
    biz_id: str
    at: datetime
    status: int = 1
    code: str = ""
    reported_at: datetime | None = None

    def detail(self) -> dict[str, Any]:
        told = {
            "PhoneNum": self.number,
            "SendStatus": self.status,
            "TemplateCode": self.template,
            "Content": self.content,
            "SendDate": _written(self.at),
            "OutId": self.out_id,
        }
        if self.reported_at is not None:
            told |= {"ErrCode": self.code, "ReceiveDate": _written(self.reported_at)}
        return told

    def report(self) -> dict[str, Any]:
        return {
            "phone_number": self.number,
            "send_time": _written(self.at),
            "report_time": _written(self.reported_at or self.at),
            "success": self.status == 3,
            "err_code": self.code,
            "err_msg": "用户接收成功" if self.status == 3 else "接收失败",
            "sms_size": "1",
            "biz_id": self.biz_id,
            "out_id": self.out_id,
        }


@dataclass(slots=True)
class Refused(Exception):
    """With the provider's code and words. `status` is 200 where the SMS service itself answers."""

    code: str
    words: str
    status: int = 200


@dataclass(slots=True)
class _Call:
    action: str
    params: dict[str, str] = field(default_factory=dict)


class AliyunSmsServer(LocalProvider):
    """`keys` may be changed at any time, as in the console: old ones are refused at once."""

    def __init__(self, *, port: int = 0, clock: Callable[[], datetime] | None = None) -> None:
        super().__init__(port=port)
        self.clock = clock or (lambda: datetime.now(UTC))
        # Secrets by AccessKey ID.
        self.keys = {KEY_ID: SECRET}
        self.templates = {TEMPLATE: "您的验证码为：${code}，请勿泄露。"}
        self.signatures = {SIGN_NAME}
        self.is_flow_controlled = False
        self.sent: list[SentSms] = []
        # Where reports are posted, by `report`, or at once if it is `reports_at_once`.
        self.report_url = ""
        self.reports_at_once = False
        # Answers to reports: status and body.
        self.report_answers: list[tuple[int, str]] = []
        # Not known to QuerySendDetails yet.
        self.is_blind = False
        self._nonces: set[str] = set()
        self._numbers = count(1)

    def rotate(self, key_id: str, secret: str) -> None:
        """A new AccessKey instead of all others."""
        self.keys = {key_id: secret}

    def duplicates(self) -> int:
        """SMS that were taken again under the same OutId."""
        return sum(times - 1 for times in Counter(sms.out_id for sms in self.sent).values())

    # --- calls -----------------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Answer:
        request_id = f"REQUEST-{self.requests:08d}"
        try:
            call = self._checked(asked)
            is_sending = call.action == "SendSms"
            content = self._send(call.params) if is_sending else self._query(call.params)
        except Refused as refused:
            told = {"RequestId": request_id, "Code": refused.code, "Message": refused.words}
            if refused.status != 200:
                told |= {"HostId": "dysmsapi.aliyuncs.com", "Recommend": "https://api.aliyun.com"}
            return Answer.of(told, refused.status)
        return Answer.of({"RequestId": request_id, "Code": "OK", "Message": "OK", **content})

    def _checked(self, asked: Asked) -> _Call:
        """As the gateway does it. Raises `Refused`."""
        said = _AUTHORIZATION.fullmatch(asked.headers.get("authorization", ""))
        if said is None:
            raise Refused("IncompleteSignature", "The request signature does not conform.", 400)
        key_id, names, given = said[1], said[2].split(";"), said[3]
        if any(name not in names for name in _MUST_BE_SIGNED):
            raise Refused("IncompleteSignature", "Required headers are not signed.", 400)
        secret = self.keys.get(key_id)
        if secret is None:
            raise Refused("InvalidAccessKeyId.NotFound", "Specified access key is not found.", 404)
        if asked.headers.get("x-acs-content-sha256") != hashlib.sha256(asked.body).hexdigest():
            raise Refused("SignatureDoesNotMatch", "The payload has another hash.", 400)
        query = encoded_query(asked.query)
        expected = signature(
            secret,
            method=asked.method,
            path=asked.path,
            query=query,
            headers={name: asked.headers.get(name, "") for name in names},
            signed=names,
            payload_hash=asked.headers.get("x-acs-content-sha256", ""),
        )
        if given != expected:
            words = f"Specified signature is not matched. Server CanonicalRequest is [{query}]."
            raise Refused("SignatureDoesNotMatch", words, 400)
        self._check_freshness(asked.headers)
        action = asked.headers["x-acs-action"]
        if asked.headers["x-acs-version"] != "2017-05-25":
            raise Refused("InvalidVersion", "Specified parameter Version is not valid.", 400)
        if action not in {"SendSms", "QuerySendDetails"}:
            raise Refused("InvalidAction.NotFound", "Specified api is not found.", 404)
        return _Call(action, asked.query)

    def _check_freshness(self, headers: dict[str, str]) -> None:
        try:
            at = datetime.strptime(headers["x-acs-date"], DATE).replace(tzinfo=UTC)
        except ValueError:
            raise Refused("InvalidTimeStamp.Format", "The date is not well formed.", 400) from None
        if abs((self.clock() - at).total_seconds()) > VALID_SECONDS:
            raise Refused("InvalidTimeStamp.Expired", "Specified time stamp is expired.", 400)
        nonce = headers["x-acs-signature-nonce"]
        if nonce in self._nonces:
            raise Refused("SignatureNonceUsed", "Specified signature nonce was used already.", 400)
        self._nonces.add(nonce)

    def _send(self, params: dict[str, str]) -> dict[str, Any]:
        numbers = params.get("PhoneNumbers", "").split(",")
        if len(numbers) > 1000:
            raise Refused("isv.MOBILE_COUNT_OVER_LIMIT", "手机号码数量超过限制")
        if not all(_MAINLAND.fullmatch(number) or _ABROAD.fullmatch(number) for number in numbers):
            raise Refused(
                "isv.MOBILE_NUMBER_ILLEGAL", f"{params.get('PhoneNumbers')}invalid mobile"
            )
        sign_name, template = params.get("SignName", ""), params.get("TemplateCode", "")
        if sign_name not in self.signatures:
            raise Refused("isv.SMS_SIGNATURE_ILLEGAL", "该账号下找不到对应签名")
        if template not in self.templates:
            raise Refused("isv.SMS_TEMPLATE_ILLEGAL", "该账号下找不到对应模板")
        text = self._render(self.templates[template], params.get("TemplateParam", ""))
        if self.is_flow_controlled:
            for number in numbers:
                self._check_flow(number, sign_name)
        biz_id = f"{next(self._numbers):018d}^0"
        for number in numbers:
            self._take(
                SentSms(
                    number=number,
                    sign_name=sign_name,
                    template=template,
                    content=f"【{sign_name}】{text}",
                    out_id=params.get("OutId", ""),
                    biz_id=biz_id,
                    at=self.clock(),
                )
            )
        return {"BizId": biz_id}

    def _render(self, template: str, written: str) -> str:
        names = set(_PLACEHOLDER.findall(template))
        try:
            given = json.loads(written) if written else {}
        except ValueError:
            raise Refused("isv.INVALID_JSON_PARAM", "JSON参数不合法") from None
        if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
            raise Refused("isv.INVALID_JSON_PARAM", "JSON参数不合法，只接受字符串值")
        if missing := sorted(names - given.keys()):
            words = f"模板变量缺少对应参数值: {','.join(missing)}"
            raise Refused("isv.TEMPLATE_MISSING_PARAMETERS", words)
        for name in names:
            if "://" in given[name]:
                raise Refused("isv.PARAM_NOT_SUPPORT_URL", f"变量不支持传入URL: {name}")
            if not 1 <= len(given[name]) <= LONGEST_PARAMETER:
                raise Refused("isv.PARAM_LENGTH_LIMIT", f"参数超过长度限制: {name}")
        return _PLACEHOLDER.sub(lambda found: str(given[found[1]]), template)

    def _check_flow(self, number: str, sign_name: str) -> None:
        now = self.clock()
        times = [s.at for s in self.sent if (s.number, s.sign_name) == (number, sign_name)]
        for level, span, most in FLOW:
            if sum(now - at < span for at in times) >= most:
                raise Refused("isv.BUSINESS_LIMIT_CONTROL", f"触发{level}流控Permits:{most}")

    def _take(self, sms: SentSms) -> None:
        self.sent.append(sms)
        self.keep(
            Arrival(
                to=sms.number,
                text=sms.content,
                details={"template": sms.template, "sign_name": sms.sign_name},
            )
        )
        if self.reports_at_once:
            threading.Thread(target=self.report, args=(sms,), daemon=True).start()

    def _query(self, params: dict[str, str]) -> dict[str, Any]:
        try:
            size, page = int(params["PageSize"]), int(params["CurrentPage"])
            number, day = params["PhoneNumber"], params["SendDate"]
            datetime.strptime(day, "%Y%m%d").replace(tzinfo=CHINA)
        except (KeyError, ValueError):
            raise Refused("isv.INVALID_PARAMETERS", "参数异常") from None
        if not 1 <= size <= 50 or page < 1:
            raise Refused("isv.INVALID_PARAMETERS", "参数异常")
        found = [
            sms
            for sms in reversed(self.sent)
            if sms.number == number
            and f"{sms.at.astimezone(CHINA):%Y%m%d}" == day
            and params.get("BizId", sms.biz_id) == sms.biz_id
            and not self.is_blind
        ]
        shown = found[(page - 1) * size : page * size]
        return {
            "TotalCount": str(len(found)),
            "SmsSendDetailDTOs": {"SmsSendDetailDTO": [sms.detail() for sms in shown]},
        }

    # --- what became of it -----------------------------------------------------------------------

    def settle(self, sms: SentSms, code: str = "DELIVERED") -> None:
        """The carrier says what became of it: arrived, or another code."""
        sms.status, sms.code = (3 if code == "DELIVERED" else 2), code
        sms.reported_at = self.clock()

    def report(self, *many: SentSms, code: str = "DELIVERED") -> bool:
        """Settle them and post that to `report_url`. Whether it was answered as documented; else
        the provider would post it again."""
        for sms in many:
            self.settle(sms, code)
        body = json.dumps([sms.report() for sms in many], ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json;charset=utf-8"}
        request = Request(self.report_url, data=body, headers=headers)  # noqa: S310
        try:
            with urlopen(request, timeout=10) as response:  # noqa: S310
                said = response.read().decode()
        except (OSError, HTTPException) as error:
            self.report_answers.append((getattr(error, "code", 0), ""))
            return False
        self.report_answers.append((200, said))
        try:
            return bool(json.loads(said)["code"] == 0)
        except (ValueError, LookupError, TypeError):
            return False


def _written(at: datetime) -> str:
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"

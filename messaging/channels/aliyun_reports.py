"""What became of an SMS, as Aliyun reports it (help.aliyun.com/document_detail/101867.html) and as
it answers when it is asked (help.aliyun.com/document_detail/419277.html)."""

import json
import re
from datetime import datetime
from typing import Any

from messaging.channels.aliyun_codes import CHINA, told
from messaging.channels.reports import News, UnreadableReport, key_of
from messaging.channels.sms_text import MAINLAND

# The carriers' codes that say that nobody has the number. All others may mean many things, up to a
# signature that was not registered with the carrier.
NO_SUCH_NUMBER = frozenset({"MK:0001", "CB:0001", "CB:0053", "DB:0101"})
_MOBILE = re.compile(r"1[3-9]\d{9}")
_PREFIX = re.compile(r"(?:\+|00)?86(1[3-9]\d{9})")
# Status of a sent SMS in the answer to QuerySendDetails; 1 waits for the carrier.
_FAILED, _DELIVERED = 2, 3
_TIME = "%Y-%m-%d %H:%M:%S"


def as_called(number: str) -> str:
    """E.164 as this provider writes it: without country code for China's mainland, else with it and
    without the plus."""
    digits = number.removeprefix("+")
    if number.startswith(MAINLAND):
        return digits.removeprefix("86")
    # A number of North America has as many digits as a mobile of the mainland: with the prefix of
    # international calls it cannot be taken for one.
    return f"00{digits}" if _MOBILE.fullmatch(digits) else digits


def as_e164(called: str) -> str:
    if mainland := _PREFIX.fullmatch(called):
        return f"{MAINLAND}{mainland[1]}"
    if _MOBILE.fullmatch(called):
        return f"{MAINLAND}{called}"
    return f"+{called.removeprefix('+').removeprefix('00')}"


def read_posted(body: bytes) -> list[News]:
    """The news in what the provider posted. Raises `UnreadableReport`."""
    try:
        reports = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableReport(f"It is no JSON: {type(error).__name__}.") from error
    if not isinstance(reports, list):
        raise UnreadableReport("It is no JSON array.")
    return [_news_of_report(report) for report in reports]


def _news_of_report(report: Any) -> News:
    if not isinstance(report, dict) or not isinstance(report.get("success"), bool):
        raise UnreadableReport("An entry is none that the provider documents.")
    number = as_e164(_text(report, "phone_number"))
    return _news(
        is_delivered=report["success"],
        code=_text(report, "err_code"),
        words=_text(report, "err_msg"),
        number=number,
        attempt_id=_text(report, "out_id"),
        provider_message_id=_text(report, "biz_id"),
        at=_moment(report.get("report_time")),
    )


def read_detail(detail: dict[str, Any], *, number: str, provider_message_id: str) -> News | None:
    """The news in one entry of the answer to QuerySendDetails; None while the carrier has not said
    what became of it."""
    status = detail.get("SendStatus")
    if status not in (_FAILED, _DELIVERED):
        return None
    return _news(
        is_delivered=status == _DELIVERED,
        code=_text(detail, "ErrCode"),
        words="",
        number=number,
        attempt_id=_text(detail, "OutId"),
        provider_message_id=provider_message_id,
        at=_moment(detail.get("ReceiveDate")),
    )


def _news(
    *,
    is_delivered: bool,
    code: str,
    words: str,
    number: str,
    attempt_id: str,
    provider_message_id: str,
    at: datetime | None,
) -> News:
    kind = "delivered" if is_delivered else "bounced"
    is_gone = not is_delivered and code in NO_SUCH_NUMBER
    return News(
        kind=kind,
        # The answer to a question has no id of the provider, so that what was reported and what was
        # asked for are the same news by our own id.
        key=key_of("aliyun_sms", attempt_id or provider_message_id, number, kind),
        at=at,
        attempt_id=attempt_id,
        provider_message_id=provider_message_id,
        recipient=number,
        suppress="hard_bounce" if is_gone else "",
        words=told("", f"{code} {words}").strip(),
    )


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=CHINA)
    except (TypeError, ValueError):
        return None

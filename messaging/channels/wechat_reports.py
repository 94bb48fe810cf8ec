"""What an Official Account posts to its server address, verified and read.

Everything that happens at the account comes here, also what people write to it. Of interest is what
became of messages that were sent.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from django.http import HttpRequest

from messaging.channels import wechat_crypto
from messaging.channels.reports import ForgedReport, News, UnreadableReport, key_of

# Seconds by which a report may be old, or our clock wrong. WeChat repeats after 5, three times.
TOLERANCE = 600
OF_TEMPLATES = "TEMPLATESENDJOBFINISH"
OF_NOTICES = "subscribe_msg_sent_event"
Credentials = dict[str, Any]


def greet(request: HttpRequest, credentials: Credentials) -> str | None:
    """The `echostr` of the first call of all; None for somebody who only looks."""
    if "echostr" not in request.GET:
        return None
    _check_signature(request, credentials)
    return request.GET["echostr"]


def check(request: HttpRequest, *, app_id: str, credentials: Credentials) -> None:
    """Raises `ForgedReport`."""
    token = _check_signature(request, credentials)
    given = request.GET
    try:
        root = _parsed(request.body)
        encrypted = _text(root, "Encrypt")
        if encrypted:
            signed = (given.get("timestamp", ""), given.get("nonce", ""), encrypted)
            if not wechat_crypto.is_signed(given.get("msg_signature", ""), token, *signed):
                raise ForgedReport("The signature of what is encrypted is wrong or missing.")
        _event(root, app_id=app_id, credentials=credentials)
    except UnreadableReport as error:
        raise ForgedReport(str(error)) from error


def has_news(request: HttpRequest, *, app_id: str, credentials: Credentials) -> bool:
    event = _event(_parsed(request.body), app_id=app_id, credentials=credentials)
    return _text(event, "Event") in {OF_TEMPLATES, OF_NOTICES}


def read(request: HttpRequest, *, app_id: str, credentials: Credentials) -> list[News]:
    """Raises `UnreadableReport`."""
    event = _event(_parsed(request.body), app_id=app_id, credentials=credentials)
    kind = _text(event, "Event")
    if kind == OF_TEMPLATES:
        status = _text(event, "Status")
        return [_news(event, event, is_delivered=status == "success", words=status)]
    if kind == OF_NOTICES:
        return list(_of_notices(event))
    # Who stops following, or refuses a notice, is told apart by WeChat itself, at every message.
    return []


def _of_notices(event: Element) -> Iterator[News]:
    for one in event.iterfind("SubscribeMsgSentEvent/List"):
        code, words = _text(one, "ErrorCode"), _text(one, "ErrorStatus")
        yield _news(event, one, is_delivered=code == "0", words=f"{code} {words}".strip())


def _news(event: Element, one: Element, *, is_delivered: bool, words: str) -> News:
    provider_id = _text(one, "MsgID")
    if not provider_id.isdecimal() or int(provider_id) == 0:
        raise UnreadableReport("It does not say which message it is about.")
    kind = "delivered" if is_delivered else "bounced"
    return News(
        kind=kind,
        key=key_of("wechat_official", provider_id, kind),
        at=_time(event),
        provider_message_id=provider_id,
        recipient=_text(event, "FromUserName").lower(),
        words=words[:500],
    )


def _time(event: Element) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(_text(event, "CreateTime")), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _check_signature(request: HttpRequest, credentials: Credentials) -> str:
    """Returns the token that signs. Raises `ForgedReport`."""
    token = credentials.get("callback_token")
    if not token:
        raise ForgedReport("This sender has no callback_token yet: enter the account's.")
    given = {name: request.GET.get(name, "") for name in ("signature", "timestamp", "nonce")}
    if not wechat_crypto.is_signed(given["signature"], token, given["timestamp"], given["nonce"]):
        raise ForgedReport("Its signature is wrong or missing.")
    sent_at = given["timestamp"]
    is_number = sent_at.isascii() and sent_at.isdecimal() and len(sent_at) < 16
    if not is_number or abs(time.time() - int(sent_at)) > TOLERANCE:
        raise ForgedReport("Its time is more than ten minutes off.")
    return str(token)


def _event(root: Element, *, app_id: str, credentials: Credentials) -> Element:
    """What happened, decrypted if it is encrypted. Raises `UnreadableReport`."""
    encrypted, secret = _text(root, "Encrypt"), credentials.get("encoding_aes_key")
    if not secret:
        if encrypted and not _text(root, "MsgType"):
            words = "It is encrypted: enter the account's encoding_aes_key."
            raise UnreadableReport(words)
        return root
    if not encrypted:
        # Its plain form is signed without the body.
        raise UnreadableReport("It is not encrypted, though there is an encoding_aes_key.")
    try:
        key = wechat_crypto.key_from(secret)
        return _parsed(wechat_crypto.decrypt(encrypted, key=key, receive_id=app_id))
    except ValueError as error:
        raise UnreadableReport(str(error)) from error


def _parsed(body: bytes) -> Element:
    """Raises `UnreadableReport`."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        # Not its words: they repeat what was posted.
        words = f"It is not the XML of WeChat: {type(error).__name__}."
        raise UnreadableReport(words) from error
    return root


def _text(element: Element, name: str) -> str:
    return (element.findtext(name) or "").strip()

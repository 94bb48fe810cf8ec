"""Whom an application may write to: a fence around staging."""

import re
from collections.abc import Sequence

from django.utils.translation import gettext, gettext_noop

from core.addresses import InvalidAddress, parse_address
from core.vocabulary import Channel

PREFIXED = (Channel.WECHAT, Channel.WECHAT_OFFICIAL, Channel.CHAT)

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
# Of channels whose addresses say not themselves what they are.
_NAMED = re.compile(rf"({'|'.join(each.value for each in PREFIXED)}):(\*|[^\s,]{{1,120}})")
_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}")
FORMS = gettext_noop(
    "Write ann@example.com, @example.com (that domain), *.example.com (those below it), a number "
    "as +8613800138000, or with the channel wechat:zhangsan, wechat_official:…, chat:…, * for all."
)


def parse_allowed(text: object) -> str:
    """One entry in the form in which it is stored. Raises `ValueError` that says what is wrong."""
    entry = text.strip().lower() if isinstance(text, str) else ""
    if _NUMBER.fullmatch(entry) or _NAMED.fullmatch(entry):
        return entry
    for prefix in ("@", "*."):
        if entry.startswith(prefix):
            if _DOMAIN.fullmatch(entry.removeprefix(prefix)):
                return entry
            words = gettext("%(text)s names no domain. %(forms)s")
            raise ValueError(words % {"text": repr(text), "forms": gettext(FORMS)})
    try:
        return parse_address(entry).address
    except InvalidAddress as error:
        words = gettext("%(text)s is none of the forms. %(forms)s")
        raise ValueError(words % {"text": repr(text), "forms": gettext(FORMS)}) from error


def may_write_to(address: str, allowed: Sequence[str], *, channel: str = Channel.EMAIL) -> bool:
    """Whether one of `allowed` fits; without any, everybody may be written to."""
    if not allowed:
        return True
    address = address.lower()
    if channel in PREFIXED:
        return f"{channel}:{address}" in allowed or f"{channel}:*" in allowed
    if channel == Channel.SMS:
        return address in allowed
    domain = address.rpartition("@")[2]
    return any(
        domain == entry[1:]
        if entry.startswith("@")
        else domain.endswith(entry[1:])
        if entry.startswith("*.")
        else address == entry
        for entry in allowed
    )

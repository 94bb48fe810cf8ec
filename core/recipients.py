"""Whom messages of each channel go to: the form in which an address is stored and found."""

import re

from django.utils.translation import gettext, gettext_noop

from core.addresses import InvalidAddress, parse_address
from core.numbers import InvalidNumber, parse_number
from core.vocabulary import Channel

# Members of WeChat Work have at most 64 of these; see its page on members.
_MEMBER = r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}"
# Before the name of a sender that posts to one group.
ROBOT = "robot:"
SENDER_NAME = r"[A-Za-z0-9_-]{1,60}"
FORMS: dict[str, str] = {
    Channel.WECHAT: rf"@all|party:[0-9]{{1,10}}|tag:[0-9]{{1,10}}|{ROBOT}{SENDER_NAME}|{_MEMBER}",
    # An OpenID has 28.
    Channel.WECHAT_OFFICIAL: "[A-Za-z0-9_-]{6,64}",
    Channel.CHAT: SENDER_NAME,
}
_WORDS: dict[str, str] = {
    Channel.WECHAT: gettext_noop(
        "It must be a member's id, party:2, tag:7, @all, or robot:name of a sender."
    ),
    Channel.WECHAT_OFFICIAL: gettext_noop("It must be an OpenID."),
    Channel.CHAT: gettext_noop("It must be the name of a sender."),
}


def parse_recipient(channel: str, text: str, *, region: str) -> str:
    """The address alone, in its own case. `region` is that of telephone numbers without a country.
    Raises `InvalidAddress`."""
    if channel == Channel.EMAIL:
        return parse_address(text).address
    if channel == Channel.SMS:
        try:
            return parse_number(text, region=region)
        except InvalidNumber as error:
            raise InvalidAddress(error.code, str(error)) from error
    if not re.fullmatch(FORMS[channel], text.strip()):
        raise InvalidAddress("invalid_recipient", gettext(_WORDS[channel]))
    return text.strip()

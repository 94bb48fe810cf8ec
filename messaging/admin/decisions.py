"""Why the pool took one sender and not another, in the operator's language.

`messaging.sender_pool` writes it into the attempt, in English: its reader is not known then.
"""

import re

from django.utils.translation import gettext, gettext_noop

REASONS = (
    gettext_noop("all its connections are busy"),
    gettext_noop("another worker tries it with one message"),
    gettext_noop("being tried with one message"),
    gettext_noop("benched until %(time)s UTC (%(why)s)"),
    gettext_noop("does not answer"),
    gettext_noop("failed this message just now"),
    gettext_noop("had this message before and gave no answer"),
    gettext_noop("it takes only messages that name it"),
    gettext_noop("its credentials cannot be read with the present CREDENTIALS_KEYS"),
    gettext_noop("its group %(group)s used up its limit per %(window)s"),
    gettext_noop("its quota is used up"),
    gettext_noop("its quota was used up by other workers"),
    gettext_noop("reserved for other applications"),
    gettext_noop("switched off"),
    gettext_noop("the quota of its group %(group)s is used up"),
    gettext_noop("this message is bound to another sender"),
    gettext_noop("used up its limit per %(window)s"),
)
_PLACEHOLDER = re.compile(r"%\\\((\w+)\\\)s|%\((\w+)\)s")


def _pattern(reason: str) -> re.Pattern[str]:
    return re.compile(_PLACEHOLDER.sub(r"(?P<\1\2>.+)", re.escape(reason)))


_PATTERNS = [(reason, _pattern(reason)) for reason in REASONS]


def in_words(why: str) -> str:
    """What is not known stays as it is stored."""
    for reason, pattern in _PATTERNS:
        if found := pattern.fullmatch(why):
            values = found.groupdict()
            if "window" in values:
                values["window"] = gettext(values["window"])
            return gettext(reason) % values if values else gettext(reason)
    return why

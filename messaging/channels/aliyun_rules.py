"""What Aliyun's SMS refuses for certain, told before a message is accepted.

Only what holds for every account and template: what a single template allows (4 to 6 digits of a
code, dates, amounts) is known to the provider alone.
"""

import re
from collections.abc import Iterator

from messaging.channels.base import Misfit
from messaging.channels.content import TemplatedContent
from messaging.channels.sms_text import MAINLAND

# help.aliyun.com/document_detail/44357.html, of templates for China's mainland.
LONGEST_PARAMETER = 35
# help.aliyun.com/document_detail/463270.html: a template with its variables.
LONGEST_TEXT = 500
_URL = re.compile(r"https?://", re.IGNORECASE)


def misfits(content: TemplatedContent) -> Iterator[Misfit]:
    if len(content.recipients()) != 1:
        yield Misfit("/to", "too_many_recipients", "Aliyun: one SMS goes to one number.")
    if not content.template_id:
        yield Misfit(
            "/template_code",
            "missing_template_id",
            "Aliyun sends approved templates only (TemplateCode), and this one has no id there.",
        )
    is_mainland = all(number.startswith(MAINLAND) for _, number in content.to)
    for name, value in content.parameters.items():
        yield from _misfits_of(name, value, is_mainland=is_mainland)
    if is_mainland and sum(map(len, content.parameters.values())) > LONGEST_TEXT:
        yield Misfit(
            "/variables",
            "too_long",
            f"Aliyun: TemplateParam holds more than {LONGEST_TEXT} characters in all, which is as "
            "much as a template may have with its variables.",
        )


def _misfits_of(name: str, value: str, *, is_mainland: bool) -> Iterator[Misfit]:
    pointer = f"/variables/{name.replace('~', '~0').replace('/', '~1')}"
    of = f"The template's parameter {name}:"
    if _URL.search(value):
        detail = f"{of} Aliyun takes no URL in a parameter (isv.PARAM_NOT_SUPPORT_URL)."
        yield Misfit(pointer, "url_not_allowed", detail)
    if not is_mainland:
        return
    if not value:
        detail = f"{of} Aliyun takes 1 to {LONGEST_PARAMETER} characters in a parameter, not none."
        yield Misfit(pointer, "empty", detail)
    elif len(value) > LONGEST_PARAMETER:
        detail = (
            f"{of} Aliyun takes at most {LONGEST_PARAMETER} characters in a parameter "
            "(isv.PARAM_LENGTH_LIMIT)."
        )
        yield Misfit(pointer, "too_long", detail)

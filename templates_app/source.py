"""What an editor writes, and what keeps it from even being stored."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from liquid.exceptions import LiquidError

from core.vocabulary import Channel
from templates_app import discovery, markup
from templates_app.discovery import FoundVariable
from templates_app.places import position

# The parts of a source, as errors name them. Each parameter of a provider's template is one more.
SUBJECT, BODY, TEXT = "subject", "body", "text"
PARAMETERS = "provider_parameters"
# What bodies are written in, by channel.
BODY_FORMATS: dict[str, tuple[str, ...]] = {
    Channel.EMAIL: ("html", "mjml", "markdown", "text"),
    Channel.SMS: ("text",),
    Channel.WECHAT: ("text", "markdown"),
    Channel.WECHAT_OFFICIAL: ("text",),
    Channel.CHAT: ("text", "markdown", "html"),
}
# Their providers have templates of their own: what is sent is named and filled in, not written.
TEMPLATED = frozenset({Channel.SMS, Channel.WECHAT_OFFICIAL})
# Names in templates of Aliyun and WeChat.
PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
MAX_PARAMETERS = 50
MAX_PARAMETER = 1000
MAX_SUBJECT = 255
MAX_SUBJECT_SOURCE = 1000
MAX_TAGS = 3_000
# What PostgreSQL or a mail cannot hold: controls other than tab and line ends, lone surrogates.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Source:
    """What an editor writes. `body_format` is one of the channel's `BODY_FORMATS`; `text` is the
    plain text beside an HTML body, made from it when empty.

    `parameters`: by the names of the provider's template, what is put there. Without them, the
    variables of the body stand for themselves."""

    subject: str = ""
    body: str = ""
    body_format: str = "html"
    text: str = ""
    channel: str = "email"
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, channel: str) -> "Source":
        """What a new version begins with."""
        return cls(channel=channel, body_format=BODY_FORMATS[channel][0])

    @property
    def has_markup(self) -> bool:
        """Whether its body becomes the HTML of a mail."""
        return self.channel == Channel.EMAIL and self.body_format != "text"

    def parts(self) -> list[tuple[str, str]]:
        filled = [(f"{PARAMETERS}/{name}", text) for name, text in self.parameters.items()]
        return [(SUBJECT, self.subject), (BODY, self.body), (TEXT, self.text), *filled]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a source, or with what came of it. Lines and columns begin at 1
    and count in the part as it was written; both are 0 where no place is known."""

    part: str
    line: int
    column: int
    code: str
    detail: str
    variable: str = ""


def unstorable(source: Source) -> list[Problem]:
    problems = []
    limits = {SUBJECT: MAX_SUBJECT_SOURCE, BODY: markup.MAX_BODY, TEXT: markup.MAX_BODY}
    if len(source.parameters) > MAX_PARAMETERS:
        detail = f"There may be {MAX_PARAMETERS} parameters; there are {len(source.parameters)}."
        return [Problem(PARAMETERS, 0, 0, "too_many", detail)]
    for name in source.parameters:
        if not PARAMETER.fullmatch(name):
            detail = "A parameter is named as in the provider's template: letters, digits and _."
            problems.append(Problem(f"{PARAMETERS}/{name[:50]}", 0, 0, "invalid", detail))
    for part, text in source.parts():
        limit = limits.get(part, MAX_PARAMETER)
        if len(text) > limit:
            detail = f"The {part} may have {limit:,} characters; it has {len(text):,}."
            problems.append(Problem(part, 0, 0, "too_large", detail))
        elif text.count("{{") + text.count("{%") > MAX_TAGS:
            detail = f"The {part} may have {MAX_TAGS:,} tags."
            problems.append(Problem(part, 0, 0, "too_large", detail))
        elif found := UNPRINTABLE.search(text):
            line, column = position(text, found.start())
            detail = "There is a control character here."
            problems.append(Problem(part, line, column, "control_characters", detail))
    return problems


def of_body(source: Source) -> list[FoundVariable]:
    try:
        return discovery.discover([(BODY, source.body)])
    except LiquidError:
        return []


def parameters_of(source: Source) -> Mapping[str, str]:
    """Of a provider's template: as they are written, or the variables of the body."""
    if source.parameters or source.channel not in TEMPLATED:
        return source.parameters
    names = [one.name for one in of_body(source)]
    return {name: f"{{{{ {name} }}}}" for name in names if PARAMETER.fullmatch(name)}

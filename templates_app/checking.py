"""Everything that is wrong with a text, whatever its variables."""

import re

from liquid.exceptions import LiquidError

from core.vocabulary import Channel
from templates_app import discovery, links, markup
from templates_app.discovery import FoundVariable
from templates_app.filters import FILTERS
from templates_app.language import PLAIN, Parsed
from templates_app.markup import MarkupError
from templates_app.places import TAG, position
from templates_app.rendering import as_problem, unsafe_url_words
from templates_app.safe_places import unsafe_places
from templates_app.source import (
    BODY,
    BODY_FORMATS,
    PARAMETER,
    PARAMETERS,
    SUBJECT,
    TEMPLATED,
    TEXT,
    Problem,
    Source,
    of_body,
    unstorable,
)

# --- checking ------------------------------------------------------------------------------------


def check(source: Source) -> list[Problem]:
    """Everything that is wrong with `source` whatever its variables, in the order of its text."""
    problems = list(unstorable(source))
    if problems:
        return problems
    parsed_body = False
    for part, text in source.parts():
        try:
            parsed = Parsed(text, PLAIN)
        except LiquidError as error:
            problems.append(as_problem(error, part, text))
            continue
        problems += _unknown_filters(parsed, part, text)
        parsed_body = parsed_body or part == BODY
    if not source.subject.strip() and source.channel == Channel.EMAIL:
        problems.append(Problem(SUBJECT, 0, 0, "blank", "An e-mail needs a subject."))
    if not source.body.strip():
        # The provider has the text; what is written here is only for people who look at messages.
        if source.channel != Channel.WECHAT_OFFICIAL:
            problems.append(Problem(BODY, 0, 0, "blank", "The body is empty."))
    elif parsed_body:
        problems += _body_problems(source)
    problems += _channel_problems(source)
    order = {SUBJECT: 0, BODY: 1, TEXT: 2}
    return sorted(problems, key=lambda p: (order.get(p.part, 3), p.part, p.line, p.column))


def _channel_problems(source: Source) -> list[Problem]:
    """What does not go with its channel."""
    problems = []
    formats = BODY_FORMATS[source.channel]
    if source.body_format not in formats:
        detail = f"Here a body is written in: {', '.join(formats)}."
        problems.append(Problem("body_format", 0, 0, "conflict", detail))
    if source.parameters and source.channel not in TEMPLATED:
        detail = "This channel's messages are texts: no provider's template is filled in."
        problems.append(Problem(PARAMETERS, 0, 0, "conflict", detail))
    elif source.channel == Channel.WECHAT_OFFICIAL and not source.parameters:
        detail = "Say what is put where: the fields of WeChat's template, for example thing1."
        problems.append(Problem(PARAMETERS, 0, 0, "blank", detail))
    elif source.channel == Channel.SMS and not source.parameters:
        nested = [one.name for one in of_body(source) if not PARAMETER.fullmatch(one.name)]
        if nested:
            detail = f"Name the parameters of the provider's template: {nested[0]} is none."
            problems.append(Problem(PARAMETERS, 0, 0, "blank", detail))
    return problems


def _unknown_filters(parsed: Parsed, part: str, text: str) -> list[Problem]:
    problems = []
    for name, token in parsed.filters():
        if name not in FILTERS:
            line, column = position(text, token.start_index)
            problems.append(Problem(part, line, column, "unknown_filter", _no_filter(name)))
    return problems


def _no_filter(name: str) -> str:
    return f"There is no filter {name[:50]}. There are: {', '.join(sorted(FILTERS))}."


def _body_problems(source: Source) -> list[Problem]:
    body = source.body
    if not source.has_markup:
        return []
    try:
        html = markup.html_of(body, source.body_format)
        markup.inline_styles(html)
    except MarkupError as error:
        return [Problem(BODY, error.line, error.column, error.code, error.detail)]
    problems = []
    # MJML and HTML are read as they are written; what Markdown says is as safe as its HTML.
    for offset, why in unsafe_places(body):
        line, column = position(body, offset)
        problems.append(Problem(BODY, line, column, "unsafe_place", why))
    _, schemes = links.defuse(TAG.sub("", html))
    for scheme in schemes:
        found = re.search(re.escape(scheme), body, re.IGNORECASE)
        line, column = position(body, found.start()) if found else (0, 0)
        problems.append(Problem(BODY, line, column, "unsafe_url", unsafe_url_words(scheme)))
    return problems


def find_variables(source: Source) -> list[FoundVariable]:
    """The variables that `source` asks for, in order of appearance; none where it has errors."""
    if unstorable(source):
        return []
    try:
        return discovery.discover(source.parts())
    except LiquidError:
        return []

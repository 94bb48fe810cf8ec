"""Turns a template's text and a caller's variables into a message. Pure: no models, no clock.

`check` says everything that is wrong with a text; `compile_source` makes it ready, `render` makes
the message. Whatever fails, fails with its part, line, column and variable.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from liquid.exceptions import (
    LiquidError,
    LiquidSyntaxError,
    ResourceLimitError,
    UndefinedError,
    UnknownFilterError,
)

from core.addresses import CONTROL
from templates_app import discovery, links, markup
from templates_app.discovery import FoundVariable as FoundVariable
from templates_app.filters import FILTERS
from templates_app.language import HTML, PLAIN, Parsed
from templates_app.markup import MarkupError
from templates_app.places import TAG, position
from templates_app.safe_places import unsafe_places

# The parts of a source, as errors name them.
SUBJECT, BODY, TEXT = "subject", "body", "text"
MAX_SUBJECT = 255
MAX_SUBJECT_SOURCE = 1000
MAX_TAGS = 3_000
# A mail of this size is cut off by Gmail, so a warning says so.
CLIPPED_AT = 100_000
# What PostgreSQL or a mail cannot hold: controls other than tab and line ends, lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")
_UNDEFINED = re.compile(r"'?(.+?)'? is undefined")


@dataclass(frozen=True, slots=True)
class Source:
    """What an editor writes. `body_format` is `html`, `mjml`, `markdown` or `text`; `text` is the
    plain text beside an HTML body, made from it when empty."""

    subject: str = ""
    body: str = ""
    body_format: str = "html"
    text: str = ""
    channel: str = "email"

    def parts(self) -> list[tuple[str, str]]:
        return [(SUBJECT, self.subject), (BODY, self.body), (TEXT, self.text)]


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


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message. `html` is empty for a plain text. `warnings` tell what was made harmless."""

    subject: str
    html: str
    text: str
    warnings: tuple[Problem, ...] = ()


class RenderError(Exception):
    """The source cannot be rendered, with these variables or at all."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Compiled:
    """Parsed templates of a source. Safe to keep and to share between threads."""

    source: Source
    subject: Parsed
    # None for a plain text.
    html: Parsed | None
    # None where the text has to be made from each rendered HTML.
    text: Parsed | None
    is_text_derived: bool


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
            problems.append(_as_problem(error, part, text))
            continue
        problems += _unknown_filters(parsed, part, text)
        parsed_body = parsed_body or part == BODY
    if not source.subject.strip() and source.channel == "email":
        problems.append(Problem(SUBJECT, 0, 0, "blank", "An e-mail needs a subject."))
    if not source.body.strip():
        problems.append(Problem(BODY, 0, 0, "blank", "The body is empty."))
    elif parsed_body:
        problems += _body_problems(source)
    order = {SUBJECT: 0, BODY: 1, TEXT: 2}
    return sorted(problems, key=lambda p: (order[p.part], p.line, p.column))


def unstorable(source: Source) -> list[Problem]:
    problems = []
    limits = {SUBJECT: MAX_SUBJECT_SOURCE, BODY: markup.MAX_BODY, TEXT: markup.MAX_BODY}
    for part, text in source.parts():
        if len(text) > limits[part]:
            detail = f"The {part} may have {limits[part]:,} characters; it has {len(text):,}."
            problems.append(Problem(part, 0, 0, "too_large", detail))
        elif text.count("{{") + text.count("{%") > MAX_TAGS:
            detail = f"The {part} may have {MAX_TAGS:,} tags."
            problems.append(Problem(part, 0, 0, "too_large", detail))
        elif found := _UNPRINTABLE.search(text):
            line, column = position(text, found.start())
            detail = "There is a control character here."
            problems.append(Problem(part, line, column, "control_characters", detail))
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
    if source.body_format == "text":
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
        problems.append(Problem(BODY, line, column, "unsafe_url", _unsafe_url(scheme)))
    return problems


def _unsafe_url(scheme: str) -> str:
    return f"Links that begin with {scheme}: are replaced by #."


def find_variables(source: Source) -> list[FoundVariable]:
    """The variables that `source` asks for, in order of appearance; none where it has errors."""
    if unstorable(source):
        return []
    try:
        return discovery.discover(source.parts())
    except LiquidError:
        return []


# --- rendering -----------------------------------------------------------------------------------


def compile_source(
    source: Source, *, html: str | None = None, derived_text: str | None = None
) -> Compiled:
    """Raises `RenderError`. `html` and `derived_text` are what a version has stored, so that
    nothing is compiled twice."""
    for problem in unstorable(source):
        raise RenderError(problem)
    has_html = source.body_format != "text"
    if has_html and html is None:
        try:
            html = markup.inline_styles(markup.html_of(source.body, source.body_format))
        except MarkupError as error:
            _check_language(source.body, BODY)
            problem = Problem(BODY, error.line, error.column, error.code, error.detail)
            raise RenderError(problem) from error
    is_derived = has_html and not source.text.strip()
    text: Parsed | None
    if not has_html:
        text = _parse(source.body, PLAIN, BODY, source.body)
    elif not is_derived:
        text = _parse(source.text, PLAIN, TEXT, source.text)
    else:
        text = _parse_derived(derived_text if derived_text else markup.text_of(html or ""))
    return Compiled(
        source=source,
        subject=_parse(source.subject, PLAIN, SUBJECT, source.subject),
        html=_parse(html or "", HTML, BODY, source.body) if has_html else None,
        text=text,
        is_text_derived=is_derived,
    )


def _parse(text: str, env: Any, part: str, written: str) -> Parsed:
    try:
        return Parsed(text, env)
    except LiquidError as error:
        # What was compiled has other lines than what was written.
        _check_language(written, part)
        raise RenderError(_as_problem(error, part, written, is_placed=text == written)) from error


def _check_language(written: str, part: str) -> None:
    try:
        Parsed(written, PLAIN)
    except LiquidError as error:
        raise RenderError(_as_problem(error, part, written)) from error


def _parse_derived(text: str) -> Parsed | None:
    """None where parts of blocks were lost with the markup: then it is made of what is rendered."""
    try:
        return Parsed(text, PLAIN) if text.strip() else None
    except LiquidError:
        return None


def derive_text(html: str) -> str:
    """The plain text to be stored with a version; empty where each message needs its own."""
    text = markup.text_of(html)
    return text if _parse_derived(text) is not None else ""


def render(compiled: Compiled, variables: Mapping[str, Any], *, locale: str = "") -> Rendered:
    """Raises `RenderError`. `variables` are JSON values; `locale` is for dates, numbers, money."""
    source = compiled.source
    subject = _run(compiled.subject, variables, locale, SUBJECT, source.subject).strip()
    _check_subject(subject, variables)
    html, warnings = "", []
    if compiled.html is not None:
        html = _run(compiled.html, variables, locale, BODY, source.body)
        _check_content(html, BODY)
        html, schemes = links.defuse(html)
        warnings += [Problem(BODY, 0, 0, "unsafe_url", _unsafe_url(each)) for each in schemes]
        if len(html) > CLIPPED_AT:
            detail = "Gmail cuts off mails of more than about 100,000 characters."
            warnings.append(Problem(BODY, 0, 0, "long", detail))
    if compiled.text is None:
        text = markup.text_of(html)
    elif compiled.is_text_derived:
        try:
            text = _run(compiled.text, variables, locale, TEXT, "")
        except RenderError:
            # The markup held what the text lost, an `assign` in an attribute for example.
            text = markup.text_of(html)
        text = _BLANK_LINES.sub("\n\n", text).strip() + "\n"
    else:
        part, written = (TEXT, source.text) if compiled.html else (BODY, source.body)
        text = _run(compiled.text, variables, locale, part, written)
    _check_content(text, TEXT)
    return Rendered(subject, html, text, tuple(dict.fromkeys(warnings)))


def _run(parsed: Parsed, variables: Mapping[str, Any], locale: str, part: str, written: str) -> str:
    try:
        return parsed.render(variables, locale)
    except LiquidError as error:
        problem = _as_problem(error, part, written, is_placed=parsed.source == written)
        if not problem.line and written:
            problem = _placed(problem, variables, locale, written)
        raise RenderError(problem) from error
    except Exception as error:
        # Deep nesting and the like. The words of Python's errors may quote values.
        detail = f"The {part} cannot be rendered with these variables."
        raise RenderError(Problem(part, 0, 0, "not_renderable", detail)) from error


def _placed(problem: Problem, variables: Mapping[str, Any], locale: str, written: str) -> Problem:
    """The same problem in the text as it was written: what the tags do depends on no markup."""
    try:
        Parsed(written, HTML).render(variables, locale)
    except LiquidError as error:
        found = _as_problem(error, problem.part, written)
        return found if found.code == problem.code else problem
    except Exception:
        return problem
    return problem


def _as_problem(error: LiquidError, part: str, written: str, *, is_placed: bool = True) -> Problem:
    line = column = 0
    if is_placed and error.token is not None and 0 <= error.token.start_index <= len(written):
        line, column = position(written, error.token.start_index)
    words = str(error.message or "").strip()
    code, variable = "not_renderable", ""
    if isinstance(error, UndefinedError):
        found = _UNDEFINED.match(words)
        variable = found[1] if found else ""
        code, words = (
            "undefined_variable",
            f"The variable {variable} is not given".replace("  ", " "),
        )
    elif isinstance(error, UnknownFilterError):
        code = "unknown_filter"
    elif isinstance(error, ResourceLimitError):
        code = "too_large"
    elif isinstance(error, LiquidSyntaxError):
        code = "syntax_error"
        if not line and (offset := _unclosed(written)) is not None:
            line, column = position(written, offset)
    elif words.startswith("unexpected liquid"):
        code, words = "syntax_error", "This is nested too deeply, or is no tag."
    detail = f"{words[:1].upper()}{words[1:300]}".rstrip(".") + "."
    return Problem(part, line, column, code, detail, variable)


_BLOCK = re.compile(r"\{%-?\s*(end)?(for|if|unless|case|capture|comment|raw)\b")


def _unclosed(written: str) -> int | None:
    """Where a block begins that is never closed. The language only says that there is one."""
    begun: list[tuple[str, int]] = []
    for found in _BLOCK.finditer(written):
        if not found[1]:
            begun.append((found[2], found.start()))
        elif begun and begun[-1][0] == found[2]:
            begun.pop()
    return begun[-1][1] if begun else None


def _check_subject(subject: str, variables: Mapping[str, Any]) -> None:
    if CONTROL.search(subject):
        guilty = next(
            (
                n
                for n, value in variables.items()
                if isinstance(value, str) and CONTROL.search(value)
            ),
            "",
        )
        detail = "The subject holds line breaks, control characters or direction overrides."
        raise RenderError(Problem(SUBJECT, 0, 0, "control_characters", detail, guilty))
    if len(subject) > MAX_SUBJECT:
        detail = f"The subject has {len(subject)} characters; {MAX_SUBJECT} are allowed."
        raise RenderError(Problem(SUBJECT, 0, 0, "max_length", detail))
    if not subject:
        raise RenderError(Problem(SUBJECT, 0, 0, "blank", "The subject is empty."))


def _check_content(text: str, part: str) -> None:
    if found := _UNPRINTABLE.search(text):
        line, _ = position(text, found.start())
        detail = f"The {part} holds a control character, in line {line} of what was rendered."
        raise RenderError(Problem(part, 0, 0, "control_characters", detail))

"""Turns a template's text and a caller's variables into a message. Pure: no models, no clock.

`compile_source` makes a text ready, `render` makes the message. Whatever fails, fails with its
part, line, column and variable.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from liquid.exceptions import (
    LiquidError,
    LiquidSyntaxError,
    ResourceLimitError,
    UndefinedError,
    UnknownFilterError,
)

from core.addresses import CONTROL
from core.vocabulary import Channel
from templates_app import links, markup
from templates_app.language import HTML, PLAIN, Parsed
from templates_app.markup import MarkupError
from templates_app.places import position
from templates_app.source import (
    BODY,
    MAX_SUBJECT,
    PARAMETERS,
    SUBJECT,
    TEXT,
    UNPRINTABLE,
    Problem,
    Source,
    parameters_of,
    unstorable,
)

# A mail of this size is cut off by Gmail, so a warning says so.
CLIPPED_AT = 100_000
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")
_UNDEFINED = re.compile(r"'?(.+?)'? is undefined")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message. `html` is empty for a plain text. `warnings` tell what was made harmless.
    `parameters` are those of the provider's template."""

    subject: str
    html: str
    text: str
    warnings: tuple[Problem, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)


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
    parameters: Mapping[str, Parsed] = field(default_factory=dict)


def unsafe_url_words(scheme: str) -> str:
    return f"Links that begin with {scheme}: are replaced by #."


def compile_source(
    source: Source, *, html: str | None = None, derived_text: str | None = None
) -> Compiled:
    """Raises `RenderError`. `html` and `derived_text` are what a version has stored, so that
    nothing is compiled twice."""
    for problem in unstorable(source):
        raise RenderError(problem)
    has_html = source.has_markup
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
        parameters={
            name: _parse(text, PLAIN, f"{PARAMETERS}/{name}", text)
            for name, text in parameters_of(source).items()
        },
    )


def _parse(text: str, env: Any, part: str, written: str) -> Parsed:
    try:
        return Parsed(text, env)
    except LiquidError as error:
        # What was compiled has other lines than what was written.
        _check_language(written, part)
        raise RenderError(as_problem(error, part, written, is_placed=text == written)) from error


def _check_language(written: str, part: str) -> None:
    try:
        Parsed(written, PLAIN)
    except LiquidError as error:
        raise RenderError(as_problem(error, part, written)) from error


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
    if source.channel == Channel.EMAIL or subject:
        _check_subject(subject, variables)
    html, warnings = "", []
    if compiled.html is not None:
        html = _run(compiled.html, variables, locale, BODY, source.body)
        _check_content(html, BODY)
        html, schemes = links.defuse(html)
        warnings += [Problem(BODY, 0, 0, "unsafe_url", unsafe_url_words(each)) for each in schemes]
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
    parameters = _filled(compiled, variables, locale)
    if parameters and not text.strip():
        text = "\n".join(f"{name}: {value}" for name, value in parameters.items())
    return Rendered(subject, html, text, tuple(dict.fromkeys(warnings)), parameters)


def _filled(compiled: Compiled, variables: Mapping[str, Any], locale: str) -> dict[str, str]:
    """One line each: whatever else providers take, they take that."""
    found = {}
    for name, parsed in compiled.parameters.items():
        part, written = f"{PARAMETERS}/{name}", compiled.source.parameters.get(name, "")
        found[name] = _run(parsed, variables, locale, part, written).strip()
        if CONTROL.search(found[name]):
            detail = f"The parameter {name} holds line breaks or control characters."
            guilty = _holding_control(variables)
            raise RenderError(Problem(part, 0, 0, "control_characters", detail, guilty))
    return found


def _run(parsed: Parsed, variables: Mapping[str, Any], locale: str, part: str, written: str) -> str:
    try:
        return parsed.render(variables, locale)
    except LiquidError as error:
        problem = as_problem(error, part, written, is_placed=parsed.source == written)
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
        found = as_problem(error, problem.part, written)
        return found if found.code == problem.code else problem
    except Exception:
        return problem
    return problem


def as_problem(error: LiquidError, part: str, written: str, *, is_placed: bool = True) -> Problem:
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
        guilty = _holding_control(variables)
        detail = "The subject holds line breaks, control characters or direction overrides."
        raise RenderError(Problem(SUBJECT, 0, 0, "control_characters", detail, guilty))
    if len(subject) > MAX_SUBJECT:
        detail = f"The subject has {len(subject)} characters; {MAX_SUBJECT} are allowed."
        raise RenderError(Problem(SUBJECT, 0, 0, "max_length", detail))
    if not subject:
        raise RenderError(Problem(SUBJECT, 0, 0, "blank", "The subject is empty."))


def _holding_control(variables: Mapping[str, Any]) -> str:
    """The name of the first that holds control characters."""
    named = variables.items()
    return next((n for n, v in named if isinstance(v, str) and CONTROL.search(v)), "")


def _check_content(text: str, part: str) -> None:
    if found := UNPRINTABLE.search(text):
        line, _ = position(text, found.start())
        detail = f"The {part} holds a control character, in line {line} of what was rendered."
        raise RenderError(Problem(part, 0, 0, "control_characters", detail))

"""Turns a template's text and a caller's variables into a message. Pure: no models, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The parts of a source, as errors name them.
SUBJECT, BODY, TEXT = "subject", "body", "text"


@dataclass(frozen=True, slots=True)
class Source:
    """What an editor writes. `body_format` is `html`, `mjml`, `markdown` or `text`; `text` is the
    plain text beside an HTML body, made from it when empty."""

    subject: str = ""
    body: str = ""
    body_format: str = "html"
    text: str = ""
    channel: str = "email"


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
class FoundVariable:
    """A variable that a source uses. `name` is its path, `user.name` or `items[].price`; `type` is
    what its use says: `string`, `number`, `boolean`, `array` or `object`."""

    name: str
    type: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message. `warnings` are sentences for the caller; `unknown` are the names of variables that
    were given and that the template does not know."""

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

    parts: Mapping[str, Any] = field(default_factory=dict)


def check(source: Source) -> list[Problem]:
    """Everything that is wrong with `source` whatever its variables, in the order of its text."""
    raise NotImplementedError


def find_variables(source: Source) -> list[FoundVariable]:
    """The variables that `source` asks for, in order of appearance; none where it has errors."""
    raise NotImplementedError


def suggest_schema(found: Sequence[FoundVariable], known: Mapping[str, Any]) -> dict[str, Any]:
    """`known`, a version's `variables`, following what was `found`: new ones are added and are
    required, those that are gone are dropped, what was set for the others is kept."""
    raise NotImplementedError


def compile_source(source: Source, *, html: str | None = None) -> Compiled:
    """Raises `RenderError`. `html` is the compiled body of a stored version, so that MJML and
    Markdown are not compiled again."""
    raise NotImplementedError


def render(compiled: Compiled, variables: Mapping[str, Any], *, locale: str = "") -> Rendered:
    """Raises `RenderError`. `variables` are JSON values; `locale` is for dates, numbers, money."""
    raise NotImplementedError

"""What an editor sees of an unsaved text: rendered with examples, with all that is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from templates_app.rendering import (
    FoundVariable,
    Problem,
    Rendered,
    RenderError,
    Source,
    check,
    compile_source,
    find_variables,
    render,
    suggest_schema,
)
from templates_app.samples import sample_of


@dataclass(frozen=True, slots=True)
class Look:
    """`rendered` is None while there are problems that keep it from being rendered."""

    rendered: Rendered | None
    problems: list[Problem]
    variables: list[FoundVariable]


def look_at(source: Source, *, schema: Mapping[str, Any], locale: str) -> Look:
    """Never raises for what an editor wrote. `schema` is the version's `variables`."""
    problems = check(source)
    if problems:
        return Look(None, problems, [])
    found = find_variables(source)
    sample = sample_of(follow_text(source, schema))
    try:
        rendered = render(compile_source(source), sample, locale=locale)
    except RenderError as error:
        return Look(None, [error.problem], found)
    return Look(rendered, [], found)


def follow_text(source: Source, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with the variables that the text has now. A text with errors, and one that is
    the provider's, tells nothing of its variables: the schema stays as it is."""
    if source.channel != "email" or check(source):
        return dict(schema)
    return suggest_schema(find_variables(source), schema)

"""What an editor sees of an unsaved text: rendered with examples, with all that is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from templates_app.checking import check, find_variables
from templates_app.discovery import FoundVariable
from templates_app.rendering import Rendered, RenderError, compile_source, render
from templates_app.source import Problem, Source
from templates_app.variables import example_of, problems_of_schema, suggest_schema


@dataclass(frozen=True, slots=True)
class Look:
    """`rendered` is None where the text is too wrong for that. `variables` is None where it cannot
    be told which there are."""

    rendered: Rendered | None
    problems: list[Problem]
    variables: list[FoundVariable] | None


def look_at(source: Source, *, schema: Mapping[str, Any], locale: str) -> Look:
    """Never raises for what an editor wrote. `schema` is the version's `variables`."""
    problems = check(source)
    found = find_variables(source)
    sample: Any = {}
    if errors := problems_of_schema(schema):
        words = f"{errors[0].pointer or '/'}: {errors[0].detail}"
        problems.append(Problem("variables", 0, 0, errors[0].code, words))
    else:
        sample = example_of(suggest_schema(found, schema))
    rendered = None
    try:
        rendered = render(compile_source(source), sample, locale=locale)
    except RenderError as error:
        # What is wrong with the text as such was found above, and all of it.
        if not problems:
            problems = [error.problem]
    is_told = found or rendered is not None
    return Look(rendered, problems, found if is_told else None)


def follow_text(source: Source, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with the variables that the text has now. Where it has errors nothing is dropped:
    it may be used in the part that cannot be read."""
    if problems_of_schema(schema):
        return dict(schema)
    return suggest_schema(find_variables(source), schema, keep_unused=bool(check(source)))

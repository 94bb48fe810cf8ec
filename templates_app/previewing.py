"""Looks at a text as it would be sent, stored or not. Nothing is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import Code, DomainError, FieldError
from templates_app import checking, rendering
from templates_app.discovery import FoundVariable
from templates_app.models import TemplateVersion
from templates_app.publishing import as_field_errors, source_of
from templates_app.rendering import Rendered, RenderError
from templates_app.sending import Ready, render_checked
from templates_app.source import Source
from templates_app.variables import Checker, suggest_schema


@dataclass(frozen=True, slots=True)
class Previewed:
    rendered: Rendered
    variables: Sequence[FoundVariable]
    warnings: Sequence[FieldError]


def preview_version(
    version: TemplateVersion, variables: Mapping[str, Any], *, locale: str
) -> Previewed:
    """Raises `DomainError` (`invalid_request`)."""
    return preview_source(source_of(version), variables, locale=locale, schema=version.variables)


def preview_source(
    source: Source,
    variables: Mapping[str, Any],
    *,
    locale: str,
    schema: Mapping[str, Any] | None = None,
) -> Previewed:
    """Raises `DomainError` (`invalid_request`): for the text with all that is wrong in it, for the
    variables with all that are missing or wrong."""
    problems = checking.check(source)
    if problems:
        detail = "The text has errors; `errors` names each one."
        raise DomainError(Code.INVALID_REQUEST, detail, errors=as_field_errors(problems))
    found = checking.find_variables(source)
    try:
        compiled = rendering.compile_source(source)
    except RenderError as error:
        errors = as_field_errors([error.problem])
        raise DomainError(Code.INVALID_REQUEST, error.problem.detail, errors=errors) from error
    checker = Checker(suggest_schema(found, schema or {}, keep_unused=True))
    rendered, warnings = render_checked(Ready(compiled, checker), variables, False, locale)
    return Previewed(rendered, found, warnings)

"""From a code and variables to a message's text: finds the template, checks, renders.

It runs inside every request that sends by a template, so it asks the database once, and keeps what
cannot change: published versions, parsed, by their ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core.database import prepared_cursor
from core.errors import Code, DomainError, FieldError
from core.problems import escape_pointer
from templates_app import rendering
from templates_app.lookup import languages
from templates_app.models import TemplateVersion, VersionStatus
from templates_app.publishing import source_of
from templates_app.rendering import Compiled, Rendered, RenderError
from templates_app.variables import Checker

# Parsed versions that a process keeps.
KEPT_VERSIONS = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asks for. `version` of None is the current one."""

    code: str
    variables: Mapping[str, Any]
    version: int | None = None
    locale: str = ""
    is_strict: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """The version that serves a request, and how its template wants messages handled."""

    version_id: int
    number: int
    code: str
    locale: str
    priority: str
    policy: str
    lifetime_seconds: int | None
    dedupe_seconds: int | None


@dataclass(frozen=True, slots=True)
class ProviderTemplate:
    """How the provider knows a template; `kind` is one of its sorts of templates."""

    id: str = ""
    signature: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """A version that is kept in memory."""

    compiled: Compiled
    checker: Checker
    provider: ProviderTemplate = ProviderTemplate()

    @property
    def body_format(self) -> str:
        return self.compiled.source.body_format


@dataclass(frozen=True, slots=True)
class Prepared:
    chosen: Chosen
    ready: Ready
    rendered: Rendered
    variable_names: list[str]
    warnings: list[FieldError]


class Finder:
    """Chooses versions for one request, which may ask for the same one a thousand times."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int | None, str], Chosen | DomainError] = {}

    def choose(self, wanted: Wanted, *, application_id: int, channel: str) -> Chosen:
        """As the function of this name."""
        key = (wanted.code, wanted.version, wanted.locale)
        if key not in self._found:
            try:
                self._found[key] = choose(wanted, application_id=application_id, channel=channel)
            except DomainError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, DomainError):
            raise found
        return found


def prepare(
    wanted: Wanted, *, application_id: int, channel: str, finder: Finder | None = None
) -> Prepared:
    """Raises `DomainError`: `not_found` for what there is not, or not for this application,
    `conflict` for what is archived or not published, `invalid_request` naming all that is wrong
    with the variables."""
    find = finder.choose if finder else choose
    chosen = find(wanted, application_id=application_id, channel=channel)
    ready = ready_version(chosen.version_id)
    locale = wanted.locale or chosen.locale
    rendered, warnings = render_checked(ready, wanted.variables, wanted.is_strict, locale)
    names = sorted(wanted.variables)
    return Prepared(chosen, ready, rendered, names, warnings)


def render_checked(
    ready: Ready, variables: Mapping[str, Any], is_strict: bool, locale: str
) -> tuple[Rendered, list[FieldError]]:
    """Raises `DomainError` (`invalid_request`). The warnings are those of the answer."""
    checker = ready.checker
    variables = checker.without_nulls(variables)
    errors = checker.check(variables)
    warnings = [
        FieldError(
            f"/variables/{escape_pointer(name)}",
            "unknown_variable",
            "The template does not know this variable.",
        )
        for name in checker.unknown(variables)
    ]
    if is_strict:
        errors += warnings
    if errors:
        detail = "Variables are missing, unknown or wrong; `errors` names each one."
        raise DomainError(Code.INVALID_REQUEST, detail, errors=tuple(errors))
    try:
        rendered = rendering.render(ready.compiled, variables, locale=locale)
    except RenderError as error:
        raise _refusal(error) from error
    warnings += [FieldError("/variables", each.code, each.detail) for each in rendered.warnings]
    return rendered, warnings


def _refusal(error: RenderError) -> DomainError:
    problem = error.problem
    name = problem.variable.partition(".")[0].partition("[")[0]
    pointer = f"/variables/{escape_pointer(name)}" if name else "/variables"
    where = f" (line {problem.line}, column {problem.column} of the {problem.part})"
    detail = problem.detail + (where if problem.line else f" (In the {problem.part}.)")
    return DomainError(
        Code.INVALID_REQUEST,
        "The template cannot be rendered with these variables.",
        errors=(FieldError(pointer, problem.code, detail),),
    )


@lru_cache(maxsize=KEPT_VERSIONS)
def ready_version(version_id: int) -> Ready:
    """Of published versions only: they never change, and ids are not used twice."""
    version = TemplateVersion.objects.select_related("template").get(pk=version_id)
    return make_ready(version)


def make_ready(version: TemplateVersion) -> Ready:
    """Raises `RenderError`. Of a draft too, which is not kept."""
    html, text = version.html or None, version.derived_text or None
    compiled = rendering.compile_source(source_of(version), html=html, derived_text=text)
    provider = ProviderTemplate(
        version.provider_template_id, version.provider_signature, version.provider_kind
    )
    return Ready(compiled, Checker(version.variables), provider)


# --- finding -------------------------------------------------------------------------------------

# By the ORM it costs three times as much. Shared templates have no application.
_FIND = """
    SELECT t.id, t.application_id, t.locale, t.channel, t.archived_at IS NOT NULL,
           t.current_version_id IS NOT NULL, t.priority, t.policy, t.lifetime_seconds,
           t.dedupe_seconds, v.id, v.number, v.status
    FROM templates_app_template t
    LEFT JOIN templates_app_templateversion v ON {version}
    WHERE t.code = %s AND (t.application_id = %s OR t.application_id IS NULL)
"""
_FIND_CURRENT = _FIND.format(version="v.id = t.current_version_id")
_FIND_NUMBER = _FIND.format(version="v.template_id = t.id AND v.number = %s")


def choose(wanted: Wanted, *, application_id: int, channel: str) -> Chosen:
    """The caller's own template before a shared one, and of either the nearest language."""
    parameters: list[Any] = [wanted.code, application_id]
    sql = _FIND_CURRENT
    if wanted.version is not None:
        sql, parameters = _FIND_NUMBER, [wanted.version, *parameters]
    with prepared_cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = [_Row(*row) for row in cursor.fetchall()]
    others = {row.channel for row in rows}
    rows = [row for row in rows if row.channel == channel]
    nearest = languages(wanted.locale)
    candidates = sorted(
        (row for row in rows if row.locale in nearest),
        key=lambda row: (row.application_id is None, nearest.index(row.locale)),
    )
    usable = next((r for r in candidates if r.is_published and not r.is_archived), None)
    if usable is not None and usable.status == VersionStatus.PUBLISHED:
        assert usable.version_id is not None
        assert usable.number is not None
        return Chosen(
            usable.version_id,
            usable.number,
            wanted.code,
            usable.locale,
            usable.priority,
            usable.policy,
            usable.lifetime_seconds,
            usable.dedupe_seconds,
        )
    raise _why_none(wanted, rows, [usable] if usable else candidates, others - {channel})


@dataclass(frozen=True, slots=True)
class _Row:
    template_id: int
    application_id: int | None
    locale: str
    channel: str
    is_archived: bool
    is_published: bool
    priority: str
    policy: str
    lifetime_seconds: int | None
    dedupe_seconds: int | None
    version_id: int | None
    number: int | None
    status: str | None


def _why_none(
    wanted: Wanted, rows: list[_Row], candidates: list[_Row], others: set[str]
) -> DomainError:
    """`others`: channels that have a template of this code, where this one has none."""
    code, version = wanted.code, wanted.version

    def refusal(kind: Code, pointer: str, field_code: str, detail: str) -> DomainError:
        return DomainError(kind, detail, errors=(FieldError(pointer, field_code, detail),))

    if not rows:
        detail = f"There is no template {code}."
        if others:
            detail = f"The template {code} is one of another channel: {', '.join(sorted(others))}."
        return refusal(Code.NOT_FOUND, "/template_code", "template_not_found", detail)
    if not candidates:
        there = ", ".join(sorted({row.locale for row in rows}))
        detail = (
            f"There is no template {code} for this language, and none by default; only {there}."
        )
        return refusal(Code.NOT_FOUND, "/locale", "template_not_found", detail)
    first = next((row for row in candidates if not row.is_archived), None)
    if first is None:
        detail = f"The template {code} is archived."
        return refusal(Code.CONFLICT, "/template_code", "template_archived", detail)
    if version is None:
        detail = f"The template {code} has no published version yet."
        return refusal(Code.CONFLICT, "/template_code", "template_not_published", detail)
    if first.version_id is None:
        detail = f"The template {code} has no version {version}."
        return refusal(Code.NOT_FOUND, "/template_version", "version_not_found", detail)
    detail = f"Version {version} of the template {code} is a draft; publish it first."
    return refusal(Code.CONFLICT, "/template_version", "version_not_published", detail)

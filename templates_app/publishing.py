"""The life of a template: create, draft, publish, roll back, duplicate, archive."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from accounts.models import Application, User
from core.errors import Code, DomainError, FieldError
from core.problems import escape_pointer
from templates_app import checking, markup, rendering
from templates_app.models import HANDLING, Template, TemplateVersion, VersionStatus
from templates_app.source import TEMPLATED, Problem, Source, unstorable
from templates_app.uses import Caller, uses
from templates_app.variables import problems_of_schema, suggest_schema

# Who sent by a template within this time is asked for before a publish requires more.
RECENT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Author:
    """Who did it: an operator, or a key by its name."""

    name: str
    user: User | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """The text of a version. `variables` of None follows the text."""

    source: Source
    variables: dict[str, Any] | None = None
    provider_template_id: str = ""
    provider_signature: str = ""
    provider_kind: str = ""
    change_note: str = ""


class ConfirmationRequired(DomainError):
    """Recent `callers` do not send what a version would newly require."""

    def __init__(self, callers: Sequence[Caller]) -> None:
        errors = tuple(
            FieldError(
                "/confirm",
                "caller_lacks_variable",
                f"{caller.application} sent {caller.messages} messages by this template lately, "
                f"the last on {caller.last_used_at:%Y-%m-%d}, without {', '.join(caller.missing)}.",
            )
            for caller in callers
        )
        detail = _("Recent callers do not send what this version requires; `errors` names them.")
        super().__init__(Code.CONFIRMATION_REQUIRED, detail, errors=errors)
        self.callers = callers


def source_of(version: TemplateVersion) -> Source:
    return Source(
        subject=version.subject,
        body=version.body,
        body_format=version.body_format,
        text=version.text,
        channel=version.template.channel,
        parameters=version.provider_parameters,
    )


def create_template(
    template: Template, *, draft: Draft | None, by: Author, now: datetime
) -> Template:
    """Store an unsaved `template`, with its first draft if there is one.

    Raises Django's `ValidationError`, also where code and locale are taken, and `DomainError`.
    """
    template.full_clean()
    with transaction.atomic():
        try:
            with transaction.atomic():
                template.save(force_insert=True)
        except IntegrityError as error:
            # Somebody else was faster than our check.
            template.validate_constraints()
            raise DomainError(
                Code.CONFLICT, _("%(template)s was made just now.") % {"template": template}
            ) from error
        if draft is not None:
            save_draft(template, draft, by=by, now=now)
    return template


def save_draft(
    template: Template,
    draft: Draft,
    *,
    by: Author,
    now: datetime,
    version: TemplateVersion | None = None,
) -> TemplateVersion:
    """Make a new draft, or change `version`, which must be one. It may have errors: it is only a
    draft.

    Raises `DomainError`: `conflict` for a published version or an archived template,
    `invalid_request` for what cannot even be stored.
    """
    _check_storable(draft)
    with transaction.atomic():
        template = locked_template(template)
        if version is None:
            version = TemplateVersion(template=template, number=_next_number(template))
        else:
            version = locked_draft(version)
            version.template = template
        version.subject = draft.source.subject
        version.body = draft.source.body
        version.body_format = draft.source.body_format
        version.text = draft.source.text
        version.html = _compiled(draft.source)
        version.derived_text = ""
        version.variables = _variables(draft, version)
        version.provider_template_id = draft.provider_template_id
        version.provider_signature = draft.provider_signature
        version.provider_kind = draft.provider_kind
        version.provider_parameters = dict(draft.source.parameters)
        version.change_note = draft.change_note
        version.author, version.author_name = by.user, by.name
        version.updated_at = now
        version.save()
    return version


def draft_of(version: TemplateVersion, *, change_note: str = "") -> Draft:
    """What somebody begins with who goes on from `version`."""
    return Draft(
        source_of(version),
        variables=version.variables,
        provider_template_id=version.provider_template_id,
        provider_signature=version.provider_signature,
        provider_kind=version.provider_kind,
        change_note=change_note,
    )


def problems_of(version: TemplateVersion) -> list[Problem]:
    """Why it cannot be published, or nothing."""
    problems = checking.check(source_of(version))
    if version.template.channel in TEMPLATED and not version.provider_template_id:
        detail = _("Give the id under which the provider approved this template.")
        problems.append(Problem("provider_template_id", 0, 0, "blank", detail))
    return problems


def required_by(version: TemplateVersion) -> set[str]:
    """Names of the variables that every caller must give once `version` is published."""
    return set(_followed(version).get("required", ()))


def added_requirements(version: TemplateVersion) -> list[str]:
    """Names of variables that publishing `version` newly requires."""
    current = version.template.current_version
    before = set(current.variables.get("required", ())) if current is not None else set()
    return sorted(required_by(version) - before) if current is not None else []


def lacking_callers(version: TemplateVersion, *, now: datetime) -> Sequence[Caller]:
    """Recent callers that do not send what publishing `version` would newly require."""
    added = added_requirements(version)
    if not added:
        return ()
    return uses().recent_callers(version.template, lacking=added, since=now - RECENT)


def publish(
    version: TemplateVersion,
    *,
    change_note: str,
    by: Author,
    now: datetime,
    is_confirmed: bool = True,
) -> TemplateVersion:
    """Freeze a draft and make it current.

    Raises `DomainError`: `invalid_request` with all its errors, `conflict` when it is published
    or its template is archived, and, unless `is_confirmed`, `ConfirmationRequired`.
    """
    with transaction.atomic():
        template = locked_template(version.template)
        version = locked_draft(version)
        version.template = template
        if problems := problems_of(version):
            detail = _("Version %(number)s has errors and cannot be published.") % {
                "number": version.number
            }
            raise DomainError(Code.INVALID_REQUEST, detail, errors=as_field_errors(problems))
        if not is_confirmed and (callers := lacking_callers(version, now=now)):
            raise ConfirmationRequired(callers)
        source = source_of(version)
        version.html = ""
        if source.has_markup:
            version.html = markup.inline_styles(markup.html_of(source.body, source.body_format))
        is_derived = version.html and not version.text.strip()
        version.derived_text = rendering.derive_text(version.html) if is_derived else ""
        version.variables = _followed(version)
        version.change_note = change_note or version.change_note
        version.author, version.author_name = by.user, by.name
        return _freeze(version, now=now)


def roll_back(
    template: Template, *, to: TemplateVersion, by: Author, now: datetime, change_note: str = ""
) -> TemplateVersion:
    """Publish a copy of an older published version.

    Raises `DomainError` (`conflict`) for a draft, the current one, or one of another template.
    """
    with transaction.atomic():
        template = locked_template(template)
        if to.template_id != template.pk or not to.is_published:
            raise DomainError(
                Code.CONFLICT, _("Only a published version of this template can be gone back to.")
            )
        if template.current_version_id == to.pk:
            raise DomainError(
                Code.CONFLICT,
                _("Version %(number)s is the current one already.") % {"number": to.number},
            )
        copied = {name: getattr(to, name) for name in _COPIED}
        version = TemplateVersion(
            template=template,
            number=_next_number(template),
            change_note=change_note or f"Back to version {to.number}.",
            author=by.user,
            author_name=by.name,
            html=to.html,
            derived_text=to.derived_text,
            **copied,
        )
        return _freeze(version, now=now)


_COPIED = (
    *("subject", "body", "body_format", "text", "variables"),
    *("provider_template_id", "provider_signature", "provider_kind", "provider_parameters"),
)


def duplicate(
    template: Template,
    *,
    code: str,
    locale: str,
    application: Application | None,
    by: Author,
    now: datetime,
) -> Template:
    """A new template whose first draft is the current version of `template`, or its newest.

    Raises Django's `ValidationError`."""
    copy = Template(
        code=code,
        locale=locale,
        application=application,
        **{name: getattr(template, name) for name in ("channel", "name", "description", *HANDLING)},
    )
    version = template.current_version or template.versions.order_by("-number").first()
    draft = None
    if version is not None:
        note = f"Copied from {template}, version {version.number}."
        draft = draft_of(version, change_note=note)
    return create_template(copy, draft=draft, by=by, now=now)


def change_template(template: Template, *, changes: dict[str, Any], now: datetime) -> Template:
    """Its name and how its messages are handled; `archived` of False or True with them."""
    changes = dict(changes)
    archived = changes.pop("archived", None)
    if archived is not None:
        changes["archived_at"] = (template.archived_at or now) if archived else None
    for name, value in changes.items():
        setattr(template, name, value)
    template.updated_at = now
    template.save(update_fields=[*changes, "updated_at"])
    return template


def archive(template: Template, *, now: datetime) -> None:
    """It is not sent by any more. Its versions and messages stay."""
    Template.objects.filter(pk=template.pk, archived_at=None).update(
        archived_at=now, updated_at=now
    )


def restore(template: Template, *, now: datetime) -> None:
    Template.objects.filter(pk=template.pk).update(archived_at=None, updated_at=now)


def as_field_errors(problems: Sequence[Problem]) -> tuple[FieldError, ...]:
    """By the field of the part, with line and column in the words."""
    return tuple(
        FieldError(
            "/" + "/".join(map(escape_pointer, problem.part.split("/", 1))),
            problem.code,
            _("Line %(line)s, column %(column)s: %(problem)s")
            % {"line": problem.line, "column": problem.column, "problem": problem.detail}
            if problem.line
            else problem.detail,
        )
        for problem in problems
    )


# --- parts ---------------------------------------------------------------------------------------


def locked_template(template: Template) -> Template:
    """Whoever changes versions waits here. Raises `DomainError` (`conflict`) if it is archived."""
    rows = Template.objects.select_for_update(of=("self",)).select_related("current_version")
    locked = rows.get(pk=template.pk)
    if locked.archived_at is not None:
        raise DomainError(
            Code.CONFLICT, _("%(template)s is archived; restore it first.") % {"template": locked}
        )
    return locked


def _next_number(template: Template) -> int:
    highest: int | None = template.versions.aggregate(highest=Max("number"))["highest"]
    return (highest or 0) + 1


def locked_draft(version: TemplateVersion) -> TemplateVersion:
    """As it is stored now, until the end of the transaction. Raises `DomainError`: `conflict` when
    it is published, `not_found` when it was discarded."""
    rows = TemplateVersion.objects.select_related("template").select_for_update(of=("self",))
    stored = rows.filter(pk=version.pk).first()
    if stored is None:
        raise DomainError(
            Code.NOT_FOUND, _("Version %(number)s was discarded.") % {"number": version.number}
        )
    if stored.is_published:
        detail = _("Version %(number)s is published and does not change; make a new one.") % {
            "number": version.number
        }
        raise DomainError(Code.CONFLICT, detail)
    return stored


def _check_storable(draft: Draft) -> None:
    errors = [error for problem in unstorable(draft.source) for error in as_field_errors([problem])]
    if draft.variables is not None:
        errors += [
            FieldError(f"/variables{error.pointer}", error.code, error.detail)
            for error in problems_of_schema(draft.variables)
        ]
    if errors:
        raise DomainError(
            Code.INVALID_REQUEST, _("The text cannot be stored."), errors=tuple(errors)
        )


def _compiled(source: Source) -> str:
    """Empty for a draft whose markup is not right yet."""
    if not source.has_markup:
        return ""
    try:
        return markup.html_of(source.body, source.body_format)
    except markup.MarkupError:
        return ""


def _variables(draft: Draft, version: TemplateVersion) -> dict[str, Any]:
    if draft.variables is not None:
        return draft.variables
    found = checking.find_variables(draft.source)
    current = version.template.current_version
    known = version.variables if version.pk else current.variables if current else {}
    return suggest_schema(found, known)


def _followed(version: TemplateVersion) -> dict[str, Any]:
    """Its variables, with what its text asks for beyond them."""
    found = checking.find_variables(source_of(version))
    return suggest_schema(found, version.variables, keep_unused=True)


def _freeze(version: TemplateVersion, *, now: datetime) -> TemplateVersion:
    version.status, version.published_at, version.updated_at = VersionStatus.PUBLISHED, now, now
    version.save()
    Template.objects.filter(pk=version.template_id).update(current_version=version, updated_at=now)
    version.template.current_version = version
    return version

"""The life of a template: create, draft, publish, roll back, duplicate, archive."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.models import Application, User
from templates_app.models import Template, TemplateVersion
from templates_app.rendering import Problem, Source


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
    change_note: str = ""


def create_template(
    template: Template, *, draft: Draft | None, by: Author, now: datetime
) -> Template:
    """Store an unsaved `template`, with its first draft if there is one.

    Raises Django's `ValidationError`, and `DomainError` (`conflict`) where code and locale are
    taken."""
    raise NotImplementedError


def save_draft(
    template: Template,
    draft: Draft,
    *,
    by: Author,
    now: datetime,
    version: TemplateVersion | None = None,
) -> TemplateVersion:
    """Make a new draft, or change `version`, which must be one. It may have errors: it is only a
    draft. Raises `DomainError` (`conflict`) for a published version, `ValidationError`."""
    raise NotImplementedError


def problems_of(version: TemplateVersion) -> list[Problem]:
    """Why it cannot be published, or nothing."""
    raise NotImplementedError


def added_requirements(version: TemplateVersion) -> list[str]:
    """Names of variables that publishing `version` newly requires."""
    raise NotImplementedError


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
    or its template is archived, and, unless `is_confirmed`, `confirmation_required` naming recent
    callers that do not send what is newly required."""
    raise NotImplementedError


def roll_back(
    template: Template, *, to: TemplateVersion, by: Author, now: datetime
) -> TemplateVersion:
    """Publish a copy of an older published version. Raises `DomainError` (`conflict`)."""
    raise NotImplementedError


def duplicate(
    template: Template,
    *,
    code: str,
    locale: str,
    application: Application | None,
    by: Author,
    now: datetime,
) -> Template:
    """A new template whose first draft is the current version of `template`, or its newest."""
    raise NotImplementedError


def archive(template: Template, *, now: datetime) -> None:
    """It is not sent by any more. Its versions and messages stay."""
    raise NotImplementedError


def restore(template: Template, *, now: datetime) -> None:
    raise NotImplementedError

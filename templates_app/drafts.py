"""Drafts of people who look at them for a while: who saved in between is not overwritten. And how
a draft goes."""

from datetime import datetime

from django.db import IntegrityError, transaction

from core.errors import Code, DomainError
from templates_app.models import TemplateVersion
from templates_app.publishing import Author, Draft, locked_draft, locked_template, save_draft
from templates_app.uses import uses


class StaleDraft(Exception):
    """Somebody saved since the editor read it; `stored` is what is stored now."""

    def __init__(self, stored: TemplateVersion) -> None:
        super().__init__(f"{stored} was saved meanwhile.")
        self.stored = stored


def revision_of(version: TemplateVersion) -> str:
    """Changes with every save."""
    return version.updated_at.isoformat()


def save_over(
    version: TemplateVersion, draft: Draft, *, revision: str, by: Author, now: datetime
) -> TemplateVersion:
    """Save a draft that was read at `revision`. Raises `StaleDraft`, and what `save_draft` does."""
    with transaction.atomic():
        # The template first, as everybody does, or two would wait for each other.
        locked_template(version.template)
        stored = locked_draft(version)
        if revision_of(stored) != revision:
            raise StaleDraft(stored)
        return save_draft(stored.template, draft, by=by, now=now, version=stored)


def discard_draft(version: TemplateVersion) -> None:
    """It is gone, and its number is free again. Test mails of it stay, without naming it.

    Raises `DomainError`: `conflict` for a published version, `not_found` for one that is gone.
    """
    try:
        with transaction.atomic():
            stored = locked_draft(version)
            uses().forget_tests(stored)
            stored.delete()
    except IntegrityError as error:
        detail = f"A test of version {version.number} is being sent just now; try again."
        raise DomainError(Code.CONFLICT, detail) from error

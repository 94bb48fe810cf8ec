"""Saves drafts for people who look at them for a while: who saved in between is not overwritten."""

from datetime import datetime

from django.db import transaction

from templates_app.models import TemplateVersion
from templates_app.publishing import Author, Draft, save_draft


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
        # Only the version is locked: its template may be read by whoever sends.
        rows = TemplateVersion.objects.select_related("template").select_for_update(of=("self",))
        stored = rows.get(pk=version.pk)
        if revision_of(stored) != revision:
            raise StaleDraft(stored)
        return save_draft(stored.template, draft, by=by, now=now, version=stored)

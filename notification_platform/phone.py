"""The local phone of the embedded mode: what the imitated providers took, as its readers see it.

Texts are strangers': they are shown as they are, and never as HTML.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path

from core.ids import moment_of
from core.vocabulary import Channel

SHOWN = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the folder, as `embedded.parts` puts it there. Ids sort by arrival."""

    id: UUID
    channel: str
    to: str
    text: str
    title: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def arrived_at(self) -> datetime:
        return moment_of(self.id)

    @property
    def channel_label(self) -> str:
        return str(Channel(self.channel).label) if self.channel in Channel.values else self.channel

    @property
    def shown_details(self) -> list[tuple[str, str]]:
        return [
            (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
            for name, value in self.details.items()
        ]


def newest() -> list[Entry]:
    folder = Path(settings.PHONE_DIR)
    names = sorted((file.stem for file in folder.glob("*.json")), reverse=True)
    return [
        Entry(UUID(name), **json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
        for name in names[:SHOWN]
    ]


def show(request: HttpRequest) -> HttpResponse:
    return render(request, "phone/list.html", {"entries": newest(), "shown": SHOWN})


def urlpatterns() -> list[URLPattern]:
    """No phone, no page."""
    return [path("phone", show, name="phone")] if settings.PHONE_DIR else []

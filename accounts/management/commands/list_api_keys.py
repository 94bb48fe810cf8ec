from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from accounts.keys import state_of
from accounts.models import ApiKey
from core.commands import PlainCommand


class Command(PlainCommand):
    help = "List the API keys, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--application", help="Only those of this application.")

    def handle(self, **options: Any) -> None:
        keys = ApiKey.objects.select_related("application")
        if options["application"]:
            keys = keys.filter(application__name=options["application"])
        now = timezone.now()
        rows = [
            (
                key.key_id,
                key.application.name,
                key.name,
                key.kind,
                _state(key, now),
                ",".join(key.scopes),
                f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never",
            )
            for key in keys
        ]
        header = ("KEY", "APPLICATION", "NAME", "KIND", "STATE", "SCOPES", "LAST USED (UTC)")
        widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
        for row in [header, *rows]:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())


def _state(key: ApiKey, now: datetime) -> str:
    state = state_of(key, now=now)
    if state == "valid" and key.expires_at:
        return f"until {key.expires_at:%Y-%m-%d %H:%M}"
    return {"switched_off": "application off"}.get(state, state)

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.keys import find_key, rotate_key
from accounts.models import Action
from core.commands import PlainCommand, duration


class Command(PlainCommand):
    help = "Issue a successor of an API key. Both work until the overlap is over."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key_id")
        parser.add_argument(
            "--overlap",
            type=duration,
            default=timedelta(days=1),
            help="How long the old key goes on working; 1d if left out.",
        )

    def handle(self, **options: Any) -> None:
        old = find_key(options["key_id"])
        with transaction.atomic():
            issued = rotate_key(key=old, overlap=options["overlap"], now=timezone.now())
            by = audit.of_command()
            audit.record(by=by, action=Action.ADDED, obj=issued.key)
            audit.record(by=by, action=Action.ROTATED, obj=old, successor=issued.key.key_id)
        old.refresh_from_db()
        self.stdout.write(f"API key:    {issued.key.key_id}")
        self.stdout.write(f"API secret: {issued.secret}")
        self.stderr.write(
            f"Keep the secret now: it cannot be shown again. {old.key_id} works until "
            f"{old.expires_at:%Y-%m-%d %H:%M} UTC."
        )

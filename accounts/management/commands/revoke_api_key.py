from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.keys import find_key, revoke_key
from accounts.models import Action
from core.commands import PlainCommand


class Command(PlainCommand):
    help = "End an API key and all its tokens at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key_id")

    def handle(self, **options: Any) -> None:
        key = find_key(options["key_id"])
        with transaction.atomic():
            is_new = revoke_key(key=key, now=timezone.now())
            if is_new:
                audit.record(by=audit.of_command(), action=Action.REVOKED, obj=key)
        if is_new:
            self.stdout.write(f"{key} of {key.application} is revoked; its tokens stopped working.")
        else:
            self.stdout.write(f"{key} was revoked already, at {key.revoked_at:%Y-%m-%d %H:%M} UTC.")

from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.keys import issue_key
from accounts.models import Action, ApiKey, Application, Scope
from core.commands import PlainCommand, duration


class Command(PlainCommand):
    help = "Issue an API key. Its secret is printed once and can never be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "application", help="Name of the calling system; made if it does not exist."
        )
        parser.add_argument("--name", default="command line", help="Where the key is used.")
        parser.add_argument("--kind", choices=ApiKey.Kind.values, default=ApiKey.Kind.LIVE)
        parser.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            help="May be given again. All if left out.",
        )
        parser.add_argument(
            "--network",
            action="append",
            default=[],
            help="Where it may be used from, as 10.0.0.0/8. May be given again.",
        )
        parser.add_argument(
            "--expires-in", type=duration, help="For example 90d. Never if left out."
        )

    def handle(self, **options: Any) -> None:
        expires_in = options["expires_in"]
        with transaction.atomic():
            application, is_new = Application.objects.get_or_create(name=options["application"])
            issued = issue_key(
                application=application,
                name=options["name"],
                kind=options["kind"],
                scopes=options["scope"],
                allowed_networks=options["network"],
                expires_at=timezone.now() + expires_in if expires_in else None,
            )
            by = audit.of_command()
            if is_new:
                audit.record(by=by, action=Action.ADDED, obj=application)
            audit.record(by=by, action=Action.ADDED, obj=issued.key)
        if is_new:
            self.stdout.write(f"Made the application {application}.")
        self.stdout.write(f"API key:    {issued.key.key_id}")
        self.stdout.write(f"API secret: {issued.secret}")
        self.stderr.write("Keep the secret now: it is stored nowhere and cannot be shown again.")

from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import Action
from core.commands import PlainCommand
from templates_app.files import STARTERS, application_named, import_folder
from templates_app.models import Template
from templates_app.publishing import Author


class Command(PlainCommand):
    help = (
        "Read templates from files as `export_templates` writes them; without a folder, the "
        "starter templates. What is there already and the same stays as it is."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("folder", type=Path, nargs="?", default=STARTERS)
        parser.add_argument("--application", help="Whose templates; without it, shared ones.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Show what would change, and write nothing."
        )
        parser.add_argument(
            "--publish", action="store_true", help="Publish them; without it they are drafts."
        )
        parser.add_argument(
            "--confirm",
            action="store_true",
            help="Publish although recent callers do not send what is newly required.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            changes = import_folder(
                options["folder"],
                application=application_named(options["application"]),
                by=Author("import_templates"),
                now=timezone.now(),
                is_dry=options["dry_run"],
                is_published=options["publish"],
                is_confirmed=options["confirm"],
            )
            made = [change for change in changes if change.kind != "unchanged"]
            if made and not options["dry_run"]:
                audit.record(
                    by=audit.of_command(),
                    action=Action.IMPORTED,
                    kind=Template,
                    templates=[change.folder for change in made],
                )
        for change in changes:
            self.stdout.write(f"{change.kind:<10} {change.folder}")
            if change.diff and options["dry_run"]:
                self.stdout.write(change.diff)
        if options["dry_run"]:
            self.stdout.write("Nothing was written: this was a dry run.")

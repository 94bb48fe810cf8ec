from pathlib import Path
from typing import Any

from core.commands import PlainCommand
from templates_app.files import application_named, export_folder


class Command(PlainCommand):
    help = "Write templates to files: the shared ones, or those of an application."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("folder", type=Path, help="Made if it is missing.")
        parser.add_argument("--application", help="Whose templates; without it, the shared ones.")

    def handle(self, *args: Any, **options: Any) -> None:
        written = export_folder(
            options["folder"], application=application_named(options["application"])
        )
        for name in written:
            self.stdout.write(name)
        self.stdout.write(f"{len(written)} templates are in {options['folder']}.")

from typing import Any

from django.core.management.base import CommandParser

from accounts import audit, lockouts
from core.commands import PlainCommand


class Command(PlainCommand):
    help = "Let an operator in again who is locked out. In place of axes' own, with an audit entry."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", nargs="+")

    def handle(self, **options: Any) -> None:
        for username in options["username"]:
            if lockouts.lift(username, by=audit.of_command()):
                self.stdout.write(f"The failures of {username} are forgotten.")
            else:
                self.stdout.write(f"{username} has no failures that count.")

from typing import Any

from django.core.management.base import CommandParser

from accounts import audit, second_factor
from accounts.models import User
from core.commands import PlainCommand
from core.errors import Code, DomainError


class Command(PlainCommand):
    help = "Remove an operator's second factor, for example after a phone was lost."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise DomainError(Code.NOT_FOUND, f"There is no operator {options['username']}.")
        if second_factor.remove(user, by=audit.of_command()):
            self.stdout.write(f"{user} logs in by the password alone until a new one is set up.")
        else:
            self.stdout.write(f"{user} has no second factor.")

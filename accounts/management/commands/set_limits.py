from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.utils import timezone

from accounts import audit, quotas
from accounts.models import Action, Application
from core.commands import PlainCommand
from core.errors import Code, DomainError

NUMBERS = {
    "requests_per_second": "Requests a second; more are answered with 429, rate_limited.",
    "burst": "Requests at once after a pause; at least as many as in a second.",
    "messages_per_day": "Messages a day; more are answered with 429, quota_exceeded.",
    "recipient_per_hour": "Messages to one recipient an hour; more are 429, recipient_capped.",
    "recipient_per_day": "Messages to one recipient a day; more are 429, recipient_capped.",
}


class Command(PlainCommand):
    help = (
        "Show and set the limits of an application. Each is a number, 0 for no limit, or `default`"
        " for the platform's. Without options it only shows them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("application", help="Its name.")
        for name, text in NUMBERS.items():
            parser.add_argument(f"--{name.replace('_', '-')}", metavar="N", help=text)
        parser.add_argument(
            "--time-zone", help="In which its days begin, for example Asia/Shanghai; or `default`."
        )
        parser.add_argument(
            "--recipient-cap-for",
            choices=["high", "all"],
            help="Which priorities count towards the limits of a recipient.",
        )

    def handle(self, **options: Any) -> None:
        application = Application.objects.filter(name=options["application"]).first()
        if application is None:
            raise DomainError(
                Code.NOT_FOUND, f"There is no application {options['application']!r}."
            )
        changed = self._set(application, options)
        if changed:
            application.full_clean()
            with transaction.atomic():
                application.save(update_fields=changed)
                by = audit.of_command()
                audit.record(by=by, action=Action.CHANGED, obj=application, fields=changed)
        for name in NUMBERS:
            value = getattr(application, name)
            self.stdout.write(f"{name.replace('_', '-')}: {'default' if value is None else value}")
        self.stdout.write(f"time-zone: {application.time_zone or 'default'}")
        which = "high" if application.is_recipient_cap_for_high_only else "all"
        self.stdout.write(f"recipient-cap-for: {which}")
        self.stdout.write(f"used today: {quotas.used_today(application, now=timezone.now())}")

    def _set(self, application: Application, options: dict[str, Any]) -> list[str]:
        changed = []
        for name in NUMBERS:
            if (text := options[name]) is not None:
                setattr(application, name, _number(name, text))
                changed.append(name)
        if (zone := options["time_zone"]) is not None:
            application.time_zone = "" if zone == "default" else zone
            changed.append("time_zone")
        if (which := options["recipient_cap_for"]) is not None:
            application.is_recipient_cap_for_high_only = which == "high"
            changed.append("is_recipient_cap_for_high_only")
        return changed


def _number(name: str, text: str) -> int | None:
    if text == "default":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        option = f"--{name.replace('_', '-')}"
        raise DomainError(
            Code.INVALID_REQUEST, f"{option} is {text!r}. Write a whole number, 0 or default."
        )
    return int(text)

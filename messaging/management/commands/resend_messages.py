import time
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from core.commands import PlainCommand, duration
from core.errors import DomainError
from messaging import intake
from messaging.models import Message, Reason, Status
from messaging.search import created_since


class Command(PlainCommand):
    help = "Send failed messages again. Look first with --dry-run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", type=UUID, help="Only these messages.")
        parser.add_argument(
            "--status", choices=[Status.FAILED, Status.UNKNOWN], default=Status.FAILED
        )
        parser.add_argument("--since", type=duration, help="Created in the last 2h, 7d, …")
        parser.add_argument("--sender", help="Name of the sender that tried last.")
        parser.add_argument("--reason", choices=Reason.values)
        parser.add_argument("--limit", type=int, default=10_000)
        parser.add_argument("--rate", type=float, help="At most so many a second.")
        parser.add_argument("--dry-run", action="store_true", help="Only say how many there are.")

    def handle(self, **options: Any) -> None:
        if not any(options[name] for name in ("ids", "since", "sender", "reason")):
            raise CommandError("Say which: give ids, --since, --sender or --reason.")
        messages = self._chosen(options)
        if options["status"] == Status.UNKNOWN:
            self.stderr.write(
                "The provider may have taken these: sending them again may duplicate them."
            )
        count = messages.order_by()[: options["limit"]].count()
        if options["dry_run"]:
            self.stdout.write(f"{count} messages would be sent again.")
            return
        sent = 0
        for message in messages.defer("content")[: options["limit"]].iterator(chunk_size=500):
            try:
                intake.resend(message=message, now=timezone.now())
                sent += 1
            except DomainError as error:
                # It moved since it was listed; the others go on.
                self.stderr.write(error.detail)
            if options["rate"]:
                time.sleep(1 / options["rate"])
        self.stdout.write(f"{sent} of {count} messages are on their way again.")

    def _chosen(self, options: dict[str, Any]) -> Any:
        messages = Message.objects.filter(status=options["status"]).order_by("pk")
        if options["ids"]:
            messages = messages.filter(pk__in=options["ids"])
        if options["since"]:
            messages = messages.filter(created_since(timezone.now() - options["since"]))
        if options["sender"]:
            messages = messages.filter(sender__name=options["sender"])
        if options["reason"]:
            messages = messages.filter(reason=options["reason"])
        return messages

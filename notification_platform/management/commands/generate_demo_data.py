import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.models import Application
from core.clock import database_clock
from messaging.channels.simulator import NAMES as SIMULATORS
from messaging.models import Message, Sender
from notification_platform.demo.cast import LOCAL, SENDERS
from notification_platform.demo.generate import LEAST, Order, generate
from notification_platform.demo.words import APPS, LANGUAGES
from notification_platform.embedded.first_data import APPLICATION
from reporting.upkeep import rebuild

# A year of ten million: more is no demonstration.
MOST, MOST_DAYS = 10_000_000, 366


class Command(BaseCommand):
    help = (
        "Fill an empty installation with a made-up company's messages, so that there is something "
        "to look at: applications, templates, senders, and messages of some weeks with peaks, "
        "failures and feedback. Nothing of it is sent to anybody."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--messages", type=int, default=200_000, help="200000 by default.")
        parser.add_argument("--days", type=int, default=30, help="How far back; 30 by default.")
        parser.add_argument("--seed", type=int, default=7, help="Another one gives other messages.")
        parser.add_argument("--language", choices=LANGUAGES, default="en", help="Of all texts.")
        parser.add_argument(
            "--into-existing",
            action="store_true",
            help="Also beside messages or senders of your own. Then nothing is left waiting that a "
            "worker could send.",
        )

    def handle(self, **options: Any) -> None:
        if not LEAST <= options["messages"] <= MOST:
            raise CommandError(f"--messages must be from {LEAST:,} to {MOST:,}.")
        if not 1 <= options["days"] <= MOST_DAYS:
            raise CommandError(f"--days must be from 1 to {MOST_DAYS}.")
        _refuse_twice()
        others = _others()
        if others and not options["into_existing"]:
            raise CommandError(
                f"This installation is in use: it has {' and '.join(others)}. Demo data belongs "
                "into one of its own, and cannot be taken out again; with --into-existing it is "
                "made here all the same."
            )
        started = time.monotonic()
        order = Order(
            **{name: options[name] for name in ("messages", "days", "seed", "language")},
            now=timezone.now(),
            leaves_nothing=bool(others),
        )
        generate(order, self.stdout.write)
        self.stdout.write("Counting them for the statistics …")
        for _hour in rebuild(order.since, order.now, clock=database_clock()):
            pass
        seconds = time.monotonic() - started
        self.stdout.write(f"{order.messages:,} messages of {order.days} days in {seconds:.0f} s.")


def _refuse_twice() -> None:
    names = [name for app in APPS for name in app.name]
    if Sender.objects.filter(name__in=[each["name"] for each in SENDERS]).exists():
        raise CommandError("There is demo data here already. Begin with an empty database.")
    taken = Application.objects.filter(name__in=names).values_list("name", flat=True)
    if taken:
        raise CommandError(
            f"Applications have names that the demo needs: {', '.join(taken)}. Rename them first, "
            "or use an empty database."
        )


def _others() -> list[str]:
    """What there is that is neither the demo's nor that of `make run`: empty in an installation
    that is only for trying out."""
    own = [APPLICATION] if settings.EMBEDDED else []
    found = []
    messages = Message.objects.exclude(application__name__in=own)
    if name := messages.values_list("application__name", flat=True).first():
        found.append(f"messages of the application {name}")
    senders = Sender.objects.filter(is_active=True).exclude(adapter__in=SIMULATORS)
    if settings.EMBEDDED:
        senders = senders.exclude(name__in=LOCAL.values())
    # What leads to this machine only, sends nothing to people.
    real = [sender.name for sender in senders if sender.options.get("host") != "127.0.0.1"]
    if real:
        found.append(f"the sender {real[0]}")
    return found

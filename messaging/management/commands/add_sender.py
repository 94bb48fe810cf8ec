import getpass
import sys
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from accounts import audit
from accounts.models import Action, Application
from core.commands import PlainCommand
from core.errors import Code, DomainError
from messaging.channels.base import ChannelAdapter
from messaging.channels.registry import ADAPTERS, BUILT_IN
from messaging.models import Sender, SenderGroup
from messaging.senders import save_sender

WINDOWS = ("minute", "hour", "day")


def pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise ArgumentTypeError(f"{text!r}: write name=value.")
    return name, value


class Command(PlainCommand):
    help = "Add a sender to the pool. Secrets are asked for, or read from standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="Short and lasting, for example mail-1.")
        parser.add_argument("--adapter", required=True, choices=sorted(ADAPTERS.keys() - BUILT_IN))
        parser.add_argument(
            "--from", default="", dest="from_address", help="Of e-mail: a@example.com."
        )
        parser.add_argument("--from-name", default="")
        parser.add_argument(
            "--option",
            action="append",
            type=pair,
            default=[],
            metavar="NAME=VALUE",
            help="Of the adapter, for example host=smtp.example.com. May be given again.",
        )
        parser.add_argument(
            "--secret",
            action="append",
            default=[],
            metavar="NAME",
            help="Name of a secret, for example password. Its value is asked for, or is the next "
            "line of standard input.",
        )
        parser.add_argument("--priority", type=int, default=0)
        parser.add_argument("--weight", type=int, default=100)
        for window in WINDOWS:
            parser.add_argument(
                f"--per-{window}",
                type=int,
                help=f"Messages a {window}; without it what the provider usually takes.",
            )
        parser.add_argument("--time-zone", default="UTC")
        parser.add_argument("--group", help="Whose limits it shares; made in the admin.")
        parser.add_argument(
            "--max-connections",
            type=int,
            default=4,
            help="At the same time, per worker process; 1 to 100.",
        )
        parser.add_argument(
            "--application",
            action="append",
            default=[],
            help="Only this application may use it. May be given again.",
        )

    def handle(self, **options: Any) -> None:
        adapter = ADAPTERS[options["adapter"]]
        kinds = {option.name: option.kind for option in adapter.options}
        applications = [_application(name) for name in options["application"]]
        group = _group(options["group"]) if options["group"] else None
        # Asked before anything is open.
        credentials = {name: _ask(name) for name in options["secret"]}
        with transaction.atomic():
            sender = save_sender(
                Sender(
                    name=options["name"],
                    channel=adapter.channel.value,
                    adapter=adapter.name,
                    from_address=options["from_address"],
                    from_name=options["from_name"],
                    options={
                        name: _typed(name, value, kinds.get(name, str))
                        for name, value in options["option"]
                    },
                    priority=options["priority"],
                    weight=options["weight"],
                    **_limits(adapter, options),
                    time_zone=options["time_zone"],
                    group=group,
                    max_connections=options["max_connections"],
                ),
                credentials=credentials,
            )
            sender.applications.set(applications)
            audit.record(by=audit.of_command(), action=Action.ADDED, obj=sender)
        self.stdout.write(f"Added {sender}. Try it: manage.py test_sender {sender}")


def _limits(adapter: type[ChannelAdapter], options: dict[str, Any]) -> dict[str, int | None]:
    names = [f"per_{window}" for window in WINDOWS]
    return {
        name: adapter.usual_limits.get(name) if options[name] is None else options[name]
        for name in names
    }


def _ask(name: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{name}: ")
    return sys.stdin.readline().rstrip("\r\n")


def _typed(name: str, value: str, kind: type) -> object:
    if kind is int:
        if not value.isdigit():
            raise DomainError(Code.INVALID_REQUEST, f"{name} is {value!r}; it must be a number.")
        return int(value)
    if kind is bool:
        if value not in {"true", "false"}:
            raise DomainError(Code.INVALID_REQUEST, f"{name} is {value!r}; write true or false.")
        return value == "true"
    return value


def _application(name: str) -> Application:
    found = Application.objects.filter(name=name).first()
    if found is None:
        raise DomainError(Code.NOT_FOUND, f"There is no application {name}.")
    return found


def _group(name: str) -> SenderGroup:
    found = SenderGroup.objects.filter(name=name).first()
    if found is None:
        names = ", ".join(SenderGroup.objects.values_list("name", flat=True)) or "none"
        raise DomainError(Code.NOT_FOUND, f"There is no sender group {name}. There are: {names}.")
    return found

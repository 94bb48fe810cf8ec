import time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from core.addresses import InvalidAddress, parse_address
from core.commands import PlainCommand
from core.ids import uuid7
from core.recipients import ROBOT, parse_recipient
from core.secrets import UnreadableSecret
from core.vocabulary import Channel
from messaging.channels.base import DeliveryError, Outbound
from messaging.channels.content import KINDS, Content, EmailContent, TextContent
from messaging.channels.registry import ADAPTERS, is_named
from messaging.models import Sender
from messaging.senders import probe_sender


class Command(PlainCommand):
    help = "Open and authenticate a sender, and say what was seen phase by phase."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="Of the sender.")
        parser.add_argument(
            "--to",
            help="Send a real test message there as well; of chats, the sender's name.",
        )

    def handle(self, **options: Any) -> None:
        sender = Sender.objects.filter(name=options["name"]).first()
        if sender is None:
            names = ", ".join(Sender.objects.values_list("name", flat=True)) or "none"
            raise CommandError(f"There is no sender {options['name']}. There are: {names}.")
        for step in probe_sender(sender):
            mark = "ok    " if step.is_ok else "FAILED"
            self.stdout.write(f"{mark} {step.phase:<10}{step.milliseconds:7.0f} ms  {step.words}")
            if not step.is_ok:
                raise CommandError(f"{sender} does not work: see the line above.")
        if options["to"]:
            self._send(sender, options["to"])

    def _send(self, sender: Sender, to: str) -> None:
        try:
            content = _content(sender, to)
            adapter = ADAPTERS[sender.adapter](sender.account())
        except (InvalidAddress, UnreadableSecret) as error:
            raise CommandError(f"--to {to}: {error}") from error
        started = time.monotonic()
        message_id = f"<{uuid7()}@{settings.MESSAGE_ID_DOMAIN}>"
        try:
            receipt = adapter.send(Outbound(str(uuid7()), message_id, content))
        except DeliveryError as error:
            raise CommandError(f"The test message was not taken: {error}") from error
        finally:
            adapter.close()
        took = (time.monotonic() - started) * 1000
        self.stdout.write(f"ok     send      {took:7.0f} ms  {receipt.code} {receipt.words}")


def _content(sender: Sender, to: str) -> Content:
    """Raises `InvalidAddress`, and `CommandError` where only the provider's templates are sent."""
    subject = f"Test of sender {sender}"
    text = f"Sent by test_sender at {timezone.now():%Y-%m-%d %H:%M:%S} UTC.\n"
    if sender.channel == Channel.EMAIL:
        address = parse_address(to)
        return EmailContent(to=[(address.name, address.address)], subject=subject, text=text)
    if KINDS[sender.channel] is not TextContent:
        raise CommandError(
            f"{sender} sends templates of its provider only: try it from the page of a template's "
            "version in the admin."
        )
    if is_named(sender.adapter):
        # Where it leads the sender itself says.
        to = f"{ROBOT}{sender.name}" if sender.channel == Channel.WECHAT else sender.name
    person = ("", parse_recipient(sender.channel, to, region=settings.DEFAULT_REGION))
    return TextContent(to=[person], subject=subject, text=text)

"""Test mode: messages that go to the simulator and nowhere else."""

from messaging.channels.simulator import DOMAIN, SimulatedEmail
from messaging.models import Message, Sender

NAME = "simulator"


def is_test(message: Message) -> bool:
    """Reads its `only_sender`, which lists bring along."""
    bound_to = message.only_sender
    return bound_to is not None and bound_to.adapter == SimulatedEmail.name


def simulator_id() -> int:
    """The one built-in sender to which such messages are bound; made when it is first needed. It
    takes nothing else (`sender_pool`)."""
    found = Sender.objects.filter(adapter=SimulatedEmail.name).order_by("pk").values_list("pk")
    row = found.first()
    if row is not None:
        return int(row[0])
    # Somebody may have given the plain name to a sender of his own.
    is_taken = Sender.objects.filter(name=NAME).exists()
    sender, _ = Sender.objects.get_or_create(
        name=f"built-in-{NAME}" if is_taken else NAME,
        defaults={
            "channel": SimulatedEmail.channel.value,
            "adapter": SimulatedEmail.name,
            "from_address": f"{NAME}@{DOMAIN}",
            # The slow ones hold theirs for seconds.
            "max_connections": 20,
        },
    )
    return sender.pk

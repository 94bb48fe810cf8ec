"""Test mode: messages that go to the simulator and nowhere else."""

from core.vocabulary import Channel
from messaging.channels.simulator import DOMAIN, NAMES, SIMULATORS
from messaging.models import Message, Sender


def is_test(message: Message) -> bool:
    """Reads its `only_sender`, which lists bring along."""
    bound_to = message.only_sender
    return bound_to is not None and bound_to.adapter in NAMES


def simulator_id(channel: str) -> int:
    """The built-in sender of a channel to which such messages are bound; made when it is first
    needed. It takes nothing else (`sender_pool`)."""
    adapter = SIMULATORS[Channel(channel)].name
    row = Sender.objects.filter(adapter=adapter).order_by("pk").values_list("pk").first()
    if row is not None:
        return int(row[0])
    # Somebody may have given the plain name to a sender of his own.
    is_taken = Sender.objects.filter(name=adapter).exists()
    sender, _ = Sender.objects.get_or_create(
        name=f"built-in-{adapter}" if is_taken else adapter,
        defaults={
            "channel": channel,
            "adapter": adapter,
            "from_address": f"simulator@{DOMAIN}",
            # The slow ones hold theirs for seconds.
            "max_connections": 20,
        },
    )
    return sender.pk

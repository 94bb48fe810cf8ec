"""What operators do with senders: check settings, save, test."""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from core.errors import Code, DomainError
from core.secrets import UnreadableSecret
from messaging import doorbell, sender_pool, states
from messaging.channels.base import ProbeStep
from messaging.channels.registry import ADAPTERS
from messaging.models import Lane, Sender


def check_sender(sender: Sender, *, credentials: dict[str, Any]) -> None:
    """Raises `ValidationError` with the fields of the form: adapter, channel, options."""
    adapter = ADAPTERS.get(sender.adapter)
    if adapter is None:
        known = ", ".join(sorted(ADAPTERS))
        raise ValidationError({"adapter": f"There is no such adapter. There are: {known}."})
    if adapter.channel != sender.channel:
        raise ValidationError({"channel": f"{adapter.name} serves {adapter.channel.value}."})
    if not isinstance(sender.options, dict):
        raise ValidationError({"options": "Give a JSON object."})
    problems = adapter.problems(sender.options, credentials)
    if problems:
        raise ValidationError(
            {"options": [f"{name}: {problem}" for name, problem in sorted(problems.items())]}
        )


def save_sender(sender: Sender, *, credentials: dict[str, Any] | None) -> Sender:
    """Check and store `sender`; `credentials` of None keeps the stored ones. It plays again at
    once, and what waited for a sender is woken.

    Raises `ValidationError`, and `DomainError` when the stored credentials cannot be read.
    """
    if credentials is None:
        try:
            credentials = sender.open_credentials()
        except UnreadableSecret as error:
            raise DomainError(Code.CONFLICT, f"Sender {sender}: {error}") from error
    else:
        sender.credentials = credentials
    sender.full_clean()
    check_sender(sender, credentials=credentials)
    sender.save()
    put_back_into_play(sender)
    return sender


def put_back_into_play(sender: Sender) -> None:
    """Forget its failures and wake what waited."""
    sender_pool.mend(sender)
    if states.wake_waiting(channel=sender.channel, now=timezone.now()):
        for lane in Lane.values:
            doorbell.ring(channel=sender.channel, lane=lane)


def probe_sender(sender: Sender) -> Iterator[ProbeStep]:
    """Open and authenticate, phase by phase. A sender that passes plays again.

    Nothing is written before or while the network is used.
    """
    try:
        adapter = ADAPTERS[sender.adapter](sender.account())
    except UnreadableSecret as error:
        yield ProbeStep("configure", False, str(error), 0.0)
        return
    is_ok = True
    for step in adapter.probe():
        is_ok = is_ok and step.is_ok
        yield step
    if is_ok:
        put_back_into_play(sender)

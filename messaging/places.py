"""Places that messages are posted to by the name of a sender: chats, and the groups of robots."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from core.errors import Code, DomainError, FieldError
from core.recipients import ROBOT
from core.vocabulary import Channel
from messaging.channels.registry import is_named
from messaging.channels.simulator import is_simulated
from messaging.models import Sender


def named_by(channel: str, content: Mapping[str, Any]) -> str:
    """The name of the sender that a stored content names as its recipient; mostly none."""
    if channel not in (Channel.WECHAT, Channel.CHAT):
        return ""
    _, address = content["to"][0]
    if is_simulated(address):
        return ""
    if channel == Channel.CHAT:
        return str(address)
    return str(address).removeprefix(ROBOT) if address.startswith(ROBOT) else ""


def find(name: str, *, channel: str, application_id: int) -> int:
    """The id of a sender that the application may use, also one that rests or is switched off.
    Raises `DomainError` (`invalid_request`)."""
    usable = Q(applications__isnull=True) | Q(applications=application_id)
    rows = Sender.objects.filter(usable, channel=channel, name=name).order_by("pk").distinct()
    for pk, adapter in rows.values_list("pk", "adapter"):
        if is_named(adapter):
            return int(pk)
    words = f"There is no sender {name} that posts to a place of its own."
    raise DomainError(
        Code.INVALID_REQUEST, words, errors=(FieldError("/to/0", "unknown_sender", words),)
    )

"""What operators do with senders: check settings, save, test, take out and put back."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from core.errors import Code, DomainError
from core.secrets import UnreadableSecret
from messaging import doorbell, sender_health, states
from messaging.channels import simulator
from messaging.channels.base import Channel, ProbeStep
from messaging.channels.registry import ADAPTERS
from messaging.models import Lane, Message, Sender, Status

# How many waiting messages are looked at before a pause.
WAITING_LOOKED_AT = 10_000


def check_sender(sender: Sender, *, credentials: dict[str, Any]) -> None:
    """Raises `ValidationError` with the fields of the form: adapter, channel, options. Errors of
    `options` carry the option's name and the sentence without it as `params`."""
    adapter = ADAPTERS.get(sender.adapter)
    if adapter is None:
        known = ", ".join(sorted(ADAPTERS))
        raise ValidationError({"adapter": f"There is no such adapter. There are: {known}."})
    if adapter.channel != sender.channel:
        raise ValidationError({"channel": f"{adapter.name} serves {adapter.channel.value}."})
    if sender.channel == Channel.EMAIL and not sender.from_address:
        raise ValidationError({"from_address": "E-mail needs an address that it comes from."})
    if not isinstance(sender.options, dict):
        raise ValidationError({"options": "Give a JSON object."})
    problems = adapter.problems(sender.options, credentials)
    if problems:
        raise ValidationError(
            {
                "options": [
                    ValidationError(
                        "%(option)s: %(problem)s", params={"option": name, "problem": problem}
                    )
                    for name, problem in sorted(problems.items())
                ]
            }
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
    now = timezone.now()
    with transaction.atomic():
        was_active = Sender.objects.filter(pk=sender.pk).values_list("is_active", flat=True).first()
        sender.save()
        if was_active is not None and was_active != sender.is_active:
            sender_health.record_switch(sender, now=now)
    put_back_into_play(sender)
    return sender


def stored_secrets(sender: Sender) -> frozenset[str] | None:
    """Names of the secrets that are stored; None if they cannot be read."""
    try:
        return frozenset(name for name, value in sender.open_credentials().items() if value)
    except UnreadableSecret:
        return None


def changed_credentials(
    sender: Sender, *, entered: dict[str, str], removed: Collection[str]
) -> dict[str, Any]:
    """The stored credentials with what was entered and without what was removed.

    Credentials that cannot be read any more are replaced as a whole by what was entered.
    Raises `DomainError` (`conflict`) if they cannot be read and nothing was entered.
    """
    try:
        stored = sender.open_credentials()
    except UnreadableSecret as error:
        if not entered:
            raise DomainError(Code.CONFLICT, f"The stored credentials are lost. {error}") from error
        stored = {}
    kept = {name: value for name, value in stored.items() if name not in removed}
    return kept | entered


def switch_sender(sender: Sender, *, is_active: bool) -> None:
    """Take it out of the pool for as long as an operator likes, or put it back."""
    with transaction.atomic():
        row = Sender.objects.select_for_update(no_key=True).get(pk=sender.pk)
        if row.is_active != is_active:
            row.is_active = is_active
            row.save(update_fields=["is_active"])
            sender_health.record_switch(row, now=timezone.now())
    if is_active:
        put_back_into_play(sender)


def messages_bound_to(sender: Sender) -> int:
    """Of the waiting messages that are due first, those that no other active sender may take: what
    waits when this one is paused. At most `WAITING_LOOKED_AT`."""
    waiting = Message.objects.filter(channel=sender.channel, status=Status.PENDING)
    looked_at = waiting.order_by("lane", "due_at").values("pk")[:WAITING_LOOKED_AT]
    bound = Q(only_sender=sender)
    others = Sender.objects.filter(channel=sender.channel, is_active=True).exclude(pk=sender.pk)
    others = others.exclude(adapter__in=simulator.NAMES)
    if not others.filter(applications=None).exists():
        served = others.values("applications")
        left = Q(only_sender=None) & ~Q(application__in=served)
        own = sender.applications.values("pk")
        bound |= left & Q(application__in=own) if own else left
    return waiting.filter(bound, pk__in=looked_at).count()


class SenderKind(StrEnum):
    """What a sender does now."""

    ACTIVE = "active"
    RECOVERING = "recovering"
    BEING_TRIED = "being_tried"
    BENCHED = "benched"
    SPENT = "spent"
    SWITCHED_OFF = "switched_off"


@dataclass(frozen=True, slots=True)
class SenderState:
    kind: SenderKind
    used_today: int
    # Benched: until when. Benched and being tried: the failure in our word.
    until: datetime | None = None
    why: str = ""
    # Spent: the window whose limit is reached, and whose it is if it is the group's.
    window: str = ""
    group: str = ""
    # Recovering: the part of its share that it takes.
    share: float = 1.0


_KINDS = {
    sender_health.State.WORKING: SenderKind.ACTIVE,
    sender_health.State.BENCHED: SenderKind.BENCHED,
    sender_health.State.BEING_TRIED: SenderKind.BEING_TRIED,
    sender_health.State.RECOVERING: SenderKind.RECOVERING,
}


def state_of(sender: Sender, *, now: datetime) -> SenderState:
    """Reads the `windows` of the sender and of its group, which lists prefetch."""
    today = sender.used_quota(now).get("day", 0)
    if not sender.is_active:
        return SenderState(SenderKind.SWITCHED_OFF, today)
    kind = _KINDS[sender_health.state_of(sender, now=now)]
    if kind in (SenderKind.BENCHED, SenderKind.BEING_TRIED):
        why = sender.last_failure_kind
        return SenderState(kind, today, until=sender.benched_until, why=why)
    if window := sender.spent_window(now):
        return SenderState(SenderKind.SPENT, today, window=window)
    if sender.group is not None and (window := sender.group.spent_window(now)):
        return SenderState(SenderKind.SPENT, today, window=window, group=sender.group.name)
    return SenderState(kind, today, share=sender_health.share_of(sender, now=now))


def put_back_into_play(sender: Sender) -> None:
    """Forget its failures and wake what waited."""
    now = timezone.now()
    sender_health.mend(sender, now=now)
    if states.wake_waiting(channel=sender.channel, now=now):
        for lane in Lane.values:
            doorbell.ring(channel=sender.channel, lane=lane)


def probe_sender(sender: Sender) -> Iterator[ProbeStep]:
    """Open and authenticate, phase by phase. A sender that passes plays again.

    Nothing is written before or while the network is used.
    """
    if sender.adapter not in ADAPTERS:
        yield ProbeStep("configure", False, f"There is no adapter {sender.adapter}.", 0.0)
        return
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

"""What numbers are told apart by, and what people call each."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.models import Application
from core.vocabulary import Channel
from messaging.models import Feedback, Reason, Sender, Status
from templates_app.models import Template


class GroupBy(StrEnum):
    STATUS = "status"
    CHANNEL = "channel"
    APPLICATION = "application"
    TEMPLATE = "template"
    SENDER = "sender"
    REASON = "reason"
    FEEDBACK = "feedback"


# These are columns of every row, one for each value.
COLUMNS: dict[GroupBy | None, type[Status] | type[Feedback]] = {
    GroupBy.STATUS: Status,
    GroupBy.FEEDBACK: Feedback,
}
# These tell rows apart.
FIELDS = {
    GroupBy.CHANNEL: "channel",
    GroupBy.APPLICATION: "application_id",
    GroupBy.TEMPLATE: "template_id",
    GroupBy.SENDER: "sender_id",
    GroupBy.REASON: "reason",
}


@dataclass(frozen=True, slots=True)
class Named:
    """`key` is a value of an enumeration, a template's code, a sender's name, or an application's
    id; empty for messages that have none. Templates of one code are one, whatever their language:
    `id` is that of the first."""

    key: str
    name: str
    id: int | None = None


def namer(group_by: GroupBy) -> Callable[[Any], Named]:
    """Of what stands in the field of `group_by`. Asks for the names once."""
    if group_by is GroupBy.CHANNEL:
        return lambda value: Named(value, _label(Channel, value))
    if group_by is GroupBy.REASON:
        return lambda value: Named(value, _label(Reason, value))
    known = {None: Named("", str(_NONE[group_by]))} | _known(group_by)
    return lambda value: known.get(value) or Named(str(value), str(value), value)


_NONE = {
    GroupBy.APPLICATION: _("no application"),
    GroupBy.TEMPLATE: _("without a template"),
    GroupBy.SENDER: _("no sender yet"),
}


def _label(choices: Any, value: str) -> str:
    return str(choices(value).label) if value in choices.values else value


def _known(group_by: GroupBy) -> dict[int | None, Named]:
    if group_by is GroupBy.APPLICATION:
        applications = Application.objects.values_list("pk", "name")
        return {pk: Named(str(pk), name, pk) for pk, name in applications}
    if group_by is GroupBy.SENDER:
        senders = Sender.objects.order_by().values_list("pk", "name")
        return {pk: Named(name, name, pk) for pk, name in senders}
    first: dict[str, Named] = {}
    known: dict[int | None, Named] = {}
    for pk, code in Template.objects.order_by("pk").values_list("pk", "code"):
        known[pk] = first.setdefault(code, Named(code, code, pk))
    return known

"""What people call the values of a dimension."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from accounts.models import Application
from core.vocabulary import Channel
from messaging.models import Reason, Sender
from reporting.models import Dimension
from templates_app.models import Template


@dataclass(frozen=True, slots=True)
class Named:
    """`key` is a value of an enumeration, a template's code, a sender's name, or an application's
    id; empty for messages that have none. Templates of one code are one, whatever their language:
    `id` is that of the first."""

    key: str
    name: str
    id: int | None = None


def namer(dimension: Dimension) -> Callable[[Any], Named]:
    """Of its value, as a row of either kind has it. Asks for the names once."""
    if dimension is Dimension.CHANNEL:
        return lambda value: Named(value, _label(Channel, value))
    if dimension is Dimension.REASON:
        return lambda value: Named(value, _label(Reason, value))
    known = {"": Named("", str(_NONE[dimension]))}
    known |= {str(pk): named for pk, named in _known(dimension)}

    def name(value: Any) -> Named:
        text = "" if value is None else str(value)
        return known.get(text) or Named(text, text, int(text))

    return name


_NONE = {
    Dimension.APPLICATION: _("no application"),
    Dimension.TEMPLATE: _("without a template"),
    Dimension.SENDER: _("no sender yet"),
}


def _label(choices: Any, value: str) -> str:
    return str(choices(value).label) if value in choices.values else value


def _known(dimension: Dimension) -> Iterator[tuple[int, Named]]:
    if dimension is Dimension.APPLICATION:
        for pk, name in Application.objects.values_list("pk", "name"):
            yield pk, Named(str(pk), name, pk)
    elif dimension is Dimension.SENDER:
        for pk, name in Sender.objects.order_by().values_list("pk", "name"):
            yield pk, Named(name, name, pk)
    else:
        first: dict[str, Named] = {}
        for pk, code in Template.objects.order_by("pk").values_list("pk", "code"):
            yield pk, first.setdefault(code, Named(code, code, pk))

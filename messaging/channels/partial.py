"""A message that goes to some of its recipients only, because others were suppressed meanwhile.

The message keeps its content as it is; only what goes to the provider is without them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ROLES = ("to", "cc", "bcc")
SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Partial:
    """What goes to the provider, and the rest: the original position of each address that is left,
    and the positions of those that are not."""

    content: dict[str, Any]
    positions: Mapping[str, str]
    left_out: tuple[str, ...]


def addresses_of(content: dict[str, Any]) -> list[str]:
    """Of all its recipients, in lower case. Of a content of a wrong shape none: whoever sends it
    says what is wrong with it."""
    try:
        return [a.lower() for role in ROLES for _, a in content.get(role, ())]
    except (AttributeError, TypeError, ValueError):
        return []


def without(content: dict[str, Any], suppressed: set[str]) -> Partial | None:
    """None if it concerns nobody; an empty content if nobody is left."""
    if suppressed.isdisjoint(addresses_of(content)):
        return None
    positions: dict[str, str] = {}
    left_out: list[str] = []
    kept: dict[str, Any] = {}
    for role in ROLES:
        people = content.get(role, ())
        kept[role] = [person for person in people if person[1].lower() not in suppressed]
        for index, (_, address) in enumerate(people):
            if address.lower() in suppressed:
                left_out.append(f"{role}/{index}")
            else:
                positions.setdefault(address, f"{role}/{index}")
    if not positions:
        return Partial({}, {}, tuple(left_out))
    if not kept["to"] and kept["cc"]:
        # Providers want somebody there; who is in copy is seen by all anyway. Not so a blind copy.
        kept["to"], kept["cc"] = kept["cc"], []
    return Partial({**content, **kept}, positions, tuple(left_out))


def with_left_out(partial: Partial | None, refused: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What an attempt says of its recipients, by the positions of the message as it was accepted.
    `refused` is numbered as the provider got it."""
    if partial is None:
        return refused
    told = [{**one, "recipient": _original(partial, one["recipient"])} for one in refused]
    words = "It is on the suppression list."
    return told + [
        {"recipient": position, "code": SUPPRESSED, "words": words} for position in partial.left_out
    ]


def _original(partial: Partial, position: str) -> str:
    role, _, index = position.partition("/")
    people = partial.content.get(role, ())
    if not index.isdecimal() or int(index) >= len(people):
        return position
    return partial.positions.get(people[int(index)][1], position)

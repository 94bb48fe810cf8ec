"""Reads settings from the environment and refuses nonsense by name.

Every value may also come from a file: with `NAME_FILE=/run/secrets/name` the file's text is the
value of `NAME`. That is how Docker and Kubernetes hand over secrets.
"""

import os
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from core.durations import parse_duration

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def text(name: str, default: str = "", *, choices: Sequence[str] = ()) -> str:
    """The value of `NAME`, or the text of the file that `NAME_FILE` points to."""
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value and path:
        raise ImproperlyConfigured(f"Both {name} and {name}_FILE are set. Keep one of them.")
    if path:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name}_FILE points to {path}: {error}.") from error
    if not value:
        return default
    if choices and value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}. It must be one of: {', '.join(choices)}.")
    return value


def boolean(name: str, default: bool) -> bool:
    value = text(name).lower()
    if not value:
        return default
    if value not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} is {value!r}. Write true or false.")
    return value in TRUE


def integer(name: str, default: int, *, minimum: int, maximum: int) -> int:
    value = text(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is {value!r}. It must be a whole number.") from None
    if not minimum <= number <= maximum:
        raise ImproperlyConfigured(f"{name} is {number}. It must be {minimum} to {maximum}.")
    return number


def words(name: str, default: Sequence[str] = ()) -> list[str]:
    """A comma-separated list; blanks around and between are ignored."""
    value = text(name)
    return [word.strip() for word in value.split(",") if word.strip()] if value else list(default)


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """A comma-separated list of networks, `10.0.0.0/8, fd00::/8`."""
    found: list[IPv4Network | IPv6Network] = []
    for word in words(name):
        try:
            found.append(ip_network(word))
        except ValueError as error:
            raise ImproperlyConfigured(f"{name} holds {word!r}, no network: {error}.") from None
    return found


def backoff(name: str, default: str) -> tuple[float, float, float]:
    """Three times, `15s,30s,1h`: the floor, the first random step and the longest, in seconds."""
    value = text(name, default)
    example = f"Write its floor, first and longest step like {default}"
    try:
        found = [parse_duration(word.strip()).total_seconds() for word in value.split(",")]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}: {error} {example}.") from None
    if len(found) != 3:
        raise ImproperlyConfigured(f"{name} is {value!r}. {example}: three times.")
    floor, first, longest = found
    if not (1 <= floor <= 86_400 and 1 <= first <= longest <= 86_400):
        raise ImproperlyConfigured(
            f"{name} is {value!r}. Each must be 1s to 24h, the longest step no less than the first."
        )
    return floor, first, longest


def url(name: str, default: str, *, schemes: Sequence[str]) -> str:
    """A URL whose scheme is one of `schemes`. The value is not shown: it may hold a password."""
    value = text(name, default)
    scheme, separator, rest = value.partition("://")
    if value and (not separator or scheme not in schemes or (not rest and scheme != "memory")):
        raise ImproperlyConfigured(
            f"{name} is no usable URL. It must start with one of: "
            + ", ".join(f"{scheme}://" for scheme in schemes)
        )
    return value

"""The filters of the template language, by name: an allow-list, each bounded in what it makes.

The language's own filters do the work. They are called through `call`, which takes only what prints
as text where text is meant, foresees how large a result becomes, and turns every failure into one
kind of error. None of the list can mark a value as safe HTML that was not: what a filter changed is
escaped again when it is printed, unless it is one of `KEEPS_MARKUP`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from liquid.builtin.filters import array, math, misc, string
from liquid.exceptions import FilterArgumentError, LiquidError
from liquid.undefined import is_undefined
from markupsafe import Markup

from templates_app import local_formats

# Characters of a text, entries of a list, and bits of a number that a filter may make.
MAX_TEXT = 512_000
MAX_LIST = 10_000
MAX_BITS = 64
_HTML_TAG = re.compile(r"<[^<>]*>")


def strip_html(value: str) -> str:
    """Without what stands between `<` and `>`. The language's own takes quadratic time."""
    return _HTML_TAG.sub("", value)


def uniq(values: list[Any]) -> list[Any]:
    """The first of each. The language's own takes quadratic time."""
    seen: set[str] = set()
    return [each for each in values if not (repr(each) in seen or seen.add(repr(each)))]  # type: ignore[func-returns-value]


TEXT_FILTERS: Mapping[str, Callable[..., Any]] = {
    "append": string.append,
    "capitalize": string.capitalize,
    "downcase": string.downcase,
    "escape": string.escape,
    "lstrip": string.lstrip,
    "newline_to_br": string.newline_to_br,
    "prepend": string.prepend,
    "remove": string.remove,
    "remove_first": string.remove_first,
    "replace": string.replace,
    "replace_first": string.replace_first,
    "rstrip": string.rstrip,
    "split": string.split,
    "squish": string.squish,
    "strip": string.strip,
    "strip_html": strip_html,
    "strip_newlines": string.strip_newlines,
    "truncate": string.truncate,
    "truncatewords": string.truncatewords,
    "upcase": string.upcase,
    "url_encode": string.url_encode,
}
NUMBER_FILTERS: Mapping[str, Callable[..., Any]] = {
    "abs": math.abs_,
    "at_least": math.at_least,
    "at_most": math.at_most,
    "ceil": math.ceil,
    "divided_by": math.divided_by,
    "floor": math.floor,
    "minus": math.minus,
    "modulo": math.modulo,
    "plus": math.plus,
    "round": math.round_,
    "times": math.times,
}
LIST_FILTERS: Mapping[str, Callable[..., Any]] = {
    "compact": array.compact,
    "concat": array.concat,
    "join": array.join,
    "map": array.map_,
    "reverse": array.reverse,
    "sort": array.sort,
    "sort_natural": array.sort_natural,
    "sum": array.sum_,
    "uniq": uniq,
    "where": array.where,
}
OTHER_FILTERS: Mapping[str, Callable[..., Any]] = {
    "default": misc.default,
    "first": array.first,
    "last": array.last,
    "size": misc.size,
    "slice": string.slice_,
}
# These also take the language of the message.
LOCAL_FILTERS: Mapping[str, Callable[..., str]] = {
    "currency": local_formats.currency,
    "date": local_formats.date,
    "datetime": local_formats.datetime_,
    "number": local_formats.number,
    "percent": local_formats.percent,
    "time": local_formats.time_,
}
FILTERS: Mapping[str, Callable[..., Any]] = {
    **TEXT_FILTERS,
    **NUMBER_FILTERS,
    **LIST_FILTERS,
    **OTHER_FILTERS,
    **LOCAL_FILTERS,
}
# What they return is HTML where what they were given is: they escape what is not.
KEEPS_MARKUP = frozenset(
    {
        *("append", "default", "escape", "first", "join", "last", "lstrip", "newline_to_br"),
        *("prepend", "rstrip", "strip", "url_encode"),
    }
)
_NEEDS_ENVIRONMENT = frozenset(
    name for name, function in FILTERS.items() if getattr(function, "with_environment", False)
)


def call(
    name: str, value: Any, args: tuple[Any, ...], options: dict[str, Any], *, env: Any, locale: str
) -> Any:
    """Raises `LiquidError` for whatever goes wrong."""
    if "environment" in options or "context" in options:
        raise FilterArgumentError(f"the filter {name} takes no such argument", token=None)
    if name != "default":
        for given in (value, *args, *options.values()):
            if is_undefined(given):
                str(given)  # Raises, naming it.
    value, args = _as_list(name, value), tuple(_as_list(name, arg) for arg in args)
    value, args = _prepared(name, value, args)
    _foresee(name, value, args)
    if name in LOCAL_FILTERS:
        options = {**options, "locale": locale}
    elif name in _NEEDS_ENVIRONMENT:
        options = {**options, "environment": env}
    misused = f"the filter {name} cannot be used like this"
    try:
        result = FILTERS[name](value, *args, **options)
    except LiquidError as error:
        if not error.args or not isinstance(error.args[0], TypeError):
            raise
        # The language wraps what Python says of the arguments.
        raise FilterArgumentError(misused, token=None) from error
    except TypeError as error:
        raise FilterArgumentError(
            f"the filter {name} cannot be used like this", token=None
        ) from error
    except Exception as error:
        # Numbers out of range, texts that are no number, and the like: all are the value's fault.
        raise FilterArgumentError(
            f"the filter {name} fails: {_sentence(error)}", token=None
        ) from error
    return _bounded(name, result)


def _as_list(name: str, value: Any) -> Any:
    """`(1..5)` as a list, if it is a short one."""
    if not isinstance(value, range):
        return value
    _limit(name, abs(value.stop - value.start), MAX_LIST)
    return list(value)


def _sentence(error: Exception) -> str:
    """The words of our own errors; those of Python's may quote whole values."""
    return str(error) if isinstance(error, local_formats.NoSuchForm) else "the value does not fit"


def _prepared(name: str, value: Any, args: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    if name in TEXT_FILTERS or name == "slice":
        if not (name == "slice" and isinstance(value, list)):
            value = as_text(value, f"the filter {name}")
        args = tuple(_scalar(arg, f"the filter {name}") for arg in args)
    elif name in LOCAL_FILTERS or name in NUMBER_FILTERS:
        value = _scalar(value, f"the filter {name}")
        args = tuple(_scalar(arg, f"the filter {name}") for arg in args)
    elif name == "join":
        value = (
            [as_text(each, f"the filter {name}") for each in value]
            if isinstance(value, list)
            else value
        )
        args = tuple(_scalar(arg, f"the filter {name}") for arg in args)
    return value, args


def as_text(value: Any, where: str) -> str:
    """What `{{ value }}` prints. Raises `FilterArgumentError` for an object, which has fields."""
    value = _scalar(value, where)
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _scalar(value: Any, where: str) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    kind = "a list" if isinstance(value, list | tuple | range) else "an object"
    raise FilterArgumentError(f"{where} needs a text or a number, and this is {kind}", token=None)


def _foresee(name: str, value: Any, args: tuple[Any, ...]) -> None:
    """Refuse before the memory is taken."""
    size = 0
    if isinstance(value, str):
        size = len(value)
        added = sum(len(arg) for arg in args if isinstance(arg, str))
        if name in {"replace", "newline_to_br"}:
            old, new = (*map(str, args), "", "")[:2] if name == "replace" else ("\n", "<br />\n")
            times = value.count(old) if old else size + 1
            size += times * max(0, len(new) - len(old))
        elif name in {"append", "prepend", "truncate", "truncatewords", "replace_first"}:
            size += added
        elif name == "split":
            separator = str(args[0]) if args else ""
            pieces = value.count(separator) if separator else size
            _limit(name, pieces, MAX_LIST)
    elif isinstance(value, list):
        if name == "join":
            gap = len(str(args[0])) if args else 1
            size = sum(map(len, value)) + gap * len(value)
        elif name == "concat" and args and isinstance(args[0], list):
            _limit(name, len(value) + len(args[0]), MAX_LIST)
            size = weight(value) + weight(args[0])
    _limit(name, size, MAX_TEXT)


def _bounded(name: str, result: Any) -> Any:
    if isinstance(result, str):
        _limit(name, len(result), MAX_TEXT)
        if isinstance(result, Markup) and name not in KEEPS_MARKUP:
            return str.__str__(result)
    elif isinstance(result, list):
        _limit(name, len(result), MAX_LIST)
        if name == "split":
            return [str.__str__(each) for each in result]
    elif isinstance(result, int):
        _limit(name, result.bit_length(), MAX_BITS)
    elif isinstance(result, float) and not abs(result) < 2.0**MAX_BITS:
        _limit(name, MAX_BITS + 1, MAX_BITS)
    return result


def weight(value: Any) -> int:
    """About how many characters `value` holds, its lists and objects counted through."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list | tuple):
        return 8 * len(value) + sum(map(weight, value))
    if isinstance(value, dict):
        return sum(len(str(key)) + 8 + weight(each) for key, each in value.items())
    return 8


def _limit(name: str, size: int, limit: int) -> None:
    if size > limit:
        raise FilterArgumentError(f"the filter {name} would make something too large", token=None)

"""Which variables a text asks for, read from its tags without rendering it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from liquid.ast import ConditionalBlockNode, Node
from liquid.builtin.expressions import FilteredExpression, KeywordArgument, Path
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.context import RenderContext
from liquid.expression import Expression

from templates_app import filters
from templates_app.language import PLAIN, Parsed

# Where a value is used tells its type; later entries win over earlier ones.
_RANK = ("", "boolean", "string", "number", "object", "array")
_NUMBERS = {"number", "currency", "percent", *filters.NUMBER_FILTERS}
# What a value must look like to be printed by a filter, or to be given to one: JSON schema's
# `format`. Later entries win over earlier ones.
_FORMATS = ("", "currency", "timezone", "date", "date-time")
_FORMAT_OF = {"date": "date", "datetime": "date-time", "time": "date-time"}
_TAKES_NUMBERS = {*_NUMBERS, "slice", "truncate", "truncatewords"} - {"currency"}
_LISTS = {*filters.LIST_FILTERS, "first", "last"}
# Properties that the language itself gives to texts and lists.
_BUILT_IN = frozenset({"size", "first", "last"})


@dataclass(frozen=True, slots=True)
class FoundVariable:
    """A variable that a source uses. `name` is its path, `user.name` or `items[].price`; `type` is
    what its use says: `string`, `number`, `boolean`, `array` or `object`. It is not required where
    it is only asked for, as by `{% if name %}` around its use, or has a `default`. `format` is that
    of a text, or of the texts in a list, which is needed as a date for example."""

    name: str
    type: str
    is_required: bool = True
    parts: tuple[str, ...] = ()
    format: str = ""


@dataclass(slots=True)
class _Use:
    kind: str = ""
    is_required: bool = False
    parts: dict[str, None] = field(default_factory=dict)
    format: str = ""


@dataclass(frozen=True, slots=True)
class _Scope:
    """Names of the text's own, with the path that each stands for, if any."""

    names: Mapping[str, str | None]
    # Paths that were asked for on the way here.
    guards: frozenset[str]


class Discovery:
    def __init__(self) -> None:
        self.uses: dict[str, _Use] = {}

    def read(self, parsed: Parsed, part: str) -> None:
        self._part = part
        self._context = RenderContext(parsed.template)
        self._nodes(parsed.nodes, _Scope({}, frozenset()), {})

    def found(self) -> list[FoundVariable]:
        """In order of appearance, containers before what they hold."""
        return [
            FoundVariable(name, use.kind or "string", use.is_required, tuple(use.parts), use.format)
            for name, use in self.uses.items()
        ]

    # --- the tree --------------------------------------------------------------------------------

    def _nodes(self, nodes: Iterable[Node], scope: _Scope, own: dict[str, str | None]) -> None:
        """`own` collects what is assigned on the way: it lasts to the end of the text."""
        for node in nodes:
            self._node(node, _Scope({**own, **scope.names}, scope.guards), own)

    def _node(self, node: Node, scope: _Scope, own: dict[str, str | None]) -> None:
        if isinstance(node, ForNode):
            path = self._path_of(node.expression.iterable, scope)
            for expression in node.expression.children():
                kind = "array" if expression is node.expression.iterable else "number"
                self._expression(expression, scope, kind)
            inside = {"forloop": None, node.expression.identifier: f"{path}[]" if path else None}
            within = _Scope({**scope.names, **inside}, scope.guards)
            self._nodes([node.block], within, own)
            self._nodes([node.default] if node.default else [], scope, own)
        elif isinstance(node, AssignNode):
            self._expression(node.expression, scope, "")
            own[str(node.name)] = self._alias(node.expression, scope)
        elif isinstance(node, CaptureNode):
            self._nodes([node.block], scope, own)
            own[str(node.name)] = None
        elif isinstance(node, IfNode | UnlessNode):
            asked = self._condition(node.condition, scope)
            is_if = isinstance(node, IfNode)
            then = _Scope(scope.names, scope.guards | asked) if is_if else scope
            otherwise = scope if is_if else _Scope(scope.names, scope.guards | asked)
            self._nodes([node.consequence], then, own)
            self._nodes(node.alternatives, scope, own)
            self._nodes([node.default] if node.default else [], otherwise, own)
        elif isinstance(node, ConditionalBlockNode):
            asked = self._condition(node.expression, scope)
            self._nodes([node.block], _Scope(scope.names, scope.guards | asked), own)
        else:
            for expression in node.expressions():
                self._expression(expression, scope, "string")
            self._nodes(node.children(self._context), scope, own)

    def _condition(self, condition: Expression, scope: _Scope) -> frozenset[str]:
        """Asking requires nothing. Returns the paths that are asked for."""
        asked = []
        for expression, kind in _operands(condition):
            path = self._path_of(expression, scope)
            if path:
                self._use(path, kind, is_required=False)
                asked.append(path)
        return frozenset(asked)

    def _expression(self, expression: Expression, scope: _Scope, kind: str) -> None:
        if isinstance(expression, FilteredExpression):
            names = [each.name for each in expression.filters or ()]
            wanted = _kind_for(names[0]) if names else kind
            guarded = scope
            if "default" in names[:1]:
                path = self._path_of(expression.left, scope)
                guarded = _Scope(scope.names, scope.guards | {path or ""})
                wanted = next((k for name in names[1:] if (k := _kind_for(name))), "string")
            self._expression(expression.left, guarded, wanted or kind)
            first = next((name for name in names if name != "default"), "")
            self._note_format(expression.left, scope, _FORMAT_OF.get(first, ""))
            for each in expression.filters or ():
                for arg in each.args:
                    is_number = each.name in _TAKES_NUMBERS and not isinstance(arg, KeywordArgument)
                    self._expression(arg.value, scope, "number" if is_number else "")
                    self._note_format(arg.value, scope, _format_of_argument(each.name, arg))
        elif isinstance(expression, Path):
            path = self._path_of(expression, scope)
            if path:
                is_keyed = any(isinstance(segment, Path) for segment in expression.path)
                is_required = path not in scope.guards
                kind = "object" if is_keyed else kind
                self._use(path, kind, is_required=is_required, guards=scope.guards)
            for segment in expression.path:
                if isinstance(segment, Path):
                    self._expression(segment, scope, "")
        else:
            for child in expression.children():
                self._expression(child, scope, kind)

    def _note_format(self, expression: Any, scope: _Scope, format: str) -> None:
        path = self._path_of(expression, scope) if format else None
        use = self.uses.get(path.removesuffix("[]")) if path else None
        if use is not None:
            use.format = max(use.format, format, key=_FORMATS.index)

    def _alias(self, expression: Any, scope: _Scope) -> str | None:
        is_plain = isinstance(expression, FilteredExpression) and not expression.filters
        return self._path_of(expression.left, scope) if is_plain else None

    def _path_of(self, expression: Any, scope: _Scope) -> str | None:
        """The variable's path, or None for what is no variable of the caller's."""
        if not isinstance(expression, Path) or not isinstance(expression.path[0], str):
            return None
        rest = expression.path[1:]
        begin = scope.names.get(expression.path[0], expression.path[0])
        if begin is None:
            return None
        path = begin
        for segment in rest:
            if isinstance(segment, str) and segment not in _BUILT_IN:
                path += f".{segment}"
            elif isinstance(segment, int):
                path += "[]"
            else:
                break
        return path

    def _use(
        self, path: str, kind: str, *, is_required: bool, guards: frozenset[str] = frozenset()
    ) -> None:
        """Note `path` and all that it lies in."""
        for container, holds in _containers(path):
            use = self.uses.setdefault(container, _Use())
            use.kind = max(use.kind, holds, key=_RANK.index)
            use.is_required = use.is_required or (is_required and container not in guards)
            use.parts[self._part] = None
        if not path.endswith("[]"):
            use = self.uses.setdefault(path, _Use())
            use.kind = max(use.kind, kind, key=_RANK.index)
            use.is_required = use.is_required or is_required
            use.parts[self._part] = None


def _format_of_argument(filter_name: str, argument: Any) -> str:
    if getattr(argument, "name", "") == "timezone":
        return "timezone"
    return "currency" if filter_name == "currency" else ""


def _operands(condition: Any) -> Iterator[tuple[Expression, str]]:
    """What a condition looks at, with the type that the other side of a comparison has."""
    waiting = [condition]
    while waiting:
        expression = waiting.pop(0)
        sides = [getattr(expression, name, None) for name in ("left", "right")]
        if all(side is not None for side in sides):
            for side, other in (sides, sides[::-1]):
                if isinstance(side, Path):
                    yield side, _kind_of_literal(other)
                else:
                    waiting.append(side)
        elif isinstance(expression, Path):
            yield expression, "boolean"
        else:
            waiting += expression.children()


def _kind_of_literal(other: Any) -> str:
    value = getattr(other, "value", None)
    if isinstance(value, bool) or value is None:
        return "boolean"
    return "number" if isinstance(value, int | float) else "string"


def _kind_for(filter_name: str) -> str:
    if filter_name in _NUMBERS:
        return "number"
    return "array" if filter_name in _LISTS else "string"


def _containers(path: str) -> Iterator[tuple[str, str]]:
    """`a.b[].c` lies in `a`, an object, and `a.b`, an array of objects."""
    for index, character in enumerate(path):
        if character == ".":
            if not path[:index].endswith("[]"):
                yield path[:index], "object"
        elif path.startswith("[]", index):
            yield path[:index], "array"


def discover(parts: Sequence[tuple[str, str]]) -> list[FoundVariable]:
    """Of `(part, text)` pairs. Raises `LiquidError`."""
    discovery = Discovery()
    for part, text in parts:
        discovery.read(Parsed(text, PLAIN), part)
    return discovery.found()

"""The template language, fenced in: what a template may say, and how much it may take.

python-liquid does the parsing and rendering. Here stand its limits: an allow-list of tags and
filters, nothing undefined, no clock, loops and steps counted over the whole text, and CPU time.
"""

import re
import time
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any, TextIO

from liquid import Environment, RenderContext, Token
from liquid.ast import Node
from liquid.builtin import content, illegal, output
from liquid.builtin.tags import (
    assign_tag,
    capture_tag,
    case_tag,
    comment_tag,
    cycle_tag,
    for_tag,
    if_tag,
    inline_comment_tag,
    unless_tag,
)
from liquid.exceptions import (
    FilterArgumentError,
    LiquidError,
    LiquidSyntaxError,
    LocalNamespaceLimitError,
    LoopIterationLimitError,
    ResourceLimitError,
    UnknownFilterError,
)
from liquid.stringify import to_liquid_string
from liquid.token import TOKEN_TAG
from liquid.undefined import FalsyStrictUndefined, is_undefined
from liquid.utils import ReadOnlyChainMap

from templates_app import filters

MAX_OUTPUT = 512_000
MAX_LOOPS = 20_000
MAX_LOCALS = 1_000_000
# Of CPU time, so that a busy machine refuses no honest template.
MAX_SECONDS = 0.5
_STEPS_BETWEEN_LOOKS = 64
# Characters of one tag.
MAX_TAG = 4_000
TOO_MANY_LOOPS = "loops run more than 20,000 times in all"


_NONE: list[str] = []


class TooMuchTime(ResourceLimitError):
    """It would go on for too long."""


class Context(RenderContext):
    """One rendering. Counts all that it does, where the language counts nested loops only."""

    __slots__ = ("_loops_run", "_size", "_sizes", "_started", "_steps", "locale")

    def __init__(self, template: Any, *, variables: Mapping[str, Any], locale: str) -> None:
        self._steps = 0
        super().__init__(template, globals=variables)
        # The language adds `now` and `today`: a text must not depend on when it is rendered.
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)
        self._loops_run = 0
        self._sizes: dict[str, int] = {}
        self._size = 0
        self._started = time.thread_time()
        self.locale = locale

    @property
    def disabled_tags(self) -> list[str]:
        """Asked before each node is rendered: the one place through which every step goes."""
        self.step()
        return _NONE

    @disabled_tags.setter
    def disabled_tags(self, _: object) -> None:
        pass

    def step(self) -> None:
        self._steps += 1
        if self._steps % _STEPS_BETWEEN_LOOKS:
            return
        if time.thread_time() - self._started > MAX_SECONDS:
            raise TooMuchTime("the template takes too long", token=None)

    def raise_for_loop_limit(self, length: int = 1) -> None:
        self._loops_run += length
        if self._loops_run > MAX_LOOPS:
            raise LoopIterationLimitError(TOO_MANY_LOOPS, token=None)

    def assign(self, key: str, val: Any) -> None:
        size = filters.weight(val)
        self._size += size - self._sizes.get(key, 0)
        self._sizes[str(key)] = size
        if self._size > MAX_LOCALS:
            raise LocalNamespaceLimitError("assigned values become too large", token=None)
        self.locals[key] = val

    def filter(self, name: str, token: Any) -> Any:
        if name not in filters.FILTERS:
            raise UnknownFilterError(f"there is no filter {name}", token=token)

        def run(value: Any, *args: Any, **options: Any) -> Any:
            self.step()
            try:
                return filters.call(name, value, args, options, env=self.env, locale=self.locale)
            except LiquidError as error:
                error.token = error.token or token
                raise

        return run


def printed(value: Any, context: RenderContext) -> str:
    """What a value prints as. Objects do not: their fields do."""
    if isinstance(value, list):
        _limit_list(value)
        value = [filters.as_text(each, "{{ … }}") for each in value]
    elif not (value is None or isinstance(value, str | range) or is_undefined(value)):
        value = filters.as_text(value, "{{ … }}")
    return to_liquid_string(value, context.autoescape)


def _limit_list(values: list[Any]) -> None:
    if filters.weight(values) > 2 * MAX_OUTPUT:
        raise FilterArgumentError("it prints more than 512,000 characters", token=None)


class _OutputNode(output.OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(printed(self.expression.evaluate(context), context))


class _Output(output.Output):
    node_class = _OutputNode


class _CycleNode(cycle_tag.CycleNode):
    """Prints its arguments in turn. The language's own writes whole lists as one key."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        values = [filters.as_text(each.evaluate(context), "cycle") for each in self.args]
        group = filters.as_text(self.group.evaluate(context), "cycle") if self.group else ""
        index = context.cycle(group or "\0".join(values), len(values))
        return buffer.write(printed(values[index], context)) if index < len(values) else 0


class _CycleTag(cycle_tag.CycleTag):
    node_class = _CycleNode


class _ForNode(for_tag.ForNode):
    """Looks at the length first: the language's own makes a list of what it goes through
    backwards, however long."""

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        over = self.expression.iterable.evaluate(context)
        if isinstance(over, range) and abs(over.stop - over.start) > MAX_LOOPS:
            raise LoopIterationLimitError(TOO_MANY_LOOPS, token=self.token)
        return int(super().render_to_output(context, buffer))


class _ForTag(for_tag.ForTag):
    node_class = _ForNode


class _Language(Environment):
    block_nesting_limit = 30
    output_stream_limit = MAX_OUTPUT
    # Any number: `Context` counts.
    loop_iteration_limit = MAX_LOOPS

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """No `include` and `render`: there is nothing to load. No filters: `Context` knows them."""
        for tag in (
            content.Literal,
            _Output,
            illegal.Illegal,
            assign_tag.AssignTag,
            capture_tag.CaptureTag,
            case_tag.CaseTag,
            comment_tag.CommentTag,
            _CycleTag,
            for_tag.BreakTag,
            for_tag.ContinueTag,
            _ForTag,
            if_tag.IfTag,
            inline_comment_tag.InlineCommentTag,
            unless_tag.UnlessTag,
        ):
            self.add_tag(tag)


HTML = _Language(undefined=FalsyStrictUndefined, autoescape=True)
PLAIN = _Language(undefined=FalsyStrictUndefined)


_BEGIN = re.compile(r"\{\{|\{%(?:-?\s{0,100}(raw)\b)?")
_END_RAW = re.compile(r"\{%-?\s{0,100}endraw\s{0,100}-?%\}")
_LONG_BLANK = re.compile(r"\s{100}")


def _check_tags(source: str) -> None:
    """Every tag has an end, not far away. The language's own lexer takes quadratic time to find out
    that there is none, or to get through blanks. Raises `LiquidSyntaxError`."""
    found = _BEGIN.search(source)
    while found is not None:
        start, words = found.start(), ""
        closing = "}}" if found.group() == "{{" else "%}"
        end = source.find(closing, found.end())
        if end >= 0 and found[1]:
            raw = _END_RAW.search(source, end)
            words = "" if raw else "there is no endraw to this raw"
            end = raw.end() - 2 if raw else end
        elif end < 0:
            words = f"there is no {closing} to this {found.group()[:2]}"
        elif end - start > MAX_TAG:
            words = f"this tag is longer than {MAX_TAG:,} characters"
        elif _LONG_BLANK.search(source, start, end):
            words = "this tag holds a hundred blanks in a row"
        if words:
            token = Token(TOKEN_TAG, found.group(), start, source)
            raise LiquidSyntaxError(words, token=token)
        found = _BEGIN.search(source, end + 2)


class Parsed:
    """One parsed text."""

    __slots__ = ("nodes", "source", "template")

    def __init__(self, source: str, env: Environment) -> None:
        """Raises `LiquidError`."""
        _check_tags(source)
        self.source = source
        self.template = env.from_string(source)
        self.nodes: list[Node] = self.template.nodes

    def render(self, variables: Mapping[str, Any], locale: str) -> str:
        """Raises `LiquidError`, or whatever else a value leads to."""
        context = Context(self.template, variables=variables, locale=locale)
        buffer: StringIO = self.template._get_buffer()  # noqa: SLF001
        for node in self.nodes:
            try:
                node.render(context, buffer)
            except LiquidError as error:
                error.token = error.token or node.token
                raise
        return buffer.getvalue()

    def filters(self) -> Iterator[tuple[str, Token]]:
        """The name of every filter that is used, and where."""
        context = RenderContext(self.template)
        waiting = list(self.nodes)
        while waiting:
            node = waiting.pop()
            waiting += node.children(context)
            expressions = list(node.expressions())
            while expressions:
                expression = expressions.pop()
                expressions += expression.children()
                for each in getattr(expression, "filters", None) or ():
                    yield each.name, each.token

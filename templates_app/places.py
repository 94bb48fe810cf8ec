"""Where the tags of the template language stand in a text, and how they survive other languages.

MJML, Markdown and style inliners know nothing of `{{ … }}` and `{% … %}`: a loop between two rows
of a table is text at a forbidden place, a quote inside a tag ends an attribute. So each tag is
swapped for a marker that suits its place, and put back afterwards.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

TAG = re.compile(
    r"\{%-?\s*(?P<block>raw|comment)\s*-?%\}.*?\{%-?\s*end(?P=block)\s*-?%\}"
    r"|\{\{.*?\}\}|\{%.*?%\}",
    re.DOTALL,
)
# Comments, elements whose content is text, and tags. Outside quotes no tag holds a `<`, which also
# keeps this linear; nothing is tried twice (`++`, `*+`), or it would remember a place for each of a
# tag's characters: 50 MB for one of 160,000.
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<(?P<verbatim>script|style|title|textarea|mj-style|mj-title|mj-preview)\b"
    r"(?P<attributes>(?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*+)(?<!/)>(?P<content>.*?)(?:</(?P=verbatim)\s*>|\Z)"
    r"|<(?P<close>/?)(?P<name>[A-Za-z][\w:.-]*)(?P<rest>(?:[^<>\"']++|\"[^\"]*+\"|'[^']*+')*+)>",
    re.DOTALL | re.IGNORECASE,
)
VERBATIM = frozenset({"script", "style", "title", "textarea", "mj-style", "mj-title", "mj-preview"})
_ATTRIBUTE = re.compile(
    r"(?P<name>[^\s\"'<>/=]+)\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'>]+))"
)


class Place(Enum):
    TEXT = "text"
    ATTRIBUTE = "attribute"
    UNQUOTED = "unquoted attribute"
    # Among the attributes, or in the name of an element.
    ELEMENT = "element"
    SCRIPT = "script"
    STYLE = "style"
    VERBATIM = "verbatim"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True)
class Element:
    """A start or end tag of the markup. Offsets are those of the marked text."""

    name: str
    is_end: bool
    is_empty: bool
    start: int
    end: int


class Marked:
    """A text whose tags are markers, plain words such as `lq12x`."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.prefix = "lq"
        while self.prefix in source:
            self.prefix += "q"
        self.tags: list[str] = []
        # Where each tag began in the source.
        self.offsets: list[int] = []
        self.text = TAG.sub(self._mark, source)
        self.marker = re.compile(rf"{self.prefix}(\d+)x")

    def _mark(self, found: re.Match[str]) -> str:
        self.tags.append(found.group())
        self.offsets.append(found.start())
        return self.marker_of(len(self.tags) - 1)

    def marker_of(self, number: int) -> str:
        return f"{self.prefix}{number}x"

    def restore(self, text: str) -> str:
        """The tags again, in whatever form their markers have come back."""
        pattern = rf"<!--{self.prefix}(\d+)x-->|{self.prefix}(\d+)x(?:=\"\")?"
        return re.sub(pattern, lambda found: self.tags[int(found[1] or found[2])], text)

    def numbers(self, text: str) -> list[int]:
        """The markers in `text`, in order."""
        return [int(number) for number in self.marker.findall(text)]

    def rewrite(self, change: Callable[[int], str]) -> str:
        """The marked text with each marker as `change` says."""
        return self.marker.sub(lambda found: change(int(found[1])), self.text)

    def is_block(self, number: int) -> bool:
        """Whether it is a `{% … %}`, which prints nothing by itself."""
        return self.tags[number].startswith("{%")

    def source_offset(self, offset: int) -> int:
        """Where in the source something stands that is at `offset` of the marked text."""
        shift = 0
        for found in self.marker.finditer(self.text):
            if found.start() >= offset:
                break
            shift += len(self.tags[int(found[1])]) - len(found.group())
        return offset + shift

    def elements(self) -> list[Element]:
        found = []
        for match in _MARKUP.finditer(self.text):
            if match["verbatim"]:
                # Start, text and end in one.
                span = (match.start(), match.end())
                found.append(Element(match["verbatim"].lower(), False, True, *span))
            elif match["name"]:
                is_empty = match["rest"].rstrip().endswith("/")
                name, is_end = match["name"].lower(), bool(match["close"])
                found.append(Element(name, is_end, is_empty, match.start(), match.end()))
        return found

    def places(self) -> list[tuple[Place, str]]:
        """For each tag its place, and the attribute or element that it stands in."""
        places: list[tuple[Place, str]] = [(Place.TEXT, "")] * len(self.tags)
        for match in _MARKUP.finditer(self.text):
            if match.group().startswith("<!--"):
                self._put(places, match.group(), Place.COMMENT, "")
                continue
            if match["verbatim"]:
                name = match["verbatim"].lower()
                kinds = {"script": Place.SCRIPT, "style": Place.STYLE, "mj-style": Place.STYLE}
                self._put(places, match["content"], kinds.get(name, Place.VERBATIM), name)
            head = match["attributes"] if match["verbatim"] else match["name"] + match["rest"]
            self._put(places, head, Place.ELEMENT, match["verbatim"] or match["name"])
            for attribute in _ATTRIBUTE.finditer(head):
                is_bare = attribute["bare"] is not None
                value = attribute["double"] or attribute["single"] or attribute["bare"] or ""
                place = Place.UNQUOTED if is_bare else Place.ATTRIBUTE
                self._put(places, value, place, attribute["name"].lower())
        return places

    def _put(self, places: list[tuple[Place, str]], text: str, place: Place, name: str) -> None:
        for number in self.numbers(text):
            places[number] = (place, name)


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1

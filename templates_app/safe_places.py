"""Where the tags of an HTML body may stand, so that no value can become markup.

Values are escaped when they are printed, which is enough between elements and in quoted attributes.
So every printing tag must stand in one of these, whichever way a text takes through its blocks: all
tags of a block (`if`, `else`, `endif`) stand in the same state of the HTML. And pieces of markup
that a text keeps to print them elsewhere must be whole, and hold no quotes where one would end the
attribute that they are printed in.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from templates_app.places import VERBATIM, Marked, Place

_Put = Callable[[int, int, "State"], None]
_LETTER = re.compile(r"[A-Za-z]")
_NAME = re.compile(r"[^\s/>]*")
_ATTRIBUTE_NAME = re.compile(r"[^\s/>=]*")
_BARE = re.compile(r"[^\s>]*")
_SKIPPED = re.compile(r"[\s/]*")
_BLANKS = re.compile(r"\s*")
_STATES = {"script": Place.SCRIPT, "style": Place.STYLE, "mj-style": Place.STYLE}
_WORD = re.compile(r"\{[{%]-?\s*(\w*)")
_LITERAL = re.compile(r"\"([^\"]*)\"|'([^']*)'")
# Texts that a printing tag may print as they stand.
_PRINTED = re.compile(
    r"(?:^\{\{-?\s*|\b(?:append|prepend|default|join)\s*:\s*|\bcycle\b[^%]*?)"
    r"(?:\"([^\"]*)\"|'([^']*)')"
)
_KEPT_AS = re.compile(r"\{%-?\s*(?:assign|capture)\s+([\w-]+)")
_RAW = re.compile(r"\{%-?\s*raw\s*-?%\}(.*?)\{%-?\s*endraw\s*-?%\}", re.DOTALL)
# So long a chain of names that stand for each other is followed.
MAX_ROUNDS = 20
_OPENS = frozenset({"if", "unless", "case", "for", "capture"})
_GOES_ON = frozenset({"else", "elsif", "when"})
_DECIDES = _OPENS | _GOES_ON


@dataclass(frozen=True, slots=True)
class State:
    """What the HTML is in at a tag: the attribute or element, and the quote around it."""

    place: Place
    name: str = ""
    quote: str = ""
    # Within a name, which what surrounds the tag makes longer.
    is_in_name: bool = False


TEXT = State(Place.TEXT)


def unsafe_places(body: str) -> Iterator[tuple[int, str]]:
    """Offset of each tag in `body` that is not safe where it stands, and why."""
    marked = Marked(body)
    states, _ = _read(marked)
    why: dict[int, str] = {}
    for number, words in (
        *_printing(marked, states),
        *_crossing(marked, states),
        *_kept(marked, states),
    ):
        why.setdefault(number, words)
    for number in sorted(why):
        yield marked.offsets[number], why[number]


# --- the HTML ------------------------------------------------------------------------------------


def _read(marked: Marked) -> tuple[list[State], State]:
    """The state at each tag, and at the end."""
    text, marker = marked.text, marked.marker
    states = [TEXT] * len(marked.tags)

    def put(start: int, end: int, state: State) -> None:
        for found in marker.finditer(text, start, end):
            states[int(found[1])] = state

    at = 0
    while (start := text.find("<", at)) >= 0:
        if text.startswith("<!--", start):
            end = text.find("-->", start + 4)
            put(start, end if end >= 0 else len(text), State(Place.COMMENT))
            if end < 0:
                return states, State(Place.COMMENT)
            at = end + 3
            continue
        is_end = text.startswith("/", start + 1)
        begin = start + 1 + is_end
        if not _LETTER.match(text, begin):
            at = start + 1
            continue
        end = _end(_NAME, text, begin)
        name = marker.sub("", text[begin:end]).lower()
        element = State(Place.ELEMENT, name)
        put(begin, end, element)
        # A name begins with a letter: what stands before all of it is a part of it.
        put(begin, _core(marked, begin, end)[1], replace(element, is_in_name=True))
        at, last = _read_attributes(marked, end, element, put)
        if last is not None:
            return states, last
        # Only in MJML may they end in their beginning.
        is_empty = name.startswith("mj-") and text[at - 2] == "/"
        if name in VERBATIM and not is_end and not is_empty:
            state = State(_STATES.get(name, Place.VERBATIM), name)
            close = re.compile(rf"</{name}\b", re.IGNORECASE).search(text, at)
            put(at, close.start() if close else len(text), state)
            if close is None:
                return states, state
            at = close.start()
    return states, TEXT


def _read_attributes(
    marked: Marked, at: int, element: State, put: _Put
) -> tuple[int, State | None]:
    """Where the start tag ends, or in which state the text ends before it does."""
    text = marked.text
    while True:
        at = _end(_SKIPPED, text, at)
        if at >= len(text):
            return at, element
        if text[at] == ">":
            return at + 1, None
        # A stray `=` begins a name.
        end = _end(_ATTRIBUTE_NAME, text, at + (text[at] == "="))
        name = text[at:end]
        put(at, end, element)
        put(*_core(marked, at, end), replace(element, is_in_name=True))
        at = _end(_BLANKS, text, end)
        if text[at : at + 1] != "=":
            continue
        at = _end(_BLANKS, text, at + 1)
        quote = text[at : at + 1]
        if quote in ('"', "'"):
            state = State(Place.ATTRIBUTE, name, quote)
            end = text.find(quote, at + 1)
            put(at, end if end >= 0 else len(text), state)
            if end < 0:
                return at, state
            at = end + 1
        else:
            end = _end(_BARE, text, at)
            put(at, end, State(Place.UNQUOTED, name))
            at = end


def _core(marked: Marked, start: int, end: int) -> tuple[int, int]:
    """A name without the tags before and after it, which stand beside it."""
    spans = [found.span() for found in marked.marker.finditer(marked.text, start, end)]
    for begins, ends in spans:
        if begins != start:
            break
        start = ends
    for begins, ends in reversed(spans):
        if ends != end or begins < start:
            break
        end = begins
    return start, end


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


# --- the rules -----------------------------------------------------------------------------------


def _word(tag: str) -> str:
    found = _WORD.match(tag)
    return found[1] if found and tag.startswith("{%") else ""


def _prints(tag: str) -> bool:
    return tag.startswith("{{") or _word(tag) in ("cycle", "raw")


def _printing(marked: Marked, states: list[State]) -> Iterator[tuple[int, str]]:
    for number, tag in enumerate(marked.tags):
        if _prints(tag) and (why := _why_unsafe(marked, states[number])):
            yield number, why


def _why_unsafe(marked: Marked, state: State) -> str:
    name = _bare_name(marked, state.name)
    if state.place is Place.SCRIPT:
        return "No mail program runs scripts, and a variable in one could say anything."
    if state.place is Place.UNQUOTED:
        return f"Put the value of {name} into quotes, or a variable could add attributes."
    if state.place is Place.ATTRIBUTE:
        if _is_put_together(marked, state.name):
            return "The name of an attribute may not be put together of pieces."
        if name.lower().startswith("on"):
            return f"No mail program runs {name}, and a variable in it could do anything."
        if name.lower() == "srcdoc":
            return "A variable in srcdoc could be a page with scripts."
    if state.place is Place.ELEMENT:
        return "A variable may stand in the value of an attribute, not for its name or an element."
    return ""


def _bare_name(marked: Marked, name: str) -> str:
    return marked.marker.sub("", name)


def _is_put_together(marked: Marked, name: str) -> bool:
    spans = [found.span() for found in marked.marker.finditer(name)]
    start, end = 0, len(name)
    while spans and spans[0][0] == start:
        start = spans.pop(0)[1]
    while spans and spans[-1][1] == end:
        end = spans.pop()[0]
    return bool(spans)


def _crossing(marked: Marked, states: list[State]) -> Iterator[tuple[int, str]]:
    """Blocks that begin in one state of the HTML and end in another."""
    begun: list[int] = []
    for number, tag in enumerate(marked.tags):
        word = _word(tag)
        if word in _OPENS:
            state = states[number]
            if state.place is Place.UNQUOTED:
                name = _bare_name(marked, state.name)
                yield number, f"Put the value of {name} into quotes, or it could be empty."
            elif state.is_in_name:
                yield number, "The name of an element or attribute may not be put together here."
            elif word == "capture" and state != TEXT:
                yield number, "Capture outside of elements; what was captured may be printed here."
            begun.append(number)
        elif begun and (word in _GOES_ON or word.startswith("end")):
            if states[number] != states[begun[-1]]:
                yield (
                    number,
                    (
                        "Between the tags of a block stand whole elements, whole attributes, or a "
                        "part of one quoted value."
                    ),
                )
            if word.startswith("end"):
                begun.pop()


def _kept(marked: Marked, states: list[State]) -> Iterator[tuple[int, str]]:
    """Pieces of markup that are written down, assigned or captured, and printed elsewhere."""
    quotes = _quotes_of_names(marked)
    for number, tag in enumerate(marked.tags):
        word = _word(tag)
        raw = _RAW.fullmatch(tag)
        texts = [raw[1]] if raw else _literals(tag) if word not in _DECIDES else []
        if any("<" in text and _read(Marked(text))[1] != TEXT for text in texts):
            yield number, "Markup that is kept in a text must be whole elements."
        state = states[number]
        if state.place is not Place.ATTRIBUTE or not _prints(tag):
            continue
        printed = "".join(texts) if raw else "".join(a or b for a, b in _PRINTED.findall(tag))
        held = set(printed) | {q for name in _names(tag) for q in quotes.get(name, ())}
        if state.quote in held:
            name = _bare_name(marked, state.name)
            yield number, f"This holds a quote, which would end the value of {name} before its end."


def _quotes_of_names(marked: Marked) -> dict[str, set[str]]:
    """Which quotes what is assigned or captured may hold unescaped."""
    quotes: dict[str, set[str]] = {}
    pieces: list[tuple[str, str, list[str]]] = []
    begun: list[tuple[str, int]] = []
    for number, tag in enumerate(marked.tags):
        word, kept = _word(tag), _KEPT_AS.match(tag)
        if word == "capture" and kept:
            begun.append((kept[1], number))
        elif word == "endcapture" and begun:
            name, first = begun.pop()
            start = marked.text.index(marked.marker_of(first))
            end = marked.text.index(marked.marker_of(number))
            inside = marked.tags[first + 1 : number]
            held = marked.text[start:end] + "".join(t for each in inside for t in _literals(each))
            held += "".join(raw[1] for each in inside if (raw := _RAW.fullmatch(each)))
            pieces.append((name, held, [n for each in inside for n in _names(each)]))
        elif word == "assign" and kept:
            pieces.append((kept[1], "".join(_literals(tag)), _names(tag)))
    for _ in range(MAX_ROUNDS):
        before = sum(map(len, quotes.values()))
        for name, held, names in pieces:
            own = quotes.setdefault(name, set())
            own |= {quote for quote in "\"'" if quote in held}
            for other in names:
                own |= quotes.get(other, set())
        if sum(map(len, quotes.values())) == before:
            return quotes
    return {name: {'"', "'"} for name in quotes}


def _literals(tag: str) -> list[str]:
    return [a or b for a, b in _LITERAL.findall(tag)]


def _names(tag: str) -> list[str]:
    """Words of a tag that may be names of variables."""
    return re.findall(r"[A-Za-z_][\w-]*", _LITERAL.sub("", tag))

"""From what an editor writes to what is rendered: MJML and Markdown to HTML, styles into elements,
HTML to plain text. The tags of the template language come through all of them.

The parsers are native code that follows nesting with their own stack, so depth and number of
elements are limited before they see anything.
"""

import re
from collections.abc import Callable

import css_inline
import mrml
from inscriptis import get_text
from inscriptis.model.config import ParserConfig
from markdown_it import MarkdownIt

from templates_app.places import VERBATIM, Element, Marked, Place, position

MAX_BODY = 200_000
MAX_MARKDOWN = 50_000
MAX_ELEMENTS = 5_000
MAX_DEPTH = 100
# In the attributes of one element.
MAX_WORDS = 2_000
MAX_OPEN_FORMATS = 30
VOID = frozenset(
    {
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param"),
        *("source", "track", "wbr"),
    }
)
FORMATTING = frozenset(
    {
        *("a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong"),
        *("tt", "u"),
    }
)
# Where MJML takes elements only, and text is lost unless it is raw.
_CONTAINERS = frozenset({"mj-body", "mj-wrapper", "mj-section", "mj-column"})
# Where it takes nothing else at all.
_NO_PLACE = frozenset({"mjml", "mj-head", "mj-attributes"})
_AT = re.compile(r"at position (\d+)")
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)
_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_TABLE_TAG = re.compile(r"<(/?)(table|thead|tbody|tfoot|tr|td|th|caption)\b", re.IGNORECASE)
_OPENS = frozenset({"for", "if", "unless", "case", "capture"})
_GOES_ON = frozenset({"else", "elsif", "when"})
_LINK = re.compile(r"\[([^\[\]\n]*)\]\(([^()\s]*)\)")
MJML_ELEMENTS = frozenset(
    {
        *("mj-accordion", "mj-accordion-element", "mj-accordion-text", "mj-accordion-title"),
        *("mj-all", "mj-attributes", "mj-body", "mj-breakpoint", "mj-button", "mj-carousel"),
        *("mj-carousel-image", "mj-class", "mj-column", "mj-divider", "mj-font", "mj-group"),
        *("mj-head", "mj-hero", "mj-html-attribute", "mj-html-attributes", "mj-image"),
        *("mj-navbar", "mj-navbar-link", "mj-preview", "mj-raw", "mj-section", "mj-selector"),
        *("mj-social", "mj-social-element", "mj-spacer", "mj-style", "mj-table", "mj-text"),
        *("mj-title", "mj-wrapper"),
    }
)

PAGE = """<!doctype html>
<html><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ margin: 0; padding: 24px; background: #ffffff; color: #1f2937; }}
.page {{ max-width: 600px; margin: 0 auto; font: 16px/1.6 -apple-system, "Segoe UI", Roboto, \
"Helvetica Neue", "PingFang SC", "Microsoft YaHei", sans-serif; }}
h1, h2, h3 {{ line-height: 1.3; }}
a {{ color: #1d4ed8; }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid #e5e7eb; padding: 6px 12px 6px 0; text-align: left; }}
blockquote {{ margin: 0; padding-left: 16px; border-left: 3px solid #d1d5db; color: #4b5563; }}
img {{ max-width: 100%; }}
</style></head><body><div class="page">
{content}</div></body></html>
"""


class MarkupError(Exception):
    """`line` and `column` are those of the source, 0 where nobody knows."""

    def __init__(self, code: str, detail: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.line = line
        self.column = column


def html_of(body: str, body_format: str) -> str:
    """The HTML that is rendered, with its tags; empty for a plain text. Raises `MarkupError`."""
    return _COMPILERS[body_format](body)


# By default mails whose fonts merely name Roboto or Open Sans would fetch them from Google, and so
# tell it who reads. `<mj-font>` loads what an author asks for.
_RENDERING = mrml.RenderOptions(fonts={})


def compile_mjml(body: str) -> str:
    """Raises `MarkupError`."""
    marked = Marked(body)
    _check_nesting(marked)
    places = _inside(marked)

    for number, place in places.items():
        if place in _NO_PLACE and not _is_comment(marked.tags[number]):
            raise _lost_tag(marked, number)

    def shown(number: int) -> str:
        marker = marked.marker_of(number)
        return f"<mj-raw>{marker}</mj-raw>" if places[number] in _CONTAINERS else marker

    source = marked.rewrite(shown)
    try:
        compiled = mrml.to_html(source, render_options=_RENDERING).content
    except OSError as error:
        raise _mjml_error(str(error)) from error
    kept = set(marked.numbers(compiled))
    for number, tag in enumerate(marked.tags):
        if number not in kept and not _is_comment(tag):
            raise _lost_tag(marked, number)
    return marked.restore(compiled)


def _lost_tag(marked: Marked, number: int) -> MarkupError:
    line, column = position(marked.source, marked.offsets[number])
    tag = _short(marked.tags[number])
    detail = f"MJML has no place for {tag} here; put it into <mj-raw> or <mj-text>."
    return MarkupError("lost_tag", detail, line=line, column=column)


def _inside(marked: Marked) -> dict[int, str]:
    """The element that each tag stands in directly; empty if it is in an attribute."""
    found: dict[int, str] = {}
    stack: list[str] = []
    at = 0
    for element in [*marked.elements(), None]:
        end = element.start if element else len(marked.text)
        for number in marked.numbers(marked.text[at:end]):
            found[number] = stack[-1] if stack else ""
        if element is None:
            break
        for number in marked.numbers(marked.text[element.start : element.end]):
            found[number] = ""
        at = element.end
        if element.is_end:
            stack = stack[:-1]
        elif not element.is_empty and element.name not in VOID:
            stack.append(element.name)
    return found


def _check_nesting(marked: Marked) -> None:
    """MJML is XML: every element is closed, and none across another."""
    elements = _counted(marked)
    stack: list[tuple[str, int]] = []
    for element in elements:
        if element.name.startswith("mj-") and element.name not in MJML_ELEMENTS:
            raise _error_at(marked, element.start, f"MJML has no <{element.name}> here.")
        if element.is_end and element.name not in VOID:
            if not stack or stack[-1][0] != element.name:
                still = f"<{stack[-1][0]}> is still open" if stack else "nothing is open"
                raise _error_at(
                    marked, element.start, f"</{element.name}> closes nothing here: {still}."
                )
            stack.pop()
        elif not element.is_end and not element.is_empty and element.name not in VOID:
            stack.append((element.name, element.start))
            if len(stack) > MAX_DEPTH:
                raise _error_at(marked, element.start, f"More than {MAX_DEPTH} elements deep.")
    if stack:
        name, start = stack[-1]
        raise _error_at(marked, start, f"<{name}> is never closed.")


def _counted(marked: Marked) -> list[Element]:
    elements = marked.elements()
    if len(elements) > MAX_ELEMENTS:
        raise MarkupError("too_large", f"It has more than {MAX_ELEMENTS:,} elements.")
    for element in elements:
        words = marked.text[element.start : element.end].split(maxsplit=MAX_WORDS)
        if element.name not in VERBATIM and len(words) > MAX_WORDS:
            raise _error_at(marked, element.start, "This element has too many attributes.")
    return elements


def _error_at(marked: Marked, offset: int, detail: str) -> MarkupError:
    line, column = position(marked.source, marked.source_offset(offset))
    return MarkupError("invalid_markup", detail, line=line, column=column)


def _mjml_error(words: str) -> MarkupError:
    """Without a place: mrml counts bytes of what it was given, which is not what was written."""
    plain = words.replace(" in root template", "").replace("root template", "it")
    return MarkupError("invalid_markup", f"This is no MJML: {_AT.sub('', plain).strip()}.")


def _is_comment(tag: str) -> bool:
    return re.match(r"\{%-?\s*(?:comment\b|#)", tag) is not None


def _short(tag: str) -> str:
    return tag if len(tag) <= 40 else f"{tag[:37]}…"


def compile_markdown(body: str) -> str:
    """Raises `MarkupError`."""
    if len(body) > MAX_MARKDOWN:
        raise MarkupError("too_large", f"Markdown may have {MAX_MARKDOWN:,} characters.")
    marked = Marked(body)
    lines = marked.text.split("\n")
    # Of each block that is open: whether it began between two rows of a table.
    open_blocks: list[bool] = []
    for index, line in enumerate(lines):
        if not _is_tags_only(line, marked):
            continue
        # Alone on its line it is no text: in a table it is a row of its own, which is taken out
        # again, and elsewhere a comment, which ends no paragraph or list in the wrong place.
        is_row = [other.lstrip()[:1] for other in _neighbours(lines, index, marked)] == ["|", "|"]
        for number in marked.numbers(line):
            word = marked.tags[number].strip("{%- ").partition(" ")[0]
            if word in _OPENS:
                open_blocks.append(is_row)
            elif word in _GOES_ON and open_blocks:
                is_row = open_blocks[-1]
            elif word.startswith("end") and open_blocks:
                is_row = open_blocks.pop()
        if is_row:
            lines[index] = f"| {''.join(line.split())} |"
        else:
            lines[index] = marked.marker.sub(r"<!--\g<0>-->", line)
    content = _MARKDOWN.render("\n".join(lines))
    row = rf"<tr>\s*<td[^>]*>((?:{marked.prefix}\d+x)+)</td>(?:\s*<td[^>]*></td>)*\s*</tr>"
    content = re.sub(row, r"\1", content)
    return PAGE.format(content=marked.restore(content))


def _neighbours(lines: list[str], index: int, marked: Marked) -> list[str]:
    """The nearest lines above and below that are more than tags."""
    found = []
    for step in (-1, 1):
        at = index + step
        while 0 <= at < len(lines) and _is_tags_only(lines[at], marked):
            at += step
        found.append(lines[at] if 0 <= at < len(lines) else "")
    return found


def _is_tags_only(line: str, marked: Marked) -> bool:
    """Whether it holds `{% … %}` and nothing that prints, in whatever form the markers are now."""
    numbers = marked.numbers(line)
    rest = re.sub(r"<!--|-->", "", marked.marker.sub("", line)).strip(" \t|")
    return bool(numbers) and not rest and all(marked.is_block(number) for number in numbers)


_COMPILERS: dict[str, Callable[[str], str]] = {
    "html": lambda body: body,
    "mjml": compile_mjml,
    "markdown": compile_markdown,
    "text": lambda body: "",
}


def inline_styles(html: str) -> str:
    """With the rules of its `<style>` elements written into the elements, where that is possible:
    not where a condition decides about attributes. The `<style>` elements stay, for media queries.

    Raises `MarkupError`."""
    if "<style" not in html.lower():
        return html
    marked = Marked(html)
    _check_depth(marked)
    places = marked.places()
    if any(p is Place.ELEMENT and marked.is_block(n) for n, (p, _) in enumerate(places)):
        return html

    def shown(number: int) -> str:
        marker = marked.marker_of(number)
        return f"<!--{marker}-->" if places[number][0] is Place.TEXT else marker

    inlined = _INLINER.inline(marked.rewrite(shown))
    if marked.numbers(inlined) != list(range(len(marked.tags))):
        return html
    return marked.restore(inlined)


def _check_depth(marked: Marked) -> None:
    """For HTML, which may leave out end tags. Counted by name, and rather too much."""
    opened: dict[str, int] = {}
    for element in marked.elements():
        count = opened.get(element.name, 0)
        if element.is_end:
            opened[element.name] = max(0, count - 1)
        elif element.name not in VOID and not element.is_empty:
            opened[element.name] = count + 1
            if element.name in FORMATTING:
                formats = sum(n for name, n in opened.items() if name in FORMATTING)
                if formats > MAX_OPEN_FORMATS:
                    raise _error_at(marked, element.start, "Too many elements are left open.")
    _counted(marked)


def text_of(html: str) -> str:
    """The plain text of `html`, with its tags. Empty where nothing can be made of it."""
    marked = Marked(html)
    try:
        _counted(marked)
    except MarkupError:
        return ""
    # Tables lay out mails: as blocks their cells follow each other, and a loop between two rows
    # stays where it is, which no parser of HTML would leave it at.
    blocks = _TABLE_TAG.sub(_as_block, marked.text)
    text = get_text(blocks, ParserConfig(display_links=True)).strip()
    text = _LINK.sub(lambda link: _as_words(link, marked), text)
    lines = [line.strip() for line in text.split("\n")]
    # What prints nothing takes no line.
    shown = [line if _is_tags_only(line, marked) else f"{line}\n" for line in lines]
    return marked.restore(re.sub(r"\n{3,}", "\n\n", "".join(shown)).strip())


def _as_words(link: re.Match[str], marked: Marked) -> str:
    """`Go: https://…`, or the address alone where the link says nothing else."""
    words, address = link[1].strip(), link[2].removeprefix("mailto:")
    is_same = marked.restore(words) in ("", marked.restore(address))
    return address if is_same else f"{words}: {address}"


def _as_block(found: re.Match[str]) -> str:
    is_cell = found[2].lower() in {"td", "th"}
    name = "span" if is_cell else "div"
    return f" <{found[1]}{name}" if is_cell and not found[1] else f"<{found[1]}{name}"

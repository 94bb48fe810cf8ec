"""Links that would run something are made to lead nowhere."""

import html
import re

# What programs run or read locally. Everything else, `weixin://` for example, is left to editors.
DANGEROUS = frozenset(
    {
        *("about", "blob", "data", "file", "filesystem", "jar", "javascript", "livescript"),
        *("mocha", "vbscript", "view-source"),
    }
)
_IMAGES = ("data:image/png", "data:image/jpeg", "data:image/gif", "data:image/webp")
# Where a value begins with a letter of those, or with an entity. Possessive: linear on any text.
_CANDIDATE = re.compile(r"=[^\x21-\x7e]*+[\"']?[^\x21-\x7e]*+[&abdfjlmvABDFJLMV]")
_VALUE = re.compile(r"=\s*+(\"[^\"]*|'[^']*|[^\s\"'>]*)")
_IGNORED = re.compile("[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff]+")
# Attributes that hold an address.
_NAMES = ("href", "src", "action", "background", "poster", "cite", "data", "srcset")


def defuse(text: str) -> tuple[str, list[str]]:
    """`text` with `#` for every address that would run something, and the schemes of those."""
    pieces: list[str] = []
    found: list[str] = []
    at = 0
    for candidate in _CANDIDATE.finditer(text):
        start = candidate.start()
        name = text[max(0, start - 20) : start].rstrip().lower()
        if not name.endswith(_NAMES):
            continue
        value = _VALUE.match(text, start)
        if value is None or (scheme := _dangerous(value[1][:2000], name)) is None:
            continue
        found.append(scheme)
        quote = value[1][0] if value[1][0] in "\"'" else ""
        pieces += [text[at:start], f"={quote}#"]
        at = value.end()
    return ("".join([*pieces, text[at:]]) if found else text), found


def _dangerous(written: str, name: str) -> str | None:
    address = _IGNORED.sub("", html.unescape(written.lstrip("\"'"))).lower()
    scheme, colon, _ = address.partition(":")
    is_image = name.endswith(("src", "background")) and address.startswith(_IMAGES)
    return scheme if colon and scheme in DANGEROUS and not is_image else None

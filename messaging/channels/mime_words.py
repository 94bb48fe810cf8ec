"""Words of any language in headers that are ASCII (RFC 2047, RFC 2231)."""

import re
from base64 import b64encode
from urllib.parse import quote

# A line with an encoded word has at most 76 characters. 39 bytes make a word of 64.
LINE, WORD_BYTES = 76, 39
BREAKING = re.compile("[\x00\r\n]")
# What may stand between quotes as it is.
_QUOTABLE = re.compile(r"[ !#-\[\]-~]{1,60}")
# Of a percent-encoded value, in one line with its name; whole characters are kept together.
_PIECE = 48


def encoded_words(text: str) -> list[str]:
    """RFC 2047. Each word is whole characters, as it demands."""
    chunks = [b""]
    for character in unbroken(text):
        encoded = character.encode()
        if len(chunks[-1]) + len(encoded) > WORD_BYTES:
            chunks.append(b"")
        chunks[-1] += encoded
    return [f"=?utf-8?b?{b64encode(chunk).decode()}?=" for chunk in chunks]


def parameter(name: str, value: str) -> str:
    """`value` behind a header, in lines of its own; percent-encoded where it must be (RFC 2231)."""
    if _is_plain(value):
        return f';\r\n {name}="{value}"'
    pieces = [""]
    for character in unbroken(value):
        encoded = quote(character, safe="")
        if len(pieces[-1]) + len(encoded) > _PIECE:
            pieces.append("")
        pieces[-1] += encoded
    if len(pieces) == 1:
        return f";\r\n {name}*=utf-8''{pieces[0]}"
    first, *others = pieces
    lines = [f";\r\n {name}*0*=utf-8''{first}"]
    lines += [f";\r\n {name}*{number}*={piece}" for number, piece in enumerate(others, 1)]
    return "".join(lines)


def old_parameter(name: str, value: str) -> str:
    """The same for programs that never learnt RFC 2231: encoded words between quotes. Not in the
    standard, but what the large providers write and every reader takes."""
    if _is_plain(value):
        return f';\r\n {name}="{value}"'
    return f';\r\n {name}="' + "\r\n ".join(encoded_words(value)) + '"'


def unbroken(value: str) -> str:
    if BREAKING.search(value):
        raise ValueError("a line break or NUL in a header")
    return value


def _is_plain(value: str) -> bool:
    return bool(_QUOTABLE.fullmatch(value)) and "=?" not in value and value == value.strip()

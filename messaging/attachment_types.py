"""Which files may be attached: the end of the name says what a file claims to be, its first bytes
what it is, and both must be the same thing on the list.

A table of our own: what knows hundreds of formats (libmagic, puremagic, filetype) knows them by
guess, and cannot tell a document with macros from one without, or a calendar from any other text.
"""

import codecs
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from core.addresses import CONTROL

MAX_NAME = 150
# An Office file has at most so many parts, and so many bytes of their list.
MAX_PARTS, MAX_LIST = 10_000, 2_097_152
# Of a text, all is looked at, in pieces of this size.
PIECE = 65_536


class WrongFile(ValueError):
    """Says in one sentence what is wrong. `code` is public."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Kind:
    """`is_one` looks at the first bytes and, where they do not tell, at the file itself."""

    name: str
    endings: tuple[str, ...]
    content_type: str
    is_one: Callable[[bytes, IO[bytes]], bool]


def _starts(*signatures: bytes) -> Callable[[bytes, IO[bytes]], bool]:
    return lambda head, file: head.startswith(signatures)


def _is_webp(head: bytes, file: IO[bytes]) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def _office(folder: str) -> Callable[[bytes, IO[bytes]], bool]:
    """Office Open XML (ECMA-376): a zip archive with a list of its types and this folder. One with
    macros is another type, with an ending of its own (`.docm`)."""

    def is_one(head: bytes, file: IO[bytes]) -> bool:
        if not head.startswith(b"PK\x03\x04"):
            return False
        names = [name.lower() for name in _parts(file)]
        return (
            "[content_types].xml" in names
            and any(name.startswith(f"{folder}/") for name in names)
            and not any(name.endswith("vbaproject.bin") for name in names)
        )

    return is_one


def _open_document(kind: str) -> Callable[[bytes, IO[bytes]], bool]:
    """OpenDocument (part 2, section 3.3): the first part of the archive is its type, as it is."""
    signature = f"mimetypeapplication/vnd.oasis.opendocument.{kind}".encode()

    def is_one(head: bytes, file: IO[bytes]) -> bool:
        named = head[30 : 30 + len(signature) + 1]
        # Behind it the next part begins; "text-master" is another type.
        return head.startswith(b"PK\x03\x04") and named == signature + b"P"

    return is_one


def _is_text(head: bytes, file: IO[bytes]) -> bool:
    """No bytes that no text has, in whatever encoding, and nothing that something would run."""
    try:
        for number, piece in enumerate(_text_pieces(head, file)):
            if _NO_TEXT.search(piece) or (number == 0 and _RUNS.match(piece)):
                return False
    except UnicodeDecodeError:
        return False
    return True


def _text_pieces(head: bytes, file: IO[bytes]) -> Iterator[bytes]:
    """All of it, without its byte order mark; UTF-16 as UTF-8."""
    file.seek(0)
    pieces = iter(lambda: file.read(PIECE), b"")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        decoder = codecs.getincrementaldecoder("utf-16")()
        for piece in pieces:
            yield decoder.decode(piece).encode("utf-8", "surrogatepass")
        decoder.decode(b"", final=True)
    else:
        yield next(pieces).removeprefix(b"\xef\xbb\xbf")
        yield from pieces


def _is_calendar(head: bytes, file: IO[bytes]) -> bool:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return start[:15].upper() == b"BEGIN:VCALENDAR" and _is_text(head, file)


_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_RUNS = re.compile(
    rb"\s*(?:#!|<\s*(?:!doctype|html|head|body|script|svg|iframe|\?xml|\?php))", re.IGNORECASE
)
_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN = "application/vnd.oasis.opendocument."

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("pdf", (".pdf",), "application/pdf", _starts(b"%PDF-")),
        Kind("png", (".png",), "image/png", _starts(b"\x89PNG\r\n\x1a\n")),
        Kind("jpeg", (".jpg", ".jpeg"), "image/jpeg", _starts(b"\xff\xd8\xff")),
        Kind("gif", (".gif",), "image/gif", _starts(b"GIF87a", b"GIF89a")),
        Kind("webp", (".webp",), "image/webp", _is_webp),
        Kind("docx", (".docx",), f"{_OFFICE}wordprocessingml.document", _office("word")),
        Kind("xlsx", (".xlsx",), f"{_OFFICE}spreadsheetml.sheet", _office("xl")),
        Kind("pptx", (".pptx",), f"{_OFFICE}presentationml.presentation", _office("ppt")),
        Kind("odt", (".odt",), f"{_OPEN}text", _open_document("text")),
        Kind("ods", (".ods",), f"{_OPEN}spreadsheet", _open_document("spreadsheet")),
        Kind("odp", (".odp",), f"{_OPEN}presentation", _open_document("presentation")),
        Kind("txt", (".txt",), "text/plain", _is_text),
        Kind("csv", (".csv",), "text/csv", _is_text),
        Kind("ics", (".ics",), "text/calendar", _is_calendar),
        # Only where an installation asks for it: nobody looks into it.
        Kind("zip", (".zip",), "application/zip", _starts(b"PK\x03\x04", b"PK\x05\x06")),
    )
}
DEFAULT = tuple(name for name in KINDS if name != "zip")

# What is often called something else. For the words of the refusal only.
_LOOKS_LIKE: tuple[tuple[bytes, str], ...] = (
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"#!", "a script"),
    (b"PK\x03\x04", "a zip archive, or an Office file of another type or with macros"),
    (b"\xd0\xcf\x11\xe0", "an old Office file"),
    (b"%PDF-", "a PDF"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
)


def check_name(name: str) -> None:
    """Raises `WrongFile` for what would not stay one plain name on somebody's disk or screen."""
    if CONTROL.search(name) or "\ufffd" in name:
        raise WrongFile(
            "control_characters",
            "Its name holds control characters, direction overrides, or is not UTF-8.",
        )
    if len(name) > MAX_NAME or len(name.encode()) > 240:
        raise WrongFile("too_long", f"Its name is longer than {MAX_NAME} characters or 240 bytes.")
    if "/" in name or "\\" in name or ".." in name:
        raise WrongFile("invalid_filename", "Its name holds a path. Send the name alone.")
    # Also the spaces of other scripts, which would look like no name at all.
    if name != name.strip() or name != name.strip(".") or re.search(r'[<>:"|?*]', name):
        raise WrongFile(
            "invalid_filename",
            'Its name starts or ends with a space or dot, or holds one of < > : " | ? *',
        )


def kind_of(name: str, file: IO[bytes], *, allowed: tuple[str, ...]) -> Kind:
    """What `file` is, by its name and its content, which must agree. Raises `WrongFile`."""
    ending = re.search(r"\.[A-Za-z0-9]{1,10}$", name)
    kinds = [KINDS[kind] for kind in allowed]
    kind = next((k for k in kinds if ending and ending[0].lower() in k.endings), None)
    if kind is None:
        endings = " ".join(end for known in kinds for end in known.endings)
        raise WrongFile("type_not_allowed", f"Its name must end in one of: {endings}")
    file.seek(0)
    head = file.read(4096)
    if not kind.is_one(head, file):
        looks = next((words for start, words in _LOOKS_LIKE if head.startswith(start)), "")
        found = f"it is {looks}" if looks else "its content is none"
        raise WrongFile("type_mismatch", f"It is called {kind.endings[0]}, but {found}.")
    return kind


def _parts(file: IO[bytes]) -> list[str]:
    """Names of the parts of a zip archive, from the list at its end (APPNOTE 4.3.12, 4.3.16); none
    if that is damaged or far too long. `zipfile` would read a list of any length."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_557))
    end = file.read()
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or len(end) - at < 22:
        return []
    length, start = struct.unpack_from("<II", end, at + 12)
    if length > MAX_LIST or start + length > size:
        return []
    file.seek(start)
    listed = file.read(length)
    names: list[str] = []
    at = 0
    while at < length:
        if listed[at : at + 4] != b"PK\x01\x02" or at + 46 > length or len(names) == MAX_PARTS:
            return []
        name, extra, comment = struct.unpack_from("<HHH", listed, at + 28)
        names.append(listed[at + 46 : at + 46 + name].decode("utf-8", "replace"))
        at += 46 + name + extra + comment
    return names

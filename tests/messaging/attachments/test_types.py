"""The end of a name says what a file claims to be; its bytes must be that."""

import contextlib
import io
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.attachment_types import DEFAULT, KINDS, MAX_PARTS, WrongFile, kind_of
from notification_platform.attachment_storage import TYPES
from tests.messaging.attachments.files import (
    CALENDAR,
    EXE,
    JPEG,
    PDF,
    PNG,
    document,
    open_document,
    zipped,
)

GENUINE = {
    "a.pdf": PDF,
    "a.PDF": PDF,
    "a.png": PNG,
    "a.jpg": JPEG,
    "a.jpeg": JPEG,
    "a.gif": b"GIF89a" + bytes(20),
    "a.webp": b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(20),
    "a.docx": document("word"),
    "a.xlsx": document("xl"),
    "a.pptx": document("ppt"),
    "a.odt": open_document("text"),
    "a.ods": open_document("spreadsheet"),
    "a.odp": open_document("presentation"),
    "a.txt": "Größe 你好\r\n\tx".encode(),
    "b.txt": b"\xef\xbb\xbfwith a mark",
    "c.txt": "你好".encode("gb18030"),
    "a.csv": "名称;1\n".encode("utf-16"),
    "b.csv": b"caf\xe9;1\n",
    "a.ics": CALENDAR,
    "b.ics": b"\xef\xbb\xbf\r\n" + CALENDAR.lower(),
}


@pytest.mark.parametrize("name", GENUINE)
def test_what_it_claims_to_be_is_taken(name):
    kind = kind_of(name, io.BytesIO(GENUINE[name]), allowed=DEFAULT)

    assert name.lower().endswith(kind.endings)


FALSE = {
    "a program": ("invoice.pdf", EXE),
    "a Linux program": ("invoice.png", b"\x7fELF" + bytes(60)),
    "a program that begins as a PDF does, but later": ("invoice.pdf", EXE + PDF),
    "a program as text": ("notes.txt", EXE),
    "a script as text": ("notes.txt", b"#!/bin/sh\nrm -rf ~\n"),
    "a page as text": ("notes.txt", b"\n <!DOCTYPE html><script>alert(1)</script>"),
    "a page in UTF-16": ("notes.txt", "<html><script>".encode("utf-16")),
    "a page behind a mark": ("table.csv", b"\xef\xbb\xbf<script>"),
    "a picture that runs": ("notes.txt", b"<svg onload=alert(1)>"),
    "text with a NUL far behind": ("table.csv", b"a;b\n" * 50_000 + b"\x00"),
    "half of UTF-16": ("table.csv", b"\xff\xfea"),
    "text as a calendar": ("date.ics", b"hello"),
    "another picture": ("a.png", JPEG),
    "a plain archive as a document": ("a.docx", zipped("setup.exe")),
    "a document with macros": ("a.docx", document("word", "word/vbaProject.bin")),
    "a table as a document": ("a.docx", document("xl")),
    "an archive that breaks off": ("a.docx", document("word")[:-30]),
    "a template": ("a.odt", open_document("text-template")),
    "a sound in the same shell": ("a.webp", b"RIFF\x10\x00\x00\x00WAVEfmt "),
    "nothing behind the first bytes": ("a.docx", b"PK\x03\x04"),
}


@pytest.mark.parametrize(("name", "data"), FALSE.values(), ids=FALSE.keys())
def test_what_it_is_not_is_refused(name, data):
    with pytest.raises(WrongFile) as refused:
        kind_of(name, io.BytesIO(data), allowed=DEFAULT)

    assert refused.value.code == "type_mismatch"


def test_the_refusal_says_what_it_is():
    with pytest.raises(WrongFile, match=r"It is called \.pdf, but it is a Windows program\."):
        kind_of("invoice.pdf", io.BytesIO(EXE), allowed=DEFAULT)


def test_archives_are_taken_where_the_installation_asks_for_them():
    archive = io.BytesIO(zipped("a"))

    with pytest.raises(WrongFile, match="must end in one of"):
        kind_of("a.zip", archive, allowed=DEFAULT)

    assert kind_of("a.zip", archive, allowed=("zip",)).content_type == "application/zip"


def test_what_settings_allow_by_default_are_the_kinds_that_there_are():
    assert TYPES == DEFAULT
    assert set(DEFAULT) < set(KINDS)


@pytest.mark.parametrize("parts", [MAX_PARTS + 1, 40_000])
def test_an_archive_of_countless_parts_costs_little_and_is_refused(parts):
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *[0] * 9, 1, *[0] * 6) + b"a"
    listed = entry * parts
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0, 0, len(listed), 30, 0)
    file = io.BytesIO(b"PK\x03\x04".ljust(30, b"\x00") + listed + end)

    tracemalloc.start()
    with pytest.raises(WrongFile):
        kind_of("a.docx", file, allowed=DEFAULT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 5_000_000


@given(st.sampled_from(sorted(GENUINE)), st.binary(max_size=300), st.integers(0, 400))
def test_whatever_is_sent_is_taken_or_refused(name, noise, at):
    genuine = GENUINE[name]
    data = (genuine[:at] + noise + genuine[at + len(noise) :]) or b"x"

    for claimed in ("a.docx", "a.odt", name):
        with contextlib.suppress(WrongFile):
            kind_of(claimed, io.BytesIO(data), allowed=DEFAULT)

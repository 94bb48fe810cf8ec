"""Files in what we write ourselves, held against the standard library's parser."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from email.message import MIMEPart
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messaging.channels.base import Attachment
from messaging.channels.mime import serialize
from tests.messaging.channels.outbound import make_outbound
from tests.messaging.channels.reading import body, lines_as_read, people, read, text_header

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PDF = Attachment("report.pdf", "application/pdf", b"%PDF\x00\r\n.\r\n\n\r\xff" * 50)
LOGO = Attachment("logo.png", "image/png", b"\x89PNG\r\n\x1a\n", content_id="logo@example.com")


def write(*attachments: Attachment, **content: Any) -> bytes:
    data = serialize(
        replace(make_outbound(**content), attachments=attachments),
        from_name="",
        from_address="sender@example.com",
        date=NOON,
    )
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data)
    assert max(map(len, data.split(b"\r\n"))) <= 78
    data.decode("ascii")
    return data


def shape(part: MIMEPart) -> Any:
    """The content types, nested as the parts are."""
    if part.is_multipart():
        return part.get_content_subtype(), [shape(inner) for inner in part.iter_parts()]
    return part.get_content_type()


def files(data: bytes) -> list[tuple[str | None, str, bytes, str]]:
    """Name, content type, bytes and content id of every part that is no body."""
    return [
        (
            # `get_filename()` takes white space off its ends.
            part["Content-Disposition"].params.get("filename"),
            part.get_content_type(),
            bytes(part.get_payload(decode=True)),
            (part["Content-ID"] or "").strip("<>"),
        )
        for part in read(data).walk()
        if part.get_content_disposition() is not None
    ]


def as_tuple(one: Attachment) -> tuple[str | None, str, bytes, str]:
    return one.filename or None, one.content_type, one.data, one.content_id


@pytest.mark.parametrize(
    ("content", "attachments", "expected"),
    [
        ({"text": "a"}, [PDF], ("mixed", ["text/plain", "application/pdf"])),
        (
            {"text": "a", "html": "<b>"},
            [PDF],
            ("mixed", [("alternative", ["text/plain", "text/html"]), "application/pdf"]),
        ),
        ({"html": "<b>"}, [LOGO], ("related", ["text/html", "image/png"])),
        (
            {"text": "a", "html": "<b>"},
            [LOGO],
            ("alternative", ["text/plain", ("related", ["text/html", "image/png"])]),
        ),
        (
            {"text": "a", "html": "<b>"},
            [PDF, LOGO],
            (
                "mixed",
                [
                    ("alternative", ["text/plain", ("related", ["text/html", "image/png"])]),
                    "application/pdf",
                ],
            ),
        ),
        ({"text": "a"}, [LOGO], ("mixed", ["text/plain", "image/png"])),
    ],
)
def test_what_is_shown_lies_beside_the_html_and_the_rest_at_the_end(content, attachments, expected):
    message = read(write(*attachments, **content))

    assert shape(message) == expected
    assert files(message.as_bytes()) != []


def test_an_inline_file_is_inline_and_found_by_its_id():
    data = write(LOGO, html='<img src="cid:logo@example.com">')

    (part,) = (one for one in read(data).walk() if one.get_content_type() == "image/png")
    assert part.get_content_disposition() == "inline"
    assert part["Content-ID"] == "<logo@example.com>"


@pytest.mark.parametrize(
    "filename",
    [
        "发票 2026年11月.pdf",
        "很长的文件名" * 40 + ".pdf",
        "x" * 300 + ".pdf",
        'a "quoted" \\ name; filename="b".exe',
        "100%'en'.txt",
        "=?utf-8?q?hi?=.txt",
        " leading and trailing ",
        "🎉" * 30,
        "",
    ],
)
def test_a_file_keeps_its_name(filename):
    data = write(replace(PDF, filename=filename))

    assert files(data)[0][0] == (filename or None)


def test_a_program_that_never_learnt_rfc_2231_finds_the_name_as_well():
    data = write(replace(PDF, filename="发票.pdf"))

    assert b'name="=?utf-8?b?5Y+R56WoLnBkZg==?="' in data


@pytest.mark.parametrize("content_type", ["message/rfc822", "multipart/mixed"])
def test_a_file_that_is_made_of_parts_is_not_taken_apart(content_type):
    mail = Attachment("mail.eml", content_type, b"Subject: x\r\n\r\n.\r\n")

    ((_, kind, found, _),) = files(write(mail))

    assert (kind, found) == ("application/octet-stream", mail.data)


@pytest.mark.parametrize(
    "change",
    [
        {"filename": "a\r\nBcc: eve@example.com"},
        {"filename": "a\x00b"},
        {"filename": "\ud83c"},
        {"content_type": ""},
        {"content_type": "image"},
        {"content_type": "image/png\r\nBcc: eve@example.com"},
        {"content_type": "image/png; name=x"},
        {"content_id": "a>\r\nBcc: eve@example.com"},
        {"content_id": "ä"},
    ],
)
def test_a_file_that_cannot_be_described_is_refused(change):
    with pytest.raises(ValueError, match=r"."):
        write(replace(LOGO, **change))


IN_BODIES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
DOTTED = st.lists(st.sampled_from([".", "..", "\n", "\r", "\r\n", ".a", "é", "x" * 90])).map(
    "".join
)
IN_HEADERS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=120)
ATTACHMENTS = st.builds(
    Attachment,
    filename=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\n"), max_size=120
    ),
    content_type=st.sampled_from(
        ["application/pdf", "text/plain", "text/html", "image/png", "a/b"]
    ),
    data=st.binary(max_size=3000) | st.sampled_from([b".\r\n", b"\r\n.\r\n", b"\n", b"\r"]),
    content_id=st.just("") | st.from_regex(r"[a-z0-9.]{1,20}@[a-z]{1,20}", fullmatch=True),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    subject=IN_HEADERS,
    name=IN_HEADERS,
    html=IN_BODIES | DOTTED,
    text=IN_BODIES | DOTTED,
    attachments=st.lists(ATTACHMENTS, max_size=4),
)
def test_what_is_written_is_read_back_the_same(subject, name, html, text, attachments):
    data = write(
        *attachments, subject=subject, to=[(name, "ann@example.com")], html=html, text=text
    )

    assert text_header(data, "Subject") == subject
    assert people(data, "To") == [(name, "ann@example.com")]
    if html:
        assert body(data, "html") == lines_as_read(html)
    if text:
        assert body(data, "plain") == lines_as_read(text)
    assert sorted(files(data), key=repr) == sorted(map(as_tuple, attachments), key=repr)

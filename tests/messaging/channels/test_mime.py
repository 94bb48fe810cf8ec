import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messaging.channels.mime import serialize
from tests.messaging.channels.outbound import make_outbound
from tests.messaging.channels.reading import body, lines_as_read, people, read, text_header

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
ONE_ADDRESS = re.compile(rb"(?:[A-Z][A-Za-z-]*:)? <?[^\s@]+@[^\s@]+")
LONG_NAMES = [
    "王小明" * 60,
    "王, 小明; <x> " * 10 + "end",
    'A, very "long" name \\ of a company ' * 8 + "end",
    "x" * 300,
    "é, " * 40 + "end",
    "🎉 party " * 30 + "end",
]
ODD_TEXTS = ["a\x0cb", "a\u2028b\u2029c", "a\x85b", "a\x0bb\x1cc", "\ufeffa\u200bb\u00a0c\u3000d"]


def write(*, from_name: str = "", **content: Any) -> bytes:
    data = serialize(
        make_outbound(**content),
        from_name=from_name,
        from_address="sender@example.com",
        date=NOON,
    )
    assert not BARE.search(data)
    # RFC 5322 asks for 78 at most and demands 998: one long address cannot be folded.
    long_lines = [line for line in data.split(b"\r\n") if len(line) > 78]
    assert all(ONE_ADDRESS.fullmatch(line) for line in long_lines)
    data.decode("ascii")
    return data


def test_an_email_has_the_headers_of_one():
    data = write(
        from_name="Sender, Inc.",
        to=[("Ann", "ann@example.com"), ("", "bob@example.com")],
        cc=[("Cid", "cid@example.com")],
        reply_to=[("", "desk@example.com")],
    )

    message = read(data)
    assert people(data, "From") == [("Sender, Inc.", "sender@example.com")]
    assert people(data, "To") == [("Ann", "ann@example.com"), ("", "bob@example.com")]
    assert people(data, "Cc") == [("Cid", "cid@example.com")]
    assert people(data, "Reply-To") == [("", "desk@example.com")]
    assert message["Date"] == "Sun, 22 Nov 2026 12:00:00 +0000"
    assert message["Message-ID"] == "<message-1@notifications.example.com>"
    assert message["X-Notification-Attempt"] == "attempt-1"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["MIME-Version"] == "1.0"


def test_blind_copies_are_nowhere_in_the_bytes():
    data = write(bcc=[("Eve", "eve@example.com")])

    assert b"eve" not in data.lower()
    assert b"bcc" not in data.lower()


@pytest.mark.parametrize("name", LONG_NAMES)
def test_a_long_name_stays_one_name_of_one_recipient(name):
    data = write(from_name=name, to=[(name, "ann@example.com"), ("Bob", "bob@example.com")])

    assert people(data, "To") == [(name, "ann@example.com"), ("Bob", "bob@example.com")]
    assert people(data, "From") == [(name, "sender@example.com")]


@pytest.mark.parametrize("subject", ["x" * 1000, "word " * 300 + "end", "通知 " * 300 + "完"])
def test_a_long_subject_is_folded_and_stays_whole(subject):
    data = write(subject=subject)

    assert read(data)["Subject"] == subject


@pytest.mark.parametrize("text", ["=?utf-8?q?hi?=", "a  b", " a ", "", *ODD_TEXTS])
def test_an_odd_subject_is_read_as_it_was_written(text):
    data = write(subject=text, to=[(text, "ann@example.com")])

    assert text_header(data, "Subject") == text
    assert people(data, "To") == [(text, "ann@example.com")]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_characters_in_a_body_do_not_break_lines(text):
    data = write(html=text, text=text)

    assert (body(data, "html"), body(data, "plain")) == (text, text)


@pytest.mark.parametrize(
    "text", ["a\n.\nb", "a\r\n.\r\nb", "a\r.\rb", ".", "..", "\n.\r\nMAIL FROM:<x@example.com>"]
)
def test_lone_line_breaks_become_whole_ones(text):
    data = write(text=text)

    assert body(data, "plain") == lines_as_read(text)


def test_a_body_may_be_empty():
    data = write(html="", text="")

    assert body(data, "plain") == ""


def test_html_and_text_are_alternatives_with_html_last():
    message = read(write(html="<p>Hello</p>", text="Hello"))

    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize("line", ["hello wörld ", "hello world ", "你好，世界", "\x0c"])
def test_a_body_of_one_line_of_300_kb_is_read_as_it_was_written(line):
    html = "<p>" + line * (300_000 // len(line)) + "</p>"

    data = write(html=html)

    assert body(data, "html") == html


@pytest.mark.parametrize("text", ["a\nBcc: eve@example.com", "a\rb", "a\r\n\r\nbody", "a\x00b"])
@pytest.mark.parametrize("field", ["subject", "name", "from_name", "message_id"])
def test_a_line_break_in_a_header_is_refused(text, field):
    outbound = make_outbound(
        subject=text if field == "subject" else "Hello",
        to=[(text if field == "name" else "Ann", "ann@example.com")],
    )
    if field == "message_id":
        outbound = type(outbound)("attempt-1", text, outbound.content)

    with pytest.raises(ValueError, match="line break or NUL"):
        serialize(
            outbound,
            from_name=text if field == "from_name" else "",
            from_address="sender@example.com",
            date=NOON,
        )


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@example.com\r\nRCPT TO:<eve@example.com>",
        "ann@example.com> SIZE=1",
        "ann@example.com, eve@example.com",
        "ann lee@example.com",
        '"ann"@example.com',
        "ann@bob@example.com",
        "änn@example.com",
        "ann@exämple.com",
        "ann\x00@example.com",
    ],
)
@pytest.mark.parametrize("role", ["to", "cc", "bcc", "reply_to"])
def test_what_is_no_address_is_refused_in_every_role(address, role):
    with pytest.raises(ValueError, match="address"):
        write(from_name="", **{role: [("", address)]})


def test_half_a_surrogate_pair_is_refused():
    for part in ("subject", "html", "text"):
        with pytest.raises(ValueError, match="surrogates"):
            write(**{part: "\ud83c"})


# Any Unicode; in headers without control characters.
IN_BODIES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
IN_HEADERS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)
ADDRESSES = st.from_regex(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9]{1,60}\.[a-z]{2,8}", fullmatch=True
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    subject=IN_HEADERS,
    to=st.lists(st.tuples(IN_HEADERS, ADDRESSES), min_size=1, max_size=4),
    from_name=IN_HEADERS,
    html=IN_BODIES,
    text=IN_BODIES,
)
def test_what_is_written_is_read_back_the_same(subject, to, from_name, html, text):
    data = write(subject=subject, to=to, from_name=from_name, html=html, text=text)

    assert text_header(data, "Subject") == subject
    assert people(data, "To") == to
    assert people(data, "From") == [(from_name, "sender@example.com")]
    if html:
        assert body(data, "html") == lines_as_read(html)
    if text:
        assert body(data, "plain") == lines_as_read(text)

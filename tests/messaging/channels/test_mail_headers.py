"""Further headers of a mail: written, folded, encoded, and given to providers."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messaging.channels.anymail_email import BACKENDS, AnymailEmail
from messaging.channels.base import PermanentFailure
from messaging.channels.mail_headers import LISTED, is_taken, spelled
from messaging.channels.mime import serialize
from tests.messaging.channels.outbound import make_account, make_outbound
from tests.messaging.channels.reading import raw_header, read, text_header
from tests.messaging.channels.test_settings import settings_for

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
LINK = "<https://example.com/unsubscribe?token=" + "a1B2-" * 30 + ">"
NEWSLETTER = {
    "List-Unsubscribe": f"{LINK}, <mailto:leave@example.com>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "List-Id": '"Our news" <news.example.com>',
    "References": " ".join(f"<message-{number}@example.com>" for number in range(20)),
    "X-Customer": "王小明, Köln",
    "X-Token": "t" * 900,
}


def write(headers: dict[str, str]) -> bytes:
    data = serialize(
        make_outbound(headers=headers), from_name="", from_address="s@example.com", date=NOON
    )
    data.decode("ascii")
    assert not BARE.search(data)
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))
    return data


def test_headers_are_written_and_what_programs_read_is_neither_encoded_nor_broken():
    data = write(NEWSLETTER)

    read(data)
    for name in NEWSLETTER.keys() - {"X-Customer"}:
        assert raw_header(data, name) == NEWSLETTER[name]
    assert text_header(data, "X-Customer") == "王小明, Köln"
    assert LINK.encode() in data


def test_auto_submitted_is_said_once():
    ours, theirs = write({}), write({"Auto-Submitted": "no"})

    assert read(ours).get_all("Auto-Submitted") == ["auto-generated"]
    assert read(theirs).get_all("Auto-Submitted") == ["no"]


@pytest.mark.parametrize("name", ["Bcc", "From", "Content-Type", "X-A\r\nBcc", "X-", "X A", ""])
def test_a_header_that_callers_may_not_give_is_not_written(name):
    with pytest.raises(ValueError, match="may not be given"):
        write({name: "eve@example.com"})


@pytest.mark.parametrize("value", ["a\r\nBcc: eve@example.com", "a\nb", "a\rb", "a\x00b"])
@pytest.mark.parametrize("name", ["X-Note", "List-Id"])
def test_a_value_with_a_line_break_is_not_written(name, value):
    with pytest.raises(ValueError, match="line break or NUL"):
        write({name: value})


NAMES = st.one_of(
    st.sampled_from(LISTED), st.from_regex(r"[Xx]-[A-Za-z0-9][A-Za-z0-9-]{0,57}", fullmatch=True)
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=900),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=900),
).filter(str.strip)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(headers=st.dictionaries(NAMES, TEXTS, max_size=20))
def test_what_is_written_is_read_back_the_same(headers):
    # As requests are read: no name twice, listed ones in ASCII, no space around values.
    given_ = {name.lower(): (name, value.strip()) for name, value in headers.items()}
    kept = {
        name: value
        for name, value in given_.values()
        if spelled(name) not in LISTED or value.isascii()
    }

    data = write(kept)

    plain = {name.lower() for name in read(write({}))}
    assert {name.lower() for name in read(data)} == plain | {name.lower() for name in kept}
    for name, value in kept.items():
        if spelled(name) in LISTED:
            assert raw_header(data, name) == " ".join(value.split())
        else:
            assert text_header(data, name) == value


def test_over_smtp_they_arrive(server, smtp_email):
    smtp_email.send(make_outbound(headers=NEWSLETTER))

    (mail,) = server.mails
    assert raw_header(mail.data, "List-Unsubscribe") == NEWSLETTER["List-Unsubscribe"]
    assert text_header(mail.data, "X-Customer") == "王小明, Köln"


def test_a_provider_gets_them_in_ascii(start_provider):
    provider, adapter = start_provider("postmark")

    adapter.send(make_outbound(headers=NEWSLETTER))

    (sent,) = provider.sent
    got = {header["Name"]: header["Value"] for header in sent["Headers"]}
    assert got.keys() == NEWSLETTER.keys() | {"Message-ID"}
    assert got["List-Unsubscribe"] == NEWSLETTER["List-Unsubscribe"]
    assert text_header(f"X: {got['X-Customer']}\r\n\r\n".encode("ascii"), "X") == "王小明, Köln"


def test_brevo_would_send_8_bits_so_it_gets_ascii_only(start_provider):
    provider, adapter = start_provider("brevo")
    adapter.send(make_outbound(headers={"X-Customer": "Wang"}))

    with pytest.raises(PermanentFailure) as caught:
        adapter.send(make_outbound(headers=NEWSLETTER))

    assert "X-Customer" in caught.value.words
    assert [sent["headers"]["X-Customer"] for sent in provider.sent] == ["Wang"]


@pytest.mark.parametrize("name", ["Bcc", "X-A\r\nBcc", "Reply-To"])
def test_a_provider_is_not_asked_to_write_a_header_that_callers_may_not_give(start_provider, name):
    provider, adapter = start_provider("postmark")

    with pytest.raises(PermanentFailure) as caught:
        adapter.send(make_outbound(headers={name: "eve@example.com"}))

    assert caught.value.phase == "serialize"
    assert provider.sent == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_takes_them(backend):
    adapter = AnymailEmail(make_account(*settings_for(backend)))
    outbound = make_outbound(
        headers={"List-Unsubscribe": "<https://example.com/u>", "X-Order": "4711"}
    )
    built = adapter._open()

    payload = built.build_message_payload(adapter._message(outbound), built.send_defaults)

    request = str(payload.get_request_params(built.api_url))
    assert "<https://example.com/u>" in request
    assert "X-Order" in request
    adapter.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_name_that_a_provider_sets_by_itself_is_free(backend):
    """What Anymail puts into the mail of its own accord, with everything that we ask of it."""
    adapter = AnymailEmail(make_account(*settings_for(backend)))
    message = adapter._message(make_outbound(text="Hello"))
    built = adapter._open()

    payload = built.build_message_payload(message, built.send_defaults)

    request = str(payload.get_request_params(built.api_url))
    set_by_it = set(re.findall(r"\b[Xx]-[A-Za-z0-9-]+", request))
    assert not {name for name in set_by_it if not is_taken(name)}
    adapter.close()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "X-Notification-Attempt",
            "x-attempt-id",
            "X-Mailgun-Tag",
            "X-SES-MESSAGE-TAGS",
            "X-PM-Tag",
        ),
        *("X-MC-Tags", "X-MJ-CustomID", "X-SMTPAPI", "X-MSYS-API", "X-Mailin-custom", "X-Metadata"),
        *("X-Spam-Status", "X-MS-Exchange-Organization-SCL", "X-Request-ID"),
    ],
)
def test_names_of_providers_and_of_ours_are_taken(name):
    assert is_taken(name)


@pytest.mark.parametrize("name", ["X-Priority", "X-Order", "X-Messages", "X-Mine"])
def test_other_names_are_free(name):
    assert not is_taken(name)

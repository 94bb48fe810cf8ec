"""What schemathesis cannot know: how things of our own formats look, and rules between values.

It is loaded by the tool (`hooks` in `schemathesis.toml`), not by the tests."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis
from hypothesis import strategies as st

_LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
_LOCAL = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[A-Za-z0-9]{1,8})?", fullmatch=True)
_DOMAIN = st.one_of(
    st.lists(_LABEL, min_size=2, max_size=4).map(".".join),
    st.sampled_from(["例え.jp", "münchen.example", "почта.example", "localhost"]),
)
_ADDRESS = st.builds("{}@{}".format, _LOCAL, _DOMAIN)
_NAME = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters='<>"=?'), max_size=30
)
_MAILBOX = st.one_of(_ADDRESS, st.builds("{} <{}>".format, _NAME, _ADDRESS))


def _moment(minutes: int) -> str:
    """Within the year that a message may be planned ahead."""
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1, minutes=minutes)
    return at.isoformat()


# Mobile numbers of the mainland, as they are written.
_NUMBER = st.from_regex(r"(\+86)?1[38][0-9]{9}", fullmatch=True)

schemathesis.openapi.format("mailbox", _MAILBOX)
schemathesis.openapi.format("telephone", _NUMBER)
schemathesis.openapi.format("address", _ADDRESS)
schemathesis.openapi.format(
    "time-zone", st.sampled_from(["UTC", "Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata"])
)
schemathesis.openapi.format(
    "webhook-url",
    st.builds("https://{}.example{}".format, _LABEL, st.sampled_from(["", "/", ":8443/a?b=c"])),
)
# What may be uploaded: by what its first bytes say, and the tool names it accordingly.
for _kind, _head in (
    ("application/pdf", b"%PDF-1.7\n"),
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff\xe0"),
    ("image/gif", b"GIF89a"),
):
    schemathesis.openapi.media_type(_kind, st.binary(max_size=200).map(_head.__add__))
schemathesis.openapi.format("date-time", st.integers(0, 360 * 24 * 60).map(_moment))
schemathesis.openapi.format(
    "cursor",
    st.binary(min_size=16, max_size=16).map(
        lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    ),
)

# Why a request may be refused whose values are all well-formed: (pointer, code), "*" for any. All
# of these are rules between values or about their meaning, which no JSON schema says. Any other
# refusal of what the document allows is a failure.
_RULES = {
    # The recipients of to, cc and bcc together.
    ("/to", "too_many"),
    # Numbers that nobody has, by the plans of their country; senders that there are not; what must
    # be alone among recipients.
    ("/to", "invalid_number"),
    ("/to", "country_not_allowed"),
    ("/to", "unknown_sender"),
    ("/to/0", "unknown_sender"),
    ("/to", "conflict"),
    # Of other channels than e-mail an address is another thing.
    ("?address", "invalid_address"),
    ("?address", "invalid_number"),
    ("?address", "invalid_recipient"),
    ("/address", "invalid_address"),
    ("/address", "invalid_number"),
    ("/address", "invalid_recipient"),
    # Providers count bytes, and each robot and member has rules of its own.
    *(("/content", code) for code in ("max_length", "blank", "invalid")),
    *(("/message_type", code) for code in ("invalid", "conflict")),
    # The order of two times, and a year from now.
    ("*", "invalid_moment"),
    # A zone that there is not.
    ("?time_zone", "invalid"),
    # A page or a cursor; a page is as deep as 10,000 rows, of whatever size.
    ("?cursor", "invalid_parameter"),
    ("?page", "invalid_parameter"),
    # The key in the header and the one in the body.
    ("/idempotency_key", "conflict"),
    # No string may hold NUL; the document says so once, in words.
    ("*", "unstorable_character"),
    ("*", "null_characters_not_allowed"),
    # Files that were uploaded before, each once.
    ("*", "unknown_attachment"),
    ("*", "duplicate"),
    # A batch's own fields inside its defaults.
    ("/defaults", "conflict"),
    # What a file is, by its name and its content.
    *(("/file", code) for code in ("type_not_allowed", "type_mismatch", "empty", "invalid")),
    # The name of a path.
    ("/code", "invalid_code"),
    # What does not go with a template's channel.
    *(("/provider_parameters", code) for code in ("conflict", "blank")),
    ("/body_format", "conflict"),
    # A template's text and what it makes of the variables.
    *(("/subject", code) for code in ("blank", "too_large", "long", "control_characters")),
    *(("/body", code) for code in ("blank", "too_large", "control_characters")),
    ("/text", "control_characters"),
    # And what it makes of the variables: one line again.
    *(("/variables", c) for c in ("blank", "too_large", "max_length", "control_characters")),
    *(
        ("*", code)
        for code in (
            *("syntax_error", "unknown_filter", "invalid_markup", "lost_tag", "not_renderable"),
            *("unsafe_place", "unsafe_url", "invalid_schema", "undefined_variable"),
        )
    ),
}
# Which of these a message of WeChat Work has, and how they may look, follows from its kind and from
# whether a robot posts it.
_OF_WECHAT = frozenset(
    {
        *("content", "title", "url", "button", "articles", "card", "mentions"),
        *("mentioned_mobiles", "message_type", "safe", "template_code", "template_version"),
        *("locale", "strict", "variables", "template_variables"),
    }
)
_OF_HEADERS = {"header_not_allowed", "duplicate", "not_ascii"}
_OPEN = ("/variables/", "/template_variables/", "/items/", "/provider_parameters/")
# Refusals by what was stored before; and long fields, each allowed, that are too much together.
_STATES = {"idempotency_key_reused", "payload_too_large", "recipient_suppressed"}


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether it counts. Asked for every failed check; all but three kinds do."""
    if type(failure).__name__ == "AcceptedNegativeData" and case.path.endswith("/import"):
        # What is wrong with single lines is said in an answer of 200. The tool's `null` is text by
        # the time it is sent, and may be the name of a robot.
        is_text = not isinstance(case.body, bool | int | float | None)
        return is_text and not response.json()["rejected"]
    if type(failure).__name__ == "AcceptedNegativeData" and case.path.endswith("/attachments"):
        # The tool believes that it left the file out, and sent it.
        return b'name="file"' not in (response.request.body or b"")
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    problem = response.json()
    if problem.get("code") in _STATES:
        return False
    errors = [(error["pointer"], error["code"]) for error in problem.get("errors", ())]
    is_wechat = case.path.endswith("/wechat/send")
    return not errors or not all(
        (is_wechat and pointer[1:].partition("/")[0] in _OF_WECHAT) or _is_known(pointer, code)
        for pointer, code in errors
    )


def _is_known(pointer: str, code: str) -> bool:
    # What each variable must be is the template's to say, and what an item of a batch lacks, its
    # defaults may give.
    is_open = pointer.startswith(
        ("/variables/", "/template_variables/", "/items/", "/provider_parameters/")
    )
    # So are the names of headers: some belong to others, and two spellings are one.
    is_header = pointer.startswith("/headers/") and code in _OF_HEADERS
    return is_open or is_header or (pointer, code) in _RULES or ("*", code) in _RULES

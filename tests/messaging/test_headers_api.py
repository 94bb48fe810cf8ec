"""Further headers of a send: which are taken, what is refused, and where they are seen."""

import json

import pytest
from django.urls import reverse

from messaging.models import Message, Status
from tests.factories import drain, make_sender, make_template, make_version
from tests.imitations.http_provider import HttpProvider
from tests.imitations.smtp import SmtpServer
from tests.messaging.channels.outbound import PROVIDER_OPTIONS
from tests.messaging.channels.reading import raw_header, text_header

URL = "/api/v1/messages/email/send"
BODY = {"to": "ann@example.com", "subject": "News", "content": "<p>News</p>"}
LINK = "<https://example.com/unsubscribe?token=" + "x" * 200 + ">"
HEADERS = {
    "List-Unsubscribe": LINK,
    "list-unsubscribe-post": "List-Unsubscribe=One-Click",
    "X-Customer": " 王小明 ",
}
STORED = {
    "List-Unsubscribe": LINK,
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    "X-Customer": "王小明",
}


def send(api, **overrides):
    # Escaped, since half a surrogate pair has no bytes of its own.
    body = json.dumps(BODY | overrides)
    return api.generic("POST", URL, body, content_type="application/json")


def drain_all():
    while drain(now=Message.objects.latest("due_at").due_at):
        pass


def test_they_are_stored_and_shown_by_the_api(api):
    answer = send(api, headers=HEADERS)

    message = Message.objects.get()
    shown = api.get(f"/api/v1/messages/{message.pk}").json()
    assert answer.status_code == 202, answer.json()
    assert message.content["headers"] == STORED
    assert shown["headers"] == STORED


@pytest.mark.parametrize("given", [{}, {"headers": {}}])
def test_without_them_nothing_is_stored(api, given):
    send(api, **given)

    message = Message.objects.get()
    assert "headers" not in message.content
    assert api.get(f"/api/v1/messages/{message.pk}").json()["headers"] == {}


def test_they_are_on_the_page_of_the_message(api, operator):
    send(api, headers=HEADERS | {"X-Hostile": "<script>alert(1)</script>"})

    url = reverse("admin:messaging_message_change", args=[Message.objects.get().pk])
    page = operator.get(url).content.decode()

    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in page
    assert "X-Customer: 王小明" in page
    assert "<script>alert(1)</script>" not in page


BAD = {
    "Bcc": ("Bcc", "eve@example.com", "header_not_allowed"),
    "From": ("From", "eve@example.com", "header_not_allowed"),
    "Content-Type": ("Content-Type", "text/plain", "header_not_allowed"),
    "Message-ID": ("Message-ID", "<a@example.com>", "header_not_allowed"),
    "a name with CRLF": ("X-A\r\nBcc: eve@example.com", "x", "header_not_allowed"),
    "a name with a colon": ("X-A:", "x", "header_not_allowed"),
    "a name with a slash": ("X/A", "x", "header_not_allowed"),
    "a name beyond ASCII": ("X-Ä", "x", "header_not_allowed"),
    "a name with a sign like i": ("Lıst-Id", "x", "header_not_allowed"),
    "a long name": ("X-" + "a" * 59, "x", "header_not_allowed"),
    "no name": ("", "x", "header_not_allowed"),
    "only X-": ("X-", "x", "header_not_allowed"),
    "ours": ("X-Notification-Attempt", "x", "header_not_allowed"),
    "a provider's": ("x-mailgun-drop-message", "yes", "header_not_allowed"),
    "CRLF": ("X-Note", "a\r\nBcc: eve@example.com", "control_characters"),
    "a tab": ("X-Note", "a\tb", "control_characters"),
    "a turned direction": ("X-Note", "a\u202eb", "control_characters"),
    "NUL": ("X-Note", "a\x00b", "unstorable_character"),
    "half a pair": ("X-Note", "a\ud83c", "unstorable_character"),
    "an empty value": ("X-Note", "", "blank"),
    "spaces": ("X-Note", "   ", "blank"),
    "901 characters": ("X-Note", "x" * 901, "max_length"),
    "a number": ("X-Priority", 1, "invalid"),
    "a list": ("References", ["<a@example.com>"], "invalid"),
    "null": ("X-Note", None, "null"),
    "a listed one beyond ASCII": ("List-Id", "Köln <news.example.com>", "not_ascii"),
}


@pytest.mark.parametrize(("name", "value", "code"), BAD.values(), ids=BAD)
def test_what_is_wrong_with_a_header_is_said_by_its_name(api, name, value, code):
    answer = send(api, headers={"X-Good": "yes", name: value})

    pointer = "/headers/" + name.replace("~", "~0").replace("/", "~1")
    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ("List-Id: x", "invalid"),
        ([["X-Note", "x"]], "invalid"),
        (None, "null"),
        ({f"X-Note-{number}": "x" for number in range(21)}, "too_many"),
    ],
)
def test_what_is_wrong_with_all_of_them_is_said_of_the_field(api, headers, code):
    answer = send(api, headers=headers)

    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [("/headers", code)]


def test_upper_and_lower_case_are_the_same_header(api):
    answer = send(api, headers={"X-Note": "a", "x-NOTE": "b"})

    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/headers/x-NOTE", "duplicate")


def test_twenty_of_900_characters_are_taken(api):
    headers = {f"X-Note-{number}": "x" * 900 for number in range(20)}

    assert send(api, headers=headers).status_code == 202


def test_another_header_makes_another_message_and_another_spelling_does_not(api):
    answers = [
        send(api),
        send(api, headers={"List-Id": "<a.example.com>"}),
        send(api, headers={"List-Id": "<b.example.com>"}),
        send(api, headers={"list-id": "<b.example.com>"}),
    ]

    assert [answer.status_code for answer in answers] == [202, 202, 202, 200]


def test_a_message_by_a_template_has_them_too(api):
    template = make_template(application=api.key.application, code="news")
    make_version(template=template, status="published", subject="News", body="<p>News</p>")

    by_template = {"template_code": "news", "variables": {"name": "Ann"}}
    answer = api.post(URL, {"to": "ann@example.com", **by_template, "headers": {"X-Order": "4711"}})

    assert answer.status_code == 202, answer.json()
    assert Message.objects.get().content["headers"] == {"X-Order": "4711"}


def test_an_item_of_a_batch_adds_its_own_to_those_of_the_defaults(api):
    answer = api.post(
        "/api/v1/messages/batch",
        {
            "defaults": {
                "subject": "News",
                "content": "<p>News</p>",
                "headers": {"Precedence": "bulk", "X-Issue": "47"},
            },
            "items": [
                {"to": "ann@example.com", "headers": {"List-Unsubscribe": LINK, "x-issue": "48"}},
                {"to": "bob@example.com"},
                {"to": "eve@example.com", "headers": {"Bcc": "x@example.com"}},
            ],
        },
    )

    ann, bob, eve = answer.json()["results"]
    assert Message.objects.get(pk=ann["id"]).content["headers"] == {
        "Precedence": "bulk",
        "List-Unsubscribe": LINK,
        "x-issue": "48",
    }
    assert Message.objects.get(pk=bob["id"]).content["headers"] == {
        "Precedence": "bulk",
        "X-Issue": "47",
    }
    assert eve["error"]["errors"][0]["pointer"] == "/headers/Bcc"


def test_they_arrive_over_smtp(api):
    with SmtpServer() as server:
        options = {"host": "127.0.0.1", "port": server.port, "security": "none"}
        make_sender(adapter="smtp", options=options)
        send(api, headers=HEADERS)
        drain_all()

    (mail,) = server.mails
    assert Message.objects.get().status == Status.SUCCESS
    assert raw_header(mail.data, "List-Unsubscribe") == LINK
    assert raw_header(mail.data, "List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
    assert text_header(mail.data, "X-Customer") == "王小明"


def test_they_reach_a_provider(api):
    with HttpProvider("mailgun") as provider:
        options, credentials = PROVIDER_OPTIONS["mailgun"]
        make_sender(
            adapter="anymail",
            options={"backend": "mailgun", "api_url": provider.url, **options},
            credentials=credentials,
        )
        send(api, headers=HEADERS)
        drain_all()

    (sent,) = provider.sent
    assert Message.objects.get().status == Status.SUCCESS
    assert sent["h:List-Unsubscribe"] == [LINK]
    assert sent["h:List-Unsubscribe-Post"] == ["List-Unsubscribe=One-Click"]
    assert sent["h:X-Customer"] == ["=?utf-8?b?546L5bCP5piO?="]

"""Strings that break things, in every field that takes text: the answer is a refusal that names the
field, or the text comes out as it went in; and what was accepted can be sent."""

import json
from email.message import EmailMessage
from typing import Any

import pytest
from rest_framework.test import APIClient

from messaging.models import Message, Status
from tests.api.access import LETTER, ROUTES
from tests.api.document import body_schema, components, operation_of
from tests.api.naughty import Placing, every_string, places, share_of, strings
from tests.conftest import client_for
from tests.factories import drain, make_api_key, make_sender, make_template, make_version
from tests.imitations.smtp import SmtpServer
from tests.messaging.channels.reading import body, lines_as_read, people, read, text_header

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]

WITH_BODY = [
    (path, method)
    for path, methods in ROUTES.items()
    for method in methods
    if body_schema(operation_of(path, method))
]
QUERIES = [
    (path, parameter["name"])
    for path, methods in ROUTES.items()
    for method in methods
    if method == "get"
    for parameter in operation_of(path, method).get("parameters", ())
    if parameter["in"] == "query"
]


def test_the_list_is_long_and_has_every_category():
    assert len(strings()) >= 20
    assert sum(1 for _ in every_string()) >= 400


def post(client: APIClient, method: str, path: str, asked: Any) -> Any:
    """As a client in another language writes it: everything but ASCII as escapes, which is how
    halves of surrogate pairs can be sent at all."""
    call = getattr(client, method)
    return call(f"/api/v1/{path}", data=json.dumps(asked), content_type="application/json")


@pytest.mark.parametrize(("path", "method"), WITH_BODY, ids=lambda part: part)
def test_every_text_field_refuses_it_or_shows_it_as_it_was_given(path, method):
    key = make_api_key()
    client, asked = client_for(key), ROUTES[path][method](key)
    fields = places(body_schema(operation_of(path, method)), components())

    wrong = []
    for number, (name, place) in enumerate(fields.items()):
        for index, text in enumerate(share_of(number, fields=len(fields))):
            # Or the second is not stored for the first one's sake.
            fresh = {"code": f"new-{number}-{index}", "address": f"a{number}.{index}@example.com"}
            body = {k: fresh.get(k, value) for k, value in (asked.body or {}).items()}
            answer = post(client, method, asked.path, place(body, text))
            if not is_refusal(answer) and not is_kept(answer, name, text):
                wrong.append((name, text[:60], answer.status_code, answer.content[:200]))

    assert not wrong, wrong[:5]


def is_refusal(answer: Any) -> bool:
    if not 400 <= answer.status_code < 500:
        return False
    problem = answer.json()
    return answer.headers["Content-Type"] == "application/problem+json" and bool(problem["code"])


def is_kept(answer: Any, name: str, text: str) -> bool:
    """If the answer shows the field at all."""
    if not 200 <= answer.status_code < 300:
        return False
    shown = answer.json().get(name, text) if answer.content else text
    # Spaces around names go away; languages are written in one way.
    if name == "address":
        # Without what may stand around it, in lower case; domains as name servers know them.
        return shown in text.lower() or "xn--" in shown
    if name == "change_note" and not text.strip():
        return True  # A note of its own says what happened.
    return shown in {text, text.strip(), text.lower().replace("_", "-")} or name == "status"


@pytest.mark.parametrize(("path", "name"), QUERIES, ids=lambda part: part)
def test_every_query_parameter_refuses_it_or_finds_by_it(path, name):
    key = make_api_key()
    client, asked = client_for(key), ROUTES[path]["get"](key)

    wrong = []
    for text in every_string():
        try:
            text.encode()
        except UnicodeEncodeError:
            continue  # No URL can hold it.
        if len(text) > 4000:
            continue  # No server takes such a line.
        answer = client.get(f"/api/v1/{asked.path}", {name: text})
        if answer.status_code != 200 and not is_refusal(answer):
            wrong.append((text[:60], answer.status_code, answer.content[:200]))

    assert not wrong, wrong[:5]


@pytest.mark.parametrize("field", ["api_key", "api_secret"])
def test_the_token_endpoint_refuses_all_of_it(field):
    client, right = APIClient(), {"api_key": "noti_live_x", "api_secret": "x"}

    answers = [post(client, "post", "auth/token", right | {field: t}) for t in every_string()]

    assert all(is_refusal(answer) for answer in answers)


@pytest.mark.parametrize("name", ["X-Request-ID", "Idempotency-Key", "Authorization", "Accept"])
def test_headers_refuse_it_or_go_on(api, name):
    for number, text in enumerate(every_string()):
        if not text.isascii() or any(ord(character) < 32 for character in text):
            continue  # No HTTP client writes it, and gunicorn takes no such header.
        letter = LETTER | {"subject": f"Letter {number}"}
        answer = api.post("/api/v1/messages/email/send", letter, headers={name: text})

        assert answer.status_code == 202 or is_refusal(answer), (text, answer.content)


# --- what is accepted is sent, and arrives as it was written -----------------------------------


# How a letter shows a field to its reader.
def _subject(data: bytes) -> str:
    return text_header(data, "Subject")


def _name_in(header: str) -> Any:
    return lambda data: people(data, header)[0][0]


def _html(data: bytes) -> str:
    return body(data, "html")


def _text(data: bytes) -> str:
    return body(data, "plain")


def _named(role: str) -> Placing:
    return lambda letter, text: letter | {role: [f"{text} <ann@example.com>"]}


SHOWN: dict[str, tuple[Placing, Any]] = {
    "subject": (lambda letter, text: letter | {"subject": text}, _subject),
    "content": (lambda letter, text: letter | {"content": text}, _html),
    "plain content": (
        lambda letter, text: letter | {"content": text, "content_type": "text"},
        _text,
    ),
    "text": (lambda letter, text: letter | {"text": text}, _text),
    "to": (_named("to"), _name_in("To")),
    "cc": (_named("cc"), _name_in("Cc")),
    "reply_to": (_named("reply_to"), _name_in("Reply-To")),
    "header": (
        lambda letter, text: letter | {"headers": {"X-Note": text}},
        lambda data: text_header(data, "X-Note"),
    ),
    "variable in a subject": (
        lambda letter, text: {
            "to": "ann@example.com",
            "template_code": "naughty",
            "variables": {"name": text},
        },
        _subject,
    ),
}


@pytest.fixture
def sink():
    with SmtpServer() as running:
        options = {"host": "127.0.0.1", "port": running.port, "security": "none"}
        make_sender(adapter="smtp", options=options, name="sink")
        yield running


@pytest.mark.parametrize("field", SHOWN)
def test_what_is_accepted_is_sent_and_arrives_as_it_was_written(api, sink, field):
    place, shown = SHOWN[field]
    template = make_template(application=api.key.application, code="naughty")
    make_version(template=template, status="published", subject="{{ name }}", body="<p>Hello</p>")
    accepted = {}
    for text in every_string():
        answer = post(api, "post", "messages/email/send", place(dict(LETTER), text))
        assert answer.status_code in {200, 202} or is_refusal(answer), (text[:60], answer.content)
        if answer.status_code == 202:
            accepted[answer.json()["id"]] = text

    assert len(accepted) > 50
    due = Message.objects.latest("due_at").due_at
    while drain(now=due):
        pass

    assert set(Message.objects.values_list("status", flat=True)) == {Status.SUCCESS}
    assert len(sink.mails) == len(accepted)
    wrong = []
    for mail in sink.mails:
        written = accepted[message_id(read(mail.data))]
        if shown(mail.data) not in as_arrives(field, written):
            wrong.append((written[:80], shown(mail.data)[:80]))
    assert not wrong, wrong[:5]


def message_id(message: EmailMessage) -> str:
    return str(message["Message-ID"]).strip("<>").partition("@")[0].partition(".")[0]


def as_arrives(field: str, text: str) -> set[str]:
    if field in {"content", "plain content", "text"}:
        return {lines_as_read(text)}
    if field in {"to", "cc", "reply_to"}:
        # Quotes around a name are its writing, and so are the spaces.
        name = text.strip(" ")
        quoted = name[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        return {name, quoted} if len(name) > 1 and name[0] == name[-1] == '"' else {name}
    if field == "header":
        return {text.strip()}
    # Space around what a template made goes away.
    return {text, text.strip()} if field.startswith("variable") else {text}

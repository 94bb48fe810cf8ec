"""The strings that break things, through doors that take many at once or no JSON: batches, lists of
recipients, files, and URLs that are called."""

import csv
import io
import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from core import outgoing
from messaging.callbacks.calls import rules
from messaging.models import Message, Status, Suppression
from tests.api.access import LETTER
from tests.api.document import components
from tests.api.naughty import every_string, places, share_of
from tests.api.test_naughty_strings import is_refusal
from tests.factories import drain, make_sender
from tests.imitations.smtp import SmtpServer
from tests.messaging.attachments.files import PDF, body, post
from tests.messaging.channels.reading import read, text_header
from tests.messaging.webhooks.conftest import HOST, certificate, names, receiver  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
FIELDS = places({"$ref": "#/components/schemas/EmailRequest"}, components())
# The others are refused with the whole body that holds them.
STORABLE = [text for text in every_string() if not UNSTORABLE.search(text)]
SENDABLE = [text for text in STORABLE if len(text) <= 4000]


def send_batch(api: Any, letters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    asked = json.dumps({"items": letters})
    answer = api.post("/api/v1/messages/batch", asked, content_type="application/json")
    assert answer.status_code == 202, answer.content
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def test_each_item_of_a_batch_is_refused_by_name_or_stored(api):
    for number, (name, place) in enumerate(FIELDS.items()):
        letters = [
            place(LETTER | {"subject": f"Letter {index}"}, text)
            for index, text in enumerate(share_of(number, fields=len(FIELDS)))
            if len(text) <= 20_000 and not UNSTORABLE.search(text)
        ]

        results = send_batch(api, letters)

        assert [result["index"] for result in results] == list(range(len(letters)))
        for letter, result in zip(letters, results, strict=True):
            if result["status"] == "rejected":
                # A template's code that there is not is no field's fault.
                wrong = result["error"]
                assert wrong["errors"] or wrong["code"] == "not_found", (name, letter, wrong)
            else:
                assert result["id"], (name, letter)


def test_what_a_batch_accepts_is_sent_and_arrives_as_it_was_written(api):
    texts = [text for text in STORABLE if len(text) <= 20_000]
    results = send_batch(api, [LETTER | {"subject": text} for text in texts])
    accepted = {r["id"]: texts[r["index"]] for r in results if r["status"] == "accepted"}

    with SmtpServer() as sink:
        options = {"host": "127.0.0.1", "port": sink.port, "security": "none"}
        make_sender(adapter="smtp", options=options, name="sink")
        due = Message.objects.latest("due_at").due_at
        while drain(now=due):
            pass

    assert len(accepted) > 50
    assert set(Message.objects.values_list("status", flat=True)) == {Status.SUCCESS}
    # The same subject twice is one letter.
    assert len(sink.mails) == len(accepted)
    assert {text_header(mail.data, "Subject") for mail in sink.mails} == set(accepted.values())


def test_a_list_of_recipients_keeps_the_notes_as_they_are_or_names_the_lines(api):
    notes = {f"nobody-{n}@example.com": text for n, text in enumerate(every_string())}
    items = [{"address": address, "note": note} for address, note in notes.items()]

    answer = api.post(
        "/api/v1/suppressions/import", json.dumps(items), content_type="application/json"
    )

    assert is_refusal(answer)
    items = [item for item in items if item["note"] in SENDABLE]
    answer = api.post(
        "/api/v1/suppressions/import", json.dumps(items), content_type="application/json"
    )
    assert_kept_or_named(answer, items, notes)


def test_a_csv_of_recipients_keeps_the_notes_as_they_are_or_names_the_lines(api):
    notes = {f"nobody-{n}@example.com": text for n, text in enumerate(SENDABLE)}
    # One line of the file for each, so that lines can be told: notes with line breaks are below.
    items = [
        {"address": address, "note": note}
        for address, note in notes.items()
        if not set("\r\n") & set(note)
    ]
    written = io.StringIO()
    writer = csv.writer(written)
    for item in items:
        writer.writerow([item["address"], "", item["note"]])

    answer = api.post(
        "/api/v1/suppressions/import", written.getvalue().encode(), content_type="text/csv"
    )

    assert_kept_or_named(answer, items, notes)


def assert_kept_or_named(answer: Any, items: list[dict[str, Any]], notes: dict[str, str]) -> None:
    assert answer.status_code == 200, answer.content
    named = {items[bad["line"] - 1]["address"] for bad in answer.json()["rejected"]}
    kept = dict(Suppression.objects.values_list("address", "note"))
    assert len(kept) > 100
    assert named | set(kept) == {item["address"] for item in items}
    assert not named & set(kept)
    wrong = [
        (notes[address], note)
        for address, note in kept.items()
        if note not in {notes[address], notes[address].strip()}
    ]
    assert not wrong


def test_addresses_in_a_list_of_recipients_are_refused_by_line_or_read_as_everywhere(api):
    answer = api.post(
        "/api/v1/suppressions/import", json.dumps(SENDABLE), content_type="application/json"
    )

    assert answer.status_code == 200
    named = {bad["line"] for bad in answer.json()["rejected"]}
    kept = set(Suppression.objects.values_list("address", flat=True))
    given = " ".join(text.lower() for number, text in enumerate(SENDABLE, 1) if number not in named)
    # International domains are kept as name servers know them.
    assert not [a for a in kept if a not in given and "xn--" not in a]


def test_a_file_keeps_its_name_to_its_reader_or_is_refused(api):
    kept: dict[str, str] = {}
    for text in (text for text in SENDABLE if len(text) <= 300):
        # As browsers write what is not plain (RFC 5987).
        words = f"name=\"file\"; filename*=UTF-8''{quote(text + '.pdf')}"
        answer = post(api, body((words, PDF)))
        assert answer.status_code == 201 or is_refusal(answer), (text, answer.content)
        if answer.status_code == 201:
            assert answer.json()["filename"] == f"{text}.pdf"
            kept[answer.json()["id"]] = f"{text}.pdf"
    assert len(kept) > 30

    ids = list(kept)
    for start in range(0, len(ids), 20):
        letter = LETTER | {"subject": f"From {start}", "attachment_ids": ids[start : start + 20]}
        sent = api.post("/api/v1/messages/email/send", letter, format="json")
        assert sent.status_code == 202, sent.content
    with SmtpServer() as sink:
        options = {"host": "127.0.0.1", "port": sink.port, "security": "none"}
        make_sender(adapter="smtp", options=options, name="sink")
        while drain(now=Message.objects.latest("due_at").due_at):
            pass

    read_names = [
        part.get_filename() for mail in sink.mails for part in read(mail.data).iter_attachments()
    ]
    assert set(map(str, read_names)) ^ set(kept.values()) == set()


def test_a_url_that_is_accepted_can_be_called(api, receiver):  # noqa: F811
    endpoint = api.post("/api/v1/webhooks", {"url": receiver.url}, format="json").json()["id"]
    called = 0
    for text in SENDABLE:
        for url in (f"https://{HOST}:{receiver.port}/{text}", f"https://{text}", text):
            answer = api.patch(f"/api/v1/webhooks/{endpoint}", {"url": url}, format="json")
            assert answer.status_code == 200 or is_refusal(answer), (url, answer.content)
            if answer.status_code == 200 and HOST in url:
                stored = answer.json()["url"]
                done = outgoing.post(stored, b"{}", headers={}, rules=rules(), seconds=5)
                assert done.status == 204, url
                called += 1

    assert called > 20
    assert len(receiver.heard) == called


@pytest.mark.parametrize("field", ["idempotency_key", "dedupe_key"])
def test_a_key_of_the_caller_is_refused_or_is_the_same_the_next_time(api, field):
    for number, text in enumerate(every_string()):
        letter = LETTER | {field: text, "subject": f"Letter {number}"}
        answers = [
            api.post(
                "/api/v1/messages/email/send", json.dumps(letter), content_type="application/json"
            )
            for _ in range(2)
        ]

        assert all(a.status_code in {200, 202} or is_refusal(a) for a in answers), text
        if answers[0].status_code == 202:
            assert answers[0].json()["id"] == answers[1].json()["id"], text

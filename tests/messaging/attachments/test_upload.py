"""What may be uploaded, and how everything else is refused: by the name of its field."""

import hashlib
import io
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from core import uploads
from messaging import attachment_files, attachments
from messaging.models import Attachment
from tests.conftest import client_for
from tests.factories import make_api_key
from tests.messaging.attachments.files import (
    EXE,
    PDF,
    PNG,
    SEND,
    URL,
    body,
    keep,
    post,
    problems,
    stored,
    upload,
)

pytestmark = pytest.mark.django_db

FORM = "multipart/form-data; boundary=limit"


def test_an_upload_is_stored_byte_for_byte_under_a_name_that_says_nothing(api, folder):
    before = timezone.now()

    response = upload(api, "发票 2026.pdf", PDF)

    answer = response.json()
    attachment = Attachment.objects.get()
    assert response.status_code == 201
    assert answer["id"] == str(attachment.pk)
    assert answer["sha256"] == hashlib.sha256(PDF).hexdigest()
    assert (answer["filename"], answer["size"], answer["content_type"]) == (
        "发票 2026.pdf",
        len(PDF),
        "application/pdf",
    )
    lifetime = datetime.fromisoformat(answer["expires_at"]) - before
    assert timedelta(hours=24) <= lifetime < timedelta(hours=24, minutes=1)
    assert stored(folder) == [attachment.stored_as]
    assert (folder / attachment.stored_as).read_bytes() == PDF
    assert "pdf" not in attachment.stored_as
    assert "stored_as" not in answer


def test_a_file_that_does_not_fit_into_memory_is_the_same_on_the_disk(api, folder):
    data = PNG * 1000

    answer = upload(api, "big.png", data).json()

    assert len(data) > uploads.IN_MEMORY
    assert answer["sha256"] == hashlib.sha256(data).hexdigest()
    assert (folder / stored(folder)[0]).read_bytes() == data


def test_an_upload_is_seen_and_removed_by_its_own_application_only(api, folder):
    url = f"{URL}/{upload(api, 'a.pdf', PDF).json()['id']}"
    other = client_for(make_api_key())

    assert other.get(url).status_code == other.delete(url).status_code == 404
    assert api.get(url).json()["filename"] == "a.pdf"
    assert api.delete(url).status_code == 204
    assert api.get(url).status_code == 404
    assert stored(folder) == []


def test_one_is_removed_also_while_its_storage_is_away(api, folder, monkeypatch):
    attachment = keep(key=api.key)

    def away(name):
        raise ConnectionError("no bucket")

    monkeypatch.setattr(attachment_files, "remove", away)

    assert api.delete(f"{URL}/{attachment.pk}").status_code == 204
    assert not Attachment.objects.exists()


def test_one_that_goes_with_a_message_is_not_removed(api, folder):
    attachment = keep(key=api.key)
    mail = {"to": "a@example.com", "subject": "S", "content": "C"}
    api.post(SEND, mail | {"attachment_ids": [str(attachment.pk)]})

    response = api.delete(f"{URL}/{attachment.pk}")

    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert stored(folder) == [attachment.stored_as]


@pytest.mark.parametrize("method", ["get", "delete"])
def test_what_there_is_not_is_404(api, method):
    response = getattr(api, method)(f"{URL}/01a20000-0000-7000-8000-000000000000")

    assert response.status_code == 404


BAD_NAMES = {
    "a path": ("../../etc/passwd.pdf", "invalid_filename"),
    "a folder": ("folder/a.pdf", "invalid_filename"),
    "a folder of Windows": ("C:\\temp\\a.pdf", "invalid_filename"),
    "two dots": ("a..pdf", "invalid_filename"),
    "a hidden file": (".pdf", "invalid_filename"),
    "a space at its end": ("a.pdf ", "invalid_filename"),
    "a space of another script": ("\u3000.pdf", "invalid_filename"),
    "a character that Windows has no files with": ("a|b.pdf", "invalid_filename"),
    "a NUL": ("a\x00.pdf", "control_characters"),
    "an escape": ("a\x1b[31m.pdf", "control_characters"),
    "turned around": ("invoice\u202efdp.exe", "control_characters"),
    "an invisible mark": ("a\u200f.pdf", "control_characters"),
    "too long": ("a" * 150 + ".pdf", "too_long"),
    "too many bytes": ("发" * 100 + ".pdf", "too_long"),
    "no ending": ("invoice", "type_not_allowed"),
    "a program": ("invoice.exe", "type_not_allowed"),
    "a program behind a document": ("invoice.pdf.exe", "type_not_allowed"),
    "a page": ("invoice.html", "type_not_allowed"),
    "a picture that runs": ("invoice.svg", "type_not_allowed"),
    "a document with macros": ("invoice.docm", "type_not_allowed"),
}


@pytest.mark.parametrize(("name", "code"), BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_a_bad_name_is_refused_and_nothing_stored(api, folder, name, code):
    raw = body((f'name="file"; filename="{name}"', PDF))

    response = post(api, raw)

    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert problems(response) == [("/file", code)]
    assert stored(folder) == []
    assert not Attachment.objects.exists()


def test_a_line_break_in_a_name_makes_no_header(api, folder):
    raw = body(('name="file"; filename="a\r\nBcc: x@example.com\r\n.pdf"', PDF))

    response = post(api, raw)

    assert response.status_code in {400, 422}
    assert stored(folder) == []


def test_a_name_may_be_sent_in_both_ways(api):
    plain = post(api, body(('name="file"; filename="发票.pdf"', PDF))).json()
    encoded = body(("name=\"file\"; filename*=UTF-8''%E5%8F%91%E7%A5%A8.pdf", PDF))

    assert plain["filename"] == post(api, encoded).json()["filename"] == "发票.pdf"


FIELD = 'name="file"; filename="a.pdf"'
BAD_BODIES = {
    "no field": (body(), [("/file", "required")]),
    "another field": (
        body(('name="attachment"; filename="a.pdf"', PDF)),
        [("/attachment", "unknown_field"), ("/file", "required")],
    ),
    "two files": (body((FIELD, PDF), (FIELD, PDF)), [("/file", "too_many")]),
    "a field beside it": (
        body((FIELD, PDF), ('name="note"', b"x")),
        [("/note", "unknown_field")],
    ),
    "text instead of a file": (body(('name="file"', PDF)), [("/file", "invalid")]),
    "no name": (body(('name="file"; filename=""', PDF)), [("/file", "invalid")]),
    "a long text": (body(('name="file"', PDF * 100_000)), [("/file", "invalid")]),
    "empty": (body((FIELD, b"")), [("/file", "empty")]),
    "other content": (body((FIELD, EXE)), [("/file", "type_mismatch")]),
}


@pytest.mark.parametrize(("raw", "found"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_what_is_wrong_is_named_by_its_field(api, folder, raw, found):
    response = post(api, raw)

    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert problems(response) == found
    assert stored(folder) == []


WHOLE = body((FIELD, PDF))
BROKEN = {
    "in the middle of the file": WHOLE[:-40],
    "before the last boundary": body((FIELD, PDF), end=b""),
    "within the last boundary": body((FIELD, PDF), end=b"--limit"),
    "in the headers": WHOLE[:50],
    "no multipart at all": b"hello",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_a_body_that_breaks_off_is_no_upload(api, folder, raw):
    response = post(api, raw)

    assert (response.status_code, response.json()["code"]) == (400, "malformed_upload")
    assert stored(folder) == []
    assert not Attachment.objects.exists()


class Line(io.BytesIO):
    """What comes from a caller; `breaks` at its end as a socket does."""

    def __init__(self, data=b"", *, breaks=False):
        super().__init__(data)
        self.breaks = breaks

    def read(self, size=-1):
        data = super().read(size)
        if not data and self.breaks:
            raise OSError("connection reset")
        return data


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("data", [WHOLE, WHOLE[:100], b""], ids=["whole", "half", "nothing"])
def test_a_connection_that_breaks_is_no_upload(api, folder, data, breaks):
    line = {"wsgi.input": Line(data, breaks=breaks), "CONTENT_LENGTH": str(len(WHOLE) + 500)}

    response = api.generic("POST", URL, content_type=FORM, **line)

    assert (response.status_code, response.json()["code"]) == (400, "malformed_upload")
    assert stored(folder) == []


@pytest.mark.parametrize("length", ["", str(len(WHOLE) - 50)], ids=["unknown", "cut off"])
def test_a_body_in_chunks_is_asked_for_its_length(api, length):
    line = {"wsgi.input": Line(WHOLE[:-50]), "CONTENT_LENGTH": length}
    line["HTTP_TRANSFER_ENCODING"] = "chunked"

    response = api.generic("POST", URL, content_type=FORM, **line)

    assert (response.status_code, response.json()["code"]) == (400, "malformed_upload")
    assert "Content-Length" in response.json()["detail"]


def test_an_empty_body_misses_its_file(api):
    response = api.post(URL, b"", content_type=FORM)

    assert (response.status_code, problems(response)) == (422, [("/file", "required")])


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", "text/plain"]
)
def test_a_body_without_a_boundary_is_refused(api, content_type):
    response = api.post(URL, WHOLE, content_type=content_type)

    assert response.status_code in {400, 415}
    assert response.json()["code"] in {"malformed_upload", "unsupported_media_type"}


@pytest.mark.parametrize("excess", [0, 1, 100_000, 3_000_000])
def test_the_limit_is_the_limit(api, folder, settings, excess):
    settings.ATTACHMENT_MAX_BYTES = 1_048_576
    data = PDF.ljust(1_048_576 + excess, b"x")

    response = upload(api, "a.pdf", data)

    if excess:
        assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
        assert response.json()["detail"] == "The file is larger than 1 MiB."
        assert problems(response) == [("/file", "too_large")]
        assert stored(folder) == []
    else:
        assert response.status_code == 201


def test_a_file_that_is_far_too_large_is_not_read(api, settings):
    settings.ATTACHMENT_MAX_BYTES = 1_048_576

    class Endless(Line):
        read_ = 0

        def read(self, size=-1):
            assert 0 < size <= 65_536
            self.read_ += size
            return b"x" * size

    line = Endless()
    response = api.generic(
        "POST", URL, content_type=FORM, **{"wsgi.input": line, "CONTENT_LENGTH": str(10**10)}
    )

    assert response.status_code == 413
    assert line.read_ <= 16 * 1_048_576


def test_a_storage_that_takes_nothing_is_said_so_and_leaves_no_row(api, folder, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(attachment_files.os, "fsync", full)
    api.raise_request_exception = False
    response = upload(api, "a.pdf", PDF)

    assert (response.status_code, response.json()["code"]) == (503, "service_unavailable")
    assert stored(folder) == []
    assert not Attachment.objects.exists()


def test_nothing_is_uploaded_without_the_scope(folder):
    client = client_for(make_api_key(scopes=["messages:read"]))

    response = upload(client, "a.pdf", PDF)

    assert response.json()["code"] == "missing_scope"
    assert stored(folder) == []


def test_an_upload_costs_one_insert(api, django_assert_max_num_queries):
    # The key, what it was used, and the row.
    with django_assert_max_num_queries(3):
        assert upload(api, "a.pdf", PDF).status_code == 201


def test_two_uploads_of_one_file_are_two(folder):
    key = make_api_key()

    assert keep(key=key).stored_as != keep(key=key).stored_as
    assert len(stored(folder)) == 2


def test_a_row_is_looked_at_after_nobody_may_use_it_any_more():
    attachment = keep()

    assert attachment.look_at - attachment.expires_at == attachments.GRACE

"""Attachments, duplicates and batches together."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from messaging.models import Message, MessageAttachment

SEND, BATCH = "/api/v1/messages/email/send", "/api/v1/messages/batch"
MAIL = {"to": "ann@example.com", "subject": "Invoice", "content": "<p>There.</p>"}


@pytest.fixture(autouse=True)
def _folder(tmp_path, settings):
    entry = {
        "BACKEND": "messaging.attachment_files.AttachmentFolder",
        "OPTIONS": {"location": str(tmp_path)},
    }
    settings.STORAGES = {**settings.STORAGES, "attachments": entry}


def upload(api, text="total: 7"):
    file = SimpleUploadedFile("invoice.txt", text.encode(), content_type="text/plain")
    answer = api.post("/api/v1/attachments", {"file": file}, format="multipart")
    assert answer.status_code == 201, answer.json()
    return answer.json()["id"]


def test_the_same_file_uploaded_twice_is_the_same_and_another_is_not(api):
    sent = [
        api.post(SEND, MAIL | {"attachment_ids": [upload(api, text)]}).status_code
        for text in ("total: 7", "total: 7", "total: 8")
    ]

    assert sent == [202, 200, 202]


def test_a_batch_goes_with_one_file_for_all_or_names_what_is_missing(api):
    file = upload(api)
    items = [
        {"to": "a@example.com"},
        {"to": "b@example.com"},
        {"to": "c@example.com", "attachment_ids": ["01a20000-0000-7000-8000-000000000000"]},
    ]

    told = api.post(BATCH, {"defaults": MAIL | {"attachment_ids": [file]}, "items": items}).json()

    assert [result["status"] for result in told["results"]] == ["accepted", "accepted", "rejected"]
    error = told["results"][2]["error"]["errors"][0]
    assert (error["pointer"], error["code"]) == ("/attachment_ids/0", "unknown_attachment")
    assert MessageAttachment.objects.filter(attachment=file).count() == 2
    assert all(message.content["attachments"] for message in Message.objects.all())


def test_a_dry_run_looks_for_the_files_and_ties_none(api):
    file = upload(api)

    right = api.post(SEND, MAIL | {"attachment_ids": [file], "dry_run": True})
    wrong = api.post(
        SEND, MAIL | {"attachment_ids": ["01a20000-0000-7000-8000-000000000000"], "dry_run": True}
    )

    assert (right.status_code, wrong.status_code) == (200, 422)
    assert not MessageAttachment.objects.exists()

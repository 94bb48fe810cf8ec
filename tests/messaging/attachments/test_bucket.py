"""Attachments in a bucket, through the packages that speak to one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from messaging import attachment_files
from messaging.attachment_cleanup import remove_expired, remove_lost
from messaging.models import Attachment, Message, Status
from tests.factories import NOON, drain
from tests.imitations.s3 import BUCKET, KEY, SECRET, S3Server
from tests.messaging.attachments.files import MAIL, PDF, PNG, SEND, keep, upload
from tests.messaging.channels.reading import read

pytest.importorskip("storages.backends.s3", reason="requirements/s3.txt is not installed")
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def bucket(settings, folder, monkeypatch):
    with S3Server() as running:
        options = {
            "bucket_name": BUCKET,
            "endpoint_url": running.url,
            "region_name": "us-east-1",
            "access_key": KEY,
            "secret_key": SECRET,
            "location": "platform",
        }
        backend = "messaging.attachment_bucket.AttachmentBucket"
        settings.STORAGES = {
            **settings.STORAGES,
            "attachments": {"BACKEND": backend, "OPTIONS": options},
        }
        yield running
        attachment_files.storage().connection.meta.client.close()


def send(api, data, name):
    answer = upload(api, name, data)
    assert answer.status_code == 201, answer.json()
    mail = MAIL | {"attachment_ids": [answer.json()["id"]]}
    pk = api.post(SEND, mail).json()["id"]
    drain(now=timezone.now() + timedelta(seconds=1))
    message = Message.objects.get(pk=pk)
    assert message.status == Status.SUCCESS, message.reason_detail
    return message


@pytest.mark.parametrize(("name", "data"), [("a.pdf", PDF), ("a.png", PNG * 12_000)])
def test_a_file_goes_through_a_bucket_and_arrives_whole(api, server, sender, bucket, name, data):
    send(api, data, name)

    part = next(p for p in read(server.mails[0].data).walk() if p.get_filename() == name)
    assert part.get_payload(decode=True) == data
    stored_as = Attachment.objects.get().stored_as
    assert bucket.objects[f"platform/{stored_as}"] == data


def test_a_bucket_that_is_away_is_waited_for(api, server, sender, bucket, monkeypatch):
    attachment = keep(key=api.key)
    mail = MAIL | {"attachment_ids": [str(attachment.pk)]}
    pk = api.post(SEND, mail).json()["id"]
    bucket.is_away = True

    drain(now=timezone.now() + timedelta(seconds=1))
    waiting = Message.objects.get(pk=pk)
    bucket.is_away = False
    drain(now=waiting.due_at + timedelta(seconds=1))

    assert (waiting.status, waiting.reason) == (Status.PENDING, "temporary_failure")
    assert Message.objects.get(pk=pk).status == Status.SUCCESS


def test_an_upload_into_a_bucket_that_is_away_is_asked_for_again(api, bucket):
    bucket.is_away = True
    api.raise_request_exception = False

    assert upload(api, "a.pdf", PDF).json()["code"] == "service_unavailable"
    assert not Attachment.objects.exists()


def test_a_file_that_is_gone_from_it_fails_its_message(api, server, sender, bucket):
    attachment = keep(key=api.key)
    del bucket.objects[f"platform/{attachment.stored_as}"]
    mail = MAIL | {"attachment_ids": [str(attachment.pk)]}
    pk = api.post(SEND, mail).json()["id"]

    drain(now=timezone.now() + timedelta(seconds=1))

    assert Message.objects.get(pk=pk).reason == "attachment_gone"


def test_it_is_cleaned_up_and_swept(bucket):
    kept = keep(now=NOON + timedelta(days=30))
    keep(now=NOON)
    attachment_files.storage().save("2026-11-01/lost", attachment_files.ContentFile(b"lost"))

    assert remove_expired(now=NOON + timedelta(days=2)) == 1
    assert remove_lost(now=NOON + timedelta(days=2)) == 1
    left = {f"platform/{kept.stored_as}", f"platform/{attachment_files.MARKER}"}
    assert set(bucket.objects) == left


def test_nothing_gives_its_files_an_address():
    with pytest.raises(ValueError, match="no address"):
        attachment_files.storage().url("2026-11-01/name")

"""Files stay as long as a message needs them, and no longer."""

import io
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection

from core.errors import DomainError
from messaging import attachment_cleanup, attachment_files, attachments, resending, tasks
from messaging.attachment_cleanup import remove_expired, remove_lost
from messaging.models import Attachment, Message, MessageAttachment, Status
from tests.factories import NOON, make_api_key, make_message, reloaded
from tests.messaging.attachments.files import PDF, keep, stored

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[3]
# When a file that was uploaded at noon, and never sent, goes.
OVER = NOON + timedelta(hours=25)


def kept_for(**fields):
    """A file with a message that it goes with."""
    key = make_api_key()
    attachment = keep(now=NOON, key=key)
    message = make_message(application=key.application, **fields)
    attachments.attach([(message.pk, found(attachment))])
    return attachment, message


def found(attachment):
    asked = [attachments.Asked(attachment.pk)]
    return attachments.find(asked, application_id=attachment.application_id, now=NOON)


def is_kept(attachment, folder):
    return (folder / attachment.stored_as).exists()


def test_an_unused_file_goes_an_hour_after_it_expired_with_its_row(folder):
    keep(now=NOON)

    assert remove_expired(now=OVER - timedelta(seconds=1)) == 0
    assert len(stored(folder)) == 1
    assert remove_expired(now=OVER) == 1
    assert stored(folder) == []
    assert not Attachment.objects.exists()


@pytest.mark.parametrize("status", sorted({Status.PENDING, Status.SENDING, Status.UNKNOWN}))
def test_a_file_stays_while_a_message_with_it_is_not_over(folder, status):
    attachment, _ = kept_for(status=status)

    for days in range(1, 400, 20):
        assert remove_expired(now=NOON + timedelta(days=days, hours=2)) == 0

    assert is_kept(attachment, folder)


@pytest.mark.parametrize("status", sorted({Status.SUCCESS, Status.FAILED, Status.CANCELLED}))
def test_a_file_stays_for_a_week_after_its_message_was_over(folder, status):
    attachment, message = kept_for(status=status, finished_at=NOON + timedelta(hours=30))
    over = message.finished_at + timedelta(days=7)

    remove_expired(now=OVER)
    remove_expired(now=over - timedelta(seconds=1))
    is_kept_until_then = is_kept(attachment, folder)
    remove_expired(now=over)

    assert is_kept_until_then
    assert not is_kept(attachment, folder)
    assert reloaded(attachment).removed_at == over


def test_the_last_of_its_messages_decides(folder):
    attachment, first = kept_for(status=Status.SUCCESS, finished_at=NOON)
    last = make_message(application=first.application, status=Status.PENDING)
    attachments.attach([(last.pk, found(attachment))])

    remove_expired(now=NOON + timedelta(days=30))

    assert is_kept(attachment, folder)


def test_a_message_that_is_sent_again_keeps_its_file(folder):
    attachment, message = kept_for(status=Status.FAILED, finished_at=NOON)
    again = NOON + timedelta(days=6, hours=23)
    remove_expired(now=OVER)

    resending.resend(message=message, now=again)
    remove_expired(now=NOON + timedelta(days=8))

    assert is_kept(attachment, folder)


def test_a_message_whose_file_is_gone_is_not_sent_again_and_says_why(folder):
    _, message = kept_for(status=Status.FAILED, finished_at=NOON)
    remove_expired(now=NOON + timedelta(days=8))

    with pytest.raises(DomainError, match=r"its attachment invoice\.pdf was removed 7 days"):
        resending.resend(message=message, now=NOON + timedelta(days=9))

    assert reloaded(message).status == Status.FAILED


def test_the_row_goes_after_the_last_message_that_tells_of_it():
    attachment, message = kept_for(status=Status.SUCCESS, finished_at=NOON)
    removed = [remove_expired(now=NOON + timedelta(days=days)) for days in (8, 40)]
    is_there_with_its_message = Attachment.objects.filter(pk=attachment.pk).exists()

    message.delete()
    remove_expired(now=NOON + timedelta(days=80))

    assert removed == [1, 0]
    assert is_there_with_its_message
    assert not Attachment.objects.exists()


def test_many_are_removed_in_batches_and_a_second_clean_up_finds_nothing(
    folder, monkeypatch, django_assert_max_num_queries
):
    monkeypatch.setattr(attachment_cleanup, "BATCH", 10)
    key = make_api_key()
    for _ in range(25):
        keep(now=NOON, key=key)

    # Three batches, each with a handful of statements, whatever its size.
    with django_assert_max_num_queries(3 * 14):
        assert remove_expired(now=OVER) == 25
    assert remove_expired(now=OVER) == 0
    assert stored(folder) == []


def test_nothing_is_removed_inside_a_transaction(folder, monkeypatch):
    """A bucket may take its time."""
    depths = []
    before = len(connection.savepoint_ids)

    def seen(name):
        depths.append(len(connection.savepoint_ids) - before)

    monkeypatch.setattr(attachment_files, "remove", seen)
    keep(now=NOON)

    remove_expired(now=OVER)

    assert depths == [0]


def test_a_storage_that_is_away_costs_an_hour_and_no_row(folder, monkeypatch):
    attachment = keep(now=NOON)

    def away(name):
        raise ConnectionError("no bucket")

    with monkeypatch.context() as broken:
        broken.setattr(attachment_files, "remove", away)
        with pytest.raises(ConnectionError):
            remove_expired(now=OVER)

    assert reloaded(attachment).removed_at is None
    assert remove_expired(now=OVER) == 0
    assert remove_expired(now=OVER + timedelta(hours=1)) == 1
    assert stored(folder) == []


def test_files_without_a_row_go_after_two_days_and_no_other(folder):
    kept = keep(now=NOON)
    lost = attachment_files.store(open_file(), now=NOON)
    fresh = attachment_files.store(open_file(), now=NOON + timedelta(days=2))
    (folder / "2026-11-23" / "notes").mkdir()

    early = remove_lost(now=NOON + timedelta(days=1, hours=23))
    late = remove_lost(now=NOON + timedelta(days=3))

    assert (early, late) == (0, 1)
    assert stored(folder) == sorted([kept.stored_as, fresh])
    assert lost not in stored(folder)


def test_empty_days_are_swept_away_and_nothing_that_is_not_ours(folder):
    attachment_files.store(open_file(), now=NOON)
    (folder / "lost+found").mkdir()

    remove_lost(now=NOON + timedelta(days=3))

    assert sorted(path.name for path in folder.iterdir()) == [
        "lost+found",
        attachment_files.MARKER,
    ]


def test_the_sweep_of_an_installation_without_files_does_nothing(folder):
    assert remove_lost(now=NOON) == remove_expired(now=NOON) == 0


def open_file():
    return io.BytesIO(PDF)


def test_beat_asks_for_both_and_a_worker_takes_them():
    asked = {job["task"] for job in django_settings.CELERY_BEAT_SCHEDULE.values()}

    assert {tasks.remove_expired_attachments.name, tasks.remove_lost_files.name} <= asked
    tasks.remove_expired_attachments()
    tasks.remove_lost_files()


def test_a_message_that_is_deleted_lets_its_file_go(folder):
    _, message = kept_for(status=Status.SUCCESS, finished_at=NOON)
    message.delete()

    assert not MessageAttachment.objects.exists()
    assert remove_expired(now=OVER) == 1
    assert stored(folder) == []


CRASH = """
import sys
import tests.environment
import django
django.setup()
import hashlib, io
from datetime import datetime, UTC
from django.conf import settings
from django.core.files.storage import storages
from core.uploads import Upload
from messaging import attachments
data = b"%PDF-1.7 crash"
file = Upload("a.pdf", len(data), hashlib.sha256(data).hexdigest(), io.BytesIO(data))
noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
attachments.keep(upload=file, application_id=1, api_key_id=1, now=noon)
"""


def test_a_crash_between_file_and_row_leaves_a_file_that_is_swept(folder, tmp_path):
    armed = tmp_path / "armed"
    armed.touch()
    environment = os.environ | {
        "CRASH_AT": f"attachment_before_row@{armed}",
        "DJANGO_SETTINGS_MODULE": "notification_platform.settings",
        "ATTACHMENTS_DIR": str(folder),
    }

    done = subprocess.run(
        [sys.executable, "-c", CRASH], cwd=ROOT, env=environment, capture_output=True, timeout=60
    )

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(stored(folder)) == 1
    assert not Attachment.objects.exists()
    assert remove_lost(now=NOON + timedelta(days=3)) == 1
    assert stored(folder) == []


@pytest.mark.django_db(transaction=True)
def test_a_clean_up_that_was_killed_is_taken_up(folder, monkeypatch):
    """The file is gone and its row says otherwise, until the next one an hour later."""
    _, message = kept_for(status=Status.SUCCESS, finished_at=NOON)

    def killed(batch, now):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(attachment_cleanup, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_expired(now=NOON + timedelta(days=8))

    assert stored(folder) == []
    assert Attachment.objects.get().removed_at is None
    remove_expired(now=NOON + timedelta(days=8, hours=1))
    assert Attachment.objects.get().removed_at is not None
    assert Message.objects.filter(pk=message.pk).exists()

"""What has had its time is taken away, and nothing else."""

from datetime import timedelta

import pytest

from core import database
from messaging import housekeeping, tasks
from messaging.models import Fingerprint, IdempotencyKey, SenderMove
from tests.factories import NOON, make_application, make_message, make_sender

pytestmark = pytest.mark.django_db


def make_key(application, *, age):
    return IdempotencyKey.objects.create(
        application=application,
        is_test=False,
        key=f"key-{age}",
        fingerprint=b"f",
        status=202,
        answer="{}",
        created_at=NOON - age,
    )


def test_answers_are_kept_for_72_hours():
    application = make_application()
    kept = make_key(application, age=timedelta(hours=71))
    make_key(application, age=timedelta(hours=73))

    assert housekeeping.forget_answers(now=NOON) == 1
    assert IdempotencyKey.objects.get() == kept


def test_windows_are_kept_until_they_are_over(monkeypatch):
    monkeypatch.setattr(database, "SLICE", 2)
    message = make_message()
    for number in range(6):
        end = NOON + timedelta(minutes=10 * (number - 4))
        digest = bytes([number])
        Fingerprint.objects.create(digest=digest, message=message, expires_at=end)

    assert housekeeping.forget_fingerprints(now=NOON) == 5
    assert bytes(Fingerprint.objects.get().digest) == b"\x05"


def test_what_senders_did_is_kept_for_90_days():
    sender = make_sender()
    kept, _ = (
        SenderMove.objects.create(
            sender=sender,
            at=NOON - timedelta(days=days),
            from_state="working",
            to_state="benched",
            why="throttled",
        )
        for days in (89, 91)
    )

    assert housekeeping.forget_moves(now=NOON) == 1
    assert SenderMove.objects.get() == kept


def test_the_task_does_all_of_it():
    make_key(make_application(), age=timedelta(days=3650))
    Fingerprint.objects.create(
        digest=b"d", message=make_message(), expires_at=NOON - timedelta(days=3650)
    )

    tasks.tidy()

    assert not IdempotencyKey.objects.exists()
    assert not Fingerprint.objects.exists()

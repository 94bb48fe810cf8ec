"""Several at once: whatever wins, no message is left without a file that it was accepted with."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction

from messaging import attachments
from messaging.attachment_cleanup import remove_expired
from messaging.models import Attachment, Message, MessageAttachment
from tests.conftest import client_for
from tests.factories import NOON, make_api_key
from tests.messaging.attachments.files import MAIL, SEND, URL, keep, stored

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 10


def together(*calls):
    """What each answered; all begin at the same moment."""
    start = threading.Barrier(len(calls))

    def run(call):
        try:
            start.wait(10)
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


def test_a_send_and_a_removal_at_once_leave_all_or_nothing(folder):
    key = make_api_key()
    sending, removing = client_for(key), client_for(key)
    for _ in range(ROUNDS):
        attachment = keep(key=key)
        mail = MAIL | {"attachment_ids": [str(attachment.pk)]}

        sent, removed = together(
            lambda mail=mail: sending.post(SEND, mail).status_code,
            lambda pk=attachment.pk: removing.delete(f"{URL}/{pk}").status_code,
        )

        is_there = (folder / attachment.stored_as).exists()
        assert (sent, removed, is_there) in {(202, 409, True), (422, 204, False)}
    assert Message.objects.count() == MessageAttachment.objects.count() == len(stored(folder))


def test_many_messages_with_one_file_do_not_wait_for_each_other(folder):
    """They share its row: one that is slow to commit holds up nobody."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time anyway")
    key = make_api_key()
    attachment = keep(key=key)
    asked = [attachments.Asked(attachment.pk)]
    both_are_in = threading.Barrier(2)

    def accept():
        with transaction.atomic():
            found = attachments.find(
                asked, application_id=key.application_id, now=attachment.created_at
            )
            both_are_in.wait(10)
        return len(found)

    assert together(accept, accept) == [1, 1]


def test_two_clean_ups_at_once_remove_everything_once(folder):
    key = make_api_key()
    for _ in range(30):
        keep(now=NOON, key=key)
    over = NOON + timedelta(hours=25)

    counts = together(lambda: remove_expired(now=over), lambda: remove_expired(now=over))

    assert sum(counts) == 30
    assert stored(folder) == []
    assert not Attachment.objects.exists()

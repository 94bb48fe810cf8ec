"""However much is sent at once, a worker holds a bounded part of it."""

import threading
import time

import pytest
from django.utils import timezone

from messaging import attachment_memory, attachments, lines
from messaging.attachment_memory import Room
from messaging.models import Attempt, Status
from tests.factories import drain, make_api_key, make_message, make_sender, reloaded
from tests.messaging.attachments.files import PDF, keep


def test_there_is_room_up_to_the_limit_and_then_none():
    room = Room(10)

    with (
        room.take(6, seconds=0) as first,
        room.take(4, seconds=0) as second,
        room.take(1, seconds=0.01) as third,
    ):
        assert (first, second, third) == (True, True, False)

    with room.take(10, seconds=0) as everything:
        assert everything


def test_what_is_larger_than_all_of_it_goes_alone():
    room = Room(10)

    with room.take(100, seconds=0) as large, room.take(1, seconds=0) as small:
        assert (large, small) == (True, False)


def test_who_waits_gets_the_room_of_who_leaves():
    room, got = Room(10), []

    def wait():
        with room.take(8, seconds=10) as is_room:
            got.append(is_room)

    with room.take(8, seconds=0):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.05)
        assert got == []
    thread.join(10)

    assert got == [True]


def test_what_breaks_leaves_no_room_taken():
    room = Room(10)

    with pytest.raises(RuntimeError), room.take(10, seconds=0):
        raise RuntimeError

    with room.take(10, seconds=0) as is_room:
        assert is_room


@pytest.mark.django_db
def test_without_room_a_message_goes_back_uncharged_and_is_sent_later(adapter, monkeypatch):
    make_sender()
    key = make_api_key()
    attachment = keep(key=key)
    found = attachments.find(
        [attachments.Asked(attachment.pk)], application_id=key.application_id, now=timezone.now()
    )
    file = {name: getattr(found[0], name) for name in found[0].__slots__}
    content = {"to": [["", "ann@example.com"]], "subject": "S", "text": "T", "attachments": [file]}
    message = make_message(content=content, application=key.application)
    monkeypatch.setattr(lines, "WAIT_FOR_ROOM", 0.01)
    room = Room(len(PDF))
    monkeypatch.setattr(attachment_memory, "room", room)

    with room.take(len(PDF), seconds=0):
        monkeypatch.setattr("messaging.delivery.SLICE_SECONDS", {"normal": 0.3})
        drain()
    waiting = reloaded(message)
    drain()

    assert (waiting.status, waiting.tries) == (Status.PENDING, 0)
    assert reloaded(message).status == Status.SUCCESS
    assert Attempt.objects.filter(outcome="accepted").count() == len(adapter.sent) == 1

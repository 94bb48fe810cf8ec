"""Several dispatchers at once, as several worker processes are."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from messaging.callbacks import dispatch
from messaging.models import WebhookDelivery
from tests.imitations.webhook_receiver import Answer
from tests.messaging.webhooks.conftest import call_due, make_delivery, make_endpoint

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_dispatchers_at_once_call_each_once(receiver, monkeypatch):
    class NoTurns:
        """Each thread stands for a process, which has its own."""

        def acquire(self, **_):
            return True

        def release(self):
            pass

    monkeypatch.setattr(dispatch, "_turn", NoTurns())
    chosen = [make_endpoint(receiver.url).endpoint for _ in range(3)]
    made = [make_delivery(endpoint) for endpoint in chosen for _ in range(40)]
    begin = threading.Barrier(3)

    def run(_):
        try:
            begin.wait()
            return call_due()
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        shares = list(pool.map(run, range(3)))

    assert sum(shares) == 120
    assert Counter(receiver.ids()) == Counter(str(row.event_id) for row in made)
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"delivered"}


def test_in_one_process_the_second_leaves_it_to_the_first_which_looks_again(receiver):
    endpoint = make_endpoint(receiver.url).endpoint
    make_delivery(endpoint)
    # Longer than a busy machine needs until the second one looks.
    receiver.script = [Answer(200, seconds=3)]

    def run():
        try:
            call_due()
        finally:
            connection.close()

    first = threading.Thread(target=run)
    first.start()
    while not receiver.heard:
        time.sleep(0.01)
    make_delivery(endpoint, due_at=timezone.now())
    second = call_due()
    first.join()

    assert second == 0
    assert len(receiver.heard) == 2

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from messaging.gauges import SenderStateCollector
from messaging.models import Sender
from tests.factories import make_sender

pytestmark = pytest.mark.django_db


def states():
    (gauge,) = SenderStateCollector().collect()
    return {(s.labels["sender"], s.labels["state"]): s.value for s in gauge.samples}


def test_the_gauge_is_1_for_the_state_of_each_sender_and_0_for_the_others():
    make_sender(name="good")
    make_sender(name="bad", benched_until=timezone.now() + timedelta(hours=1))

    found = states()

    assert found["good", "active"] == found["bad", "benched"] == 1
    assert sum(found.values()) == 2
    assert found["good", "benched"] == 0


def test_a_database_that_is_away_hides_no_other_metric(monkeypatch):
    def fail(*args):
        raise DatabaseError

    monkeypatch.setattr(Sender.objects, "select_related", fail)

    assert states() == {}

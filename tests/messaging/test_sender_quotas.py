from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import ProtectedError

from messaging.models import SenderWindow
from messaging.sender_quotas import give_back, reserve
from tests.factories import NOON, make_group, make_sender

pytestmark = pytest.mark.django_db


def used(window="day", **owner):
    return SenderWindow.objects.get(window=window, **owner).used


def test_the_tightest_window_counts():
    sender = make_sender(per_minute=2, per_hour=5, per_day=100)

    assert reserve(sender, 10, now=NOON) == 2
    assert reserve(sender, 10, now=NOON + timedelta(minutes=1)) == 2
    assert reserve(sender, 10, now=NOON + timedelta(minutes=2)) == 1
    assert [used(w, sender=sender) for w in ("minute", "hour", "day")] == [1, 5, 5]


def test_a_day_begins_at_midnight_of_the_senders_own_zone():
    sender = make_sender(per_day=1, time_zone="Asia/Shanghai")
    before_midnight = NOON.replace(hour=15, minute=59)

    assert reserve(sender, 1, now=before_midnight) == 1
    assert reserve(sender, 1, now=before_midnight) == 0
    assert reserve(sender, 1, now=before_midnight + timedelta(minutes=1)) == 1


def test_senders_of_a_group_share_its_limit_and_keep_their_own():
    group = make_group(per_day=10)
    first, second = make_sender(group=group, per_day=4), make_sender(group=group)
    alone = make_sender()

    assert reserve(first, 8, now=NOON) == 4
    assert reserve(second, 8, now=NOON) == 6
    assert reserve(second, 1, now=NOON) == 0
    assert reserve(alone, 20, now=NOON) == 20
    assert used(group=group) == 10


def test_what_is_given_back_is_free_for_the_sender_and_its_group():
    group = make_group(per_hour=10)
    sender = make_sender(group=group, per_day=10)
    reserve(sender, 10, now=NOON)

    give_back(sender, 3, now=NOON)

    assert (used(sender=sender), used("hour", group=group), used(group=group)) == (7, 7, 7)
    assert reserve(make_sender(group=group), 9, now=NOON) == 3


def test_what_belongs_to_a_window_that_is_over_is_not_given_back():
    group = make_group(per_minute=5)
    sender = make_sender(group=group, per_minute=5)
    reserve(sender, 5, now=NOON)
    later = NOON + timedelta(minutes=1)
    reserve(sender, 2, now=later)

    give_back(sender, 5, now=NOON)

    assert used("minute", sender=sender) == used("minute", group=group) == 2
    assert used(sender=sender) == used(group=group) == 2


def test_a_limit_that_is_set_later_gets_its_row():
    sender = make_sender()
    reserve(sender, 5, now=NOON)
    sender.per_hour = 3
    sender.save()

    assert reserve(sender, 5, now=NOON) == 3


def test_a_group_with_senders_is_not_deleted():
    group = make_group()
    make_sender(group=group)

    with pytest.raises(ProtectedError):
        group.delete()


def test_a_window_belongs_to_a_sender_or_to_a_group():
    with pytest.raises(IntegrityError):
        SenderWindow.objects.create(window="day", started_at=NOON)


@pytest.mark.parametrize("count", [0, 101])
def test_a_sender_has_1_to_100_connections(count):
    sender = make_sender()
    sender.max_connections = count

    with pytest.raises(ValidationError):
        sender.full_clean()
    with pytest.raises(IntegrityError):
        sender.save()

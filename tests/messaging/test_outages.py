"""A database that goes away while messages are in the hands of providers."""

from collections import Counter

import pytest
from django.db import OperationalError

from messaging import delivery, states
from messaging.models import Event, Message, Status
from tests.factories import NOON, drain, make_application, make_message, make_sender, reloaded

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _short_rests(monkeypatch):
    monkeypatch.setattr(delivery, "DATABASE_REST", 0.01)


def test_what_was_marked_by_a_commit_whose_answer_was_lost_is_not_handed_over(adapter, monkeypatch):
    make_sender()
    application = make_application()
    for _ in range(6):
        make_message(application=application)
    commit, losses = delivery.commit, []

    def commit_and_lose_the_answer(outcomes, marks, **fields):
        done = commit(outcomes, marks, **fields)
        if outcomes and marks and not losses:
            losses.append([mark.message_id for mark in marks])
            raise OperationalError("the connection was lost")
        return done

    monkeypatch.setattr(delivery, "commit", commit_and_lose_the_answer)

    drain()

    (marked,) = losses
    sent = Counter(outbound.message_id for _, outbound in adapter.sent)
    assert set(sent.values()) == {1}
    assert len(sent) == Message.objects.filter(status=Status.SUCCESS).count()
    # Their marks were closed as what they are, so they go back and are in no doubt.
    assert {m.status for m in Message.objects.filter(pk__in=marked)} == {Status.PENDING}


def test_a_yes_that_waited_for_the_database_until_it_was_given_up_is_told_as_late(
    adapter, monkeypatch
):
    make_sender()
    message = make_message()
    commit, losses = delivery.commit, []

    def give_up_meanwhile(outcomes, marks, **fields):
        if outcomes and not losses:
            losses.append(outcomes)
            states.recover_leases(now=NOON.replace(day=24))
            raise OperationalError("the database is away")
        return commit(outcomes, marks, **fields)

    monkeypatch.setattr(delivery, "commit", give_up_meanwhile)

    drain()

    assert reloaded(message).status == Status.SUCCESS
    assert message.events.filter(kind=Event.Kind.LATE_SUCCESS).count() == 1

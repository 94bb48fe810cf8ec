import pytest

from messaging import states
from messaging.models import Status
from messaging.states import Claim
from tests.factories import NOON, make_message, reloaded

pytestmark = pytest.mark.django_db


def test_claims_that_are_released_are_due_at_once_whatever_their_tokens():
    held = [
        make_message(status=Status.SENDING, lease_token=token, claims=token) for token in (1, 1, 3)
    ]

    states.release([Claim(message, message.lease_token) for message in held], now=NOON)

    for message in map(reloaded, held):
        assert (message.status, message.leased_until, message.claims) == (Status.PENDING, None, 0)
        assert message.due_at == NOON


def test_what_others_hold_or_have_finished_is_not_released():
    others = make_message(status=Status.SENDING, lease_token=2)
    finished = make_message(status=Status.SUCCESS, lease_token=1)

    states.release([Claim(others, 1), Claim(finished, 1)], now=NOON)

    assert reloaded(others).status == Status.SENDING
    assert reloaded(finished).status == Status.SUCCESS

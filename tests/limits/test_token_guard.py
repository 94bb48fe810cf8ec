"""Who tries secrets is slowed down; who knows one is not."""

import time
from datetime import timedelta
from ipaddress import ip_address

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.keys import revoke_key
from accounts.token_guard import network_of
from tests.factories import make_issued_key

URL = "/api/v1/auth/token"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _few(settings):
    settings.TOKEN_FAILURES_PER_NETWORK, settings.TOKEN_FAILURES_PER_KEY = 4, 6


def ask(key_id="noti_live_unknown", secret="wrong", *, address="192.0.2.1"):
    body = {"api_key": key_id, "api_secret": secret}
    return APIClient(REMOTE_ADDR=address).post(URL, body)


def test_after_some_failures_a_network_waits(counted):
    answers = [ask(f"noti_live_{number}") for number in range(6)]

    refused = answers[-1]
    assert [answer.status_code for answer in answers] == [401] * 4 + [429] * 2
    assert refused.json()["code"] == "rate_limited"
    # Four a minute: one every fifteen seconds.
    assert 14 <= int(refused["Retry-After"]) <= 15
    assert ask(address="192.0.2.2").status_code == 401


def test_after_more_failures_a_key_waits_wherever_it_is_tried(counted):
    issued = make_issued_key()

    answers = [ask(issued.key.key_id, address=f"192.0.2.{n}").status_code for n in range(8)]

    assert answers == [401] * 6 + [429] * 2
    assert ask(make_issued_key().key.key_id, address="192.0.2.9").status_code == 401


def test_a_right_secret_is_never_counted(counted):
    issued = make_issued_key()

    answers = [ask(issued.key.key_id, issued.secret).status_code for _ in range(20)]

    assert answers == [200] * 20


def test_the_limits_can_be_switched_off(counted, settings):
    settings.TOKEN_FAILURES_PER_NETWORK = settings.TOKEN_FAILURES_PER_KEY = 0

    assert {ask().status_code for _ in range(12)} == {401}


def test_a_request_without_the_fields_is_422_and_counts_for_nothing(counted):
    for _ in range(6):
        assert APIClient(REMOTE_ADDR="192.0.2.1").post(URL, {}).status_code == 422

    assert ask().status_code == 401


def test_a_proxys_word_counts_only_where_it_is_trusted(counted, settings):
    def through(client_address):
        body = {"api_key": "noti_live_x", "api_secret": "x"}
        headers = {"X-Forwarded-For": client_address}
        return APIClient().post(URL, body, headers=headers).status_code

    untrusted = [through(f"192.0.2.{number}") for number in range(5)]
    settings.TRUSTED_PROXIES, settings.TOKEN_FAILURES_PER_KEY = 1, 0
    trusted = [through(f"192.0.2.{number}") for number in range(5)]

    assert untrusted[-1] == 429
    assert trusted == [401] * 5


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
    ],
)
def test_a_network_is_an_ipv4_address_or_an_ipv6_64(address, network):
    assert network_of(ip_address(address)) == network
    assert network_of(None) == "unknown"


def test_addresses_of_one_ipv6_network_count_together(counted):
    answers = [ask(f"k{n}", address=f"2001:db8::{n:x}").status_code for n in range(1, 7)]

    assert answers == [401] * 4 + [429] * 2


def test_whatever_is_wrong_the_answer_is_the_same_before_and_after_the_limit(counted, settings):
    settings.TOKEN_FAILURES_PER_KEY = 1
    now = timezone.now()
    revoked, expired = make_issued_key(), make_issued_key(expires_at=now - timedelta(seconds=1))
    revoke_key(key=revoked.key, now=now)
    good = make_issued_key()
    cases = [
        ("noti_live_unknown", "x"),
        (good.key.key_id, "x"),
        (revoked.key.key_id, revoked.secret),
        (expired.key.key_id, expired.secret),
    ]

    def bodies(round_):
        answers = [
            ask(*case, address=f"192.0.{round_}.{number}") for number, case in enumerate(cases)
        ]
        return [
            (a.status_code, {**a.json(), "request_id": ""}, a.headers.get("Retry-After"))
            for a in answers
        ]

    first, second = bodies(1), bodies(2)

    assert first == [first[0]] * 4
    assert second == [second[0]] * 4
    assert (first[0][0], second[0][0]) == (401, 429)


def test_unknown_and_wrong_take_the_same_time(settings):
    settings.TOKEN_FAILURES_PER_NETWORK = settings.TOKEN_FAILURES_PER_KEY = 0
    known = make_issued_key().key.key_id
    took = {"known": [], "unknown": []}
    for _ in range(60):
        for name, key_id in (("known", known), ("unknown", "noti_live_unknown")):
            began = time.perf_counter()
            ask(key_id)
            took[name].append(time.perf_counter() - began)

    # A row more to read, not a hash more to make: a slow one would cost a hundred times as much.
    # The shortest of many, since other processes only make it longer.
    assert abs(min(took["known"]) - min(took["unknown"])) < 0.002


def test_tries_at_the_same_time_get_no_further_than_one_by_one(redis_server, monkeypatch):
    """They are counted before the key is looked up, not after."""
    seen = []

    def look_up(**_):
        # As if more came in while this one is being looked up.
        seen.append(1)
        if len(seen) < 10:
            ask(f"k{len(seen)}")
        raise RuntimeError

    monkeypatch.setattr("accounts.viewsets.authenticate_key", look_up)
    client = APIClient(REMOTE_ADDR="192.0.2.1", raise_request_exception=False)

    client.post(URL, {"api_key": "k", "api_secret": "x"})

    assert len(seen) == 4

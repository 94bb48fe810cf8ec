"""Requests a second, by real requests."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from core import tallies
from tests.conftest import client_for
from tests.factories import make_api_key, make_application

MESSAGES = "/api/v1/messages"
SEND = "/api/v1/messages/email/send"
LETTER = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hi</p>"}

pytestmark = pytest.mark.django_db


def limited(**limits):
    return client_for(make_api_key(application=make_application(**limits)))


def test_more_than_the_burst_is_429_with_the_time_to_wait(counted):
    client = limited(requests_per_second=1, burst=3)

    answers = [client.get(MESSAGES)]
    # On a machine that is slow, one comes back meanwhile.
    while answers[-1].status_code == 200 and len(answers) < 20:
        answers.append(client.get(MESSAGES))

    refused = answers[-1]
    assert 4 <= len(answers) < 20
    assert refused.status_code == 429
    assert refused.json()["code"] == "rate_limited"
    assert refused["Content-Type"] == "application/problem+json"
    assert refused["Retry-After"] == "1"
    assert refused["X-Request-ID"] == refused.json()["request_id"]


def test_every_authenticated_answer_says_how_the_limit_stands(counted):
    client = limited(requests_per_second=10, burst=30)

    found = client.get(MESSAGES)
    missing = client.get(f"{MESSAGES}/01a20000-0000-7000-8000-000000000000")
    wrong = client.post(SEND, {})
    unknown = client.delete(MESSAGES)

    answers = [found, missing, wrong, unknown]
    assert [answer.status_code for answer in answers] == [200, 404, 422, 405]
    assert {answer["RateLimit-Policy"] for answer in answers} == {'"requests";q=30;w=3'}
    states = [re.fullmatch(r'"requests";r=(\d+);t=(\d+)', a["RateLimit"]) for a in answers]
    # Each takes one; a tenth of a second gives one back.
    assert all(26 <= int(state[1]) <= 29 and int(state[2]) == 1 for state in states)
    assert int(states[0][1]) == 29


def test_a_refused_request_has_the_headers_too_and_takes_nothing(counted):
    client = limited(requests_per_second=1)
    client.get(MESSAGES)

    refused = [client.get(MESSAGES) for _ in range(5)]

    assert {answer.status_code for answer in refused} == {429}
    assert {answer["RateLimit-Policy"] for answer in refused} == {'"requests";q=1;w=1'}
    assert {answer["RateLimit"] for answer in refused} == {'"requests";r=0;t=1'}


def test_applications_do_not_share_and_keys_of_one_do(counted):
    application = make_application(requests_per_second=1)
    first, second = (client_for(make_api_key(application=application)) for _ in range(2))
    other = limited(requests_per_second=1)

    assert first.get(MESSAGES).status_code == 200
    assert second.get(MESSAGES).status_code == 429
    assert other.get(MESSAGES).status_code == 200


def test_the_platforms_default_holds_unless_the_application_has_its_own(counted, settings):
    settings.DEFAULT_REQUESTS_PER_SECOND = 1
    default, freed, higher = limited(), limited(requests_per_second=0), limited(burst=2)

    assert [default.get(MESSAGES).status_code for _ in range(2)] == [200, 429]
    assert [freed.get(MESSAGES).status_code for _ in range(3)] == [200, 200, 200]
    assert [higher.get(MESSAGES).status_code for _ in range(3)] == [200, 200, 429]
    assert "RateLimit" not in freed.get(MESSAGES)


def test_without_a_limit_redis_is_not_asked_and_the_database_no_more_often(redis_server):
    free = client_for(make_api_key())
    limits = limited(requests_per_second=100, messages_per_day=1000, recipient_per_hour=100)
    for client in (free, limits):
        client.post(SEND, LETTER)
    redis_server.ask("CONFIG", "RESETSTAT")

    with CaptureQueriesContext(
        connection,
    ) as without:
        answer = free.post(SEND, LETTER)
    asked = redis_server.ask("INFO", "commandstats")
    with CaptureQueriesContext(connection) as with_limits:
        limits.post(SEND, LETTER)
    asked_then = redis_server.ask("INFO", "commandstats")["cmdstat_evalsha"]["calls"]

    assert answer.status_code == 202
    assert "RateLimit" not in answer
    assert "cmdstat_evalsha" not in asked
    # The limits come with the key: as many statements as without. Redis is asked twice: at the
    # door, and for what a valid request takes.
    assert len(with_limits) == len(without)
    assert asked_then == 2


def test_a_request_without_a_valid_token_takes_nothing(counted):
    client = limited(requests_per_second=1)

    for _ in range(3):
        assert APIClient().get(MESSAGES).status_code == 401

    assert client.get(MESSAGES).status_code == 200


def test_redis_holds_neither_addresses_nor_key_ids(redis_server):
    client = limited(requests_per_second=9, messages_per_day=9, recipient_per_day=9)
    client.post(SEND, LETTER)
    APIClient().post("/api/v1/auth/token", {"api_key": client.key.key_id, "api_secret": "x"})

    names = redis_server.ask("KEYS", "*")

    # That of the requests may be full again and gone.
    assert len(names) >= 4
    assert "ann" not in str(names)
    assert client.key.key_id not in str(names)
    assert all(redis_server.ask("TTL", name) != -1 for name in names)


def test_with_redis_stopped_requests_are_answered_and_limited(redis_server):
    client = limited(requests_per_second=1, burst=2, messages_per_day=5)
    assert client.post(SEND, LETTER).status_code == 202
    redis_server.stop()

    answers = [client.post(SEND, LETTER) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    # The rows know of the first.
    assert '"messages";r=2;' in answers[1]["RateLimit"]
    assert tallies.asking._resting_until > 0

"""Messages a day and to one recipient."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection

from accounts import quotas
from accounts.limits import Allowance, Limits, day_of, seconds_left
from accounts.quotas import Letter
from core.errors import DomainError
from messaging.models import Message
from tests.conftest import client_for
from tests.factories import NOON, make_api_key, make_application, make_message

SEND = "/api/v1/messages/email/send"
MESSAGES = "/api/v1/messages"
LETTER = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hi</p>"}

pytestmark = pytest.mark.django_db


def limited(**limits):
    return client_for(make_api_key(application=make_application(**limits)))


def allowance(application, **changes):
    fields = {
        "application_id": application.pk,
        "per_second": 0,
        "burst": 0,
        "per_day": 0,
        "time_zone": "UTC",
        "recipient_per_hour": 0,
        "recipient_per_day": 0,
        "is_for_high_only": False,
    }
    return Allowance(Limits(**fields | changes), NOON)


def letters(*addresses, lane="normal"):
    return [
        Letter(lane, [(f"/items/{index}/to", address)]) for index, address in enumerate(addresses)
    ]


# --- a day ----------------------------------------------------------------------------------------


def test_more_than_the_quota_is_429_until_midnight(counted):
    client = limited(messages_per_day=2, time_zone="Asia/Shanghai")

    # 23:00 in Shanghai.
    with time_machine.travel(datetime(2026, 11, 25, 15, 0, tzinfo=UTC), tick=False):
        token = client_for(client.key)
        answers = [token.post(SEND, LETTER) for _ in range(3)]

    refused = answers[-1]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert refused.json()["code"] == "quota_exceeded"
    assert "2 messages a day; none is left until 2026-11-26T00:00:00+08:00" in str(refused.json())
    assert refused["Retry-After"] == "3600"
    assert refused["RateLimit-Policy"] == '"messages";q=2;w=86400'
    assert [a["RateLimit"] for a in answers] == [f'"messages";r={n};t=3600' for n in (1, 0, 0)]


def test_at_midnight_of_its_own_zone_the_day_begins_anew(counted):
    key = make_api_key(application=make_application(messages_per_day=1, time_zone="Asia/Shanghai"))

    def post(moment):
        with time_machine.travel(moment, tick=False):
            return client_for(key).post(SEND, LETTER).status_code

    midnight = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)
    before = [post(midnight - timedelta(seconds=1)) for _ in range(2)]
    after = [post(midnight) for _ in range(2)]
    utc_midnight = post(midnight + timedelta(hours=8))

    assert (before, after, utc_midnight) == ([202, 429], [202, 429], 429)


def test_reading_uses_no_quota_and_says_how_it_stands(counted):
    client = limited(messages_per_day=5, requests_per_second=50)
    client.post(SEND, LETTER)

    answers = [client.get(MESSAGES) for _ in range(3)]

    assert all('"messages";r=4;' in answer["RateLimit"] for answer in answers)
    assert answers[0]["RateLimit-Policy"] == '"requests";q=50;w=1, "messages";q=5;w=86400'


@pytest.mark.parametrize(
    "wrong", [{"to": "nobody"}, {"template_code": "missing"}, {"content": "\u0000"}]
)
def test_a_request_that_is_refused_uses_no_quota(counted, wrong):
    client = limited(messages_per_day=1, recipient_per_day=1)

    refused = client.post(SEND, LETTER | wrong)

    assert refused.status_code in {404, 422}
    assert client.post(SEND, LETTER).status_code == 202


def test_what_cannot_be_stored_is_given_back(counted, monkeypatch):
    client = limited(messages_per_day=1, recipient_per_day=1)
    client.raise_request_exception = False
    with monkeypatch.context() as patched:
        patched.setattr("messaging.intake.insert_one", lambda *_: 1 / 0)
        broken = client.post(SEND, LETTER)

    assert broken.status_code == 500
    assert '"messages";r=1;' in broken["RateLimit"]
    assert client.post(SEND, LETTER).status_code == 202
    assert client.post(SEND, LETTER).status_code == 429


def test_a_batch_takes_as_many_as_it_has_or_none(counted):
    application = make_application()
    limit = allowance(application, per_day=10)
    quotas.take(limit, letters(*"abcdefg"), now=NOON)

    with pytest.raises(DomainError) as refused:
        quotas.take(limit, letters(*"abcd"), now=NOON)
    quotas.take(limit, letters(*"abc"), now=NOON)

    assert "3 are left" in refused.value.detail
    assert "asks for 4" in refused.value.detail
    assert limit.messages_left == 0


def test_a_batch_item_by_item_takes_what_is_there(counted):
    limit = allowance(make_application(), per_day=3, recipient_per_day=1)

    answers = quotas.take_each(limit, letters("ann", "ann", "bob", "cid", "dan"), now=NOON)

    codes = [error.code if error else None for error in answers]
    assert codes == [None, "recipient_capped", None, None, "quota_exceeded"]
    assert answers[1].errors[0].pointer == "/items/1/to"


def test_a_dry_run_takes_nothing(counted):
    limit = allowance(make_application(), per_day=1, recipient_per_hour=1)
    for _ in range(3):
        quotas.take(limit, letters("ann"), now=NOON, is_real=False)

    quotas.take(limit, letters("ann"), now=NOON)

    with pytest.raises(DomainError):
        quotas.take(limit, letters("ann"), now=NOON, is_real=False)


def test_a_counter_that_was_lost_is_counted_anew_from_the_rows(redis_server):
    client = limited(messages_per_day=3)
    for _ in range(2):
        client.post(SEND, LETTER)

    redis_server.ask("FLUSHALL")
    answers = [client.post(SEND, LETTER).status_code for _ in range(2)]

    assert answers == [202, 429]


def test_rows_of_yesterday_and_of_others_are_not_counted(counted):
    application = make_application(messages_per_day=2)
    make_message()
    with time_machine.travel(datetime.now(UTC) - timedelta(days=1)):
        make_message(application=application)
    make_message(application=application)

    answers = [client_for(make_api_key(application=application)).post(SEND, LETTER) for _ in "ab"]

    assert [answer.status_code for answer in answers] == [202, 429]


def test_the_limit_can_be_raised_during_the_day(counted):
    application = make_application(messages_per_day=1)
    client = client_for(make_api_key(application=application))
    assert [client.post(SEND, LETTER).status_code for _ in range(2)] == [202, 429]

    application.messages_per_day = 2
    application.save()

    assert [client.post(SEND, LETTER).status_code for _ in range(2)] == [202, 429]


@pytest.mark.parametrize(
    ("zone", "moment", "hours"),
    [
        ("UTC", datetime(2026, 11, 25, 12, tzinfo=UTC), 24),
        ("Asia/Shanghai", datetime(2026, 11, 25, 12, tzinfo=UTC), 24),
        ("Europe/Berlin", datetime(2026, 3, 29, 12, tzinfo=UTC), 23),
        ("Europe/Berlin", datetime(2026, 10, 25, 12, tzinfo=UTC), 25),
    ],
)
def test_a_day_is_as_long_as_its_zone_has_it(zone, moment, hours):
    begins, ends = day_of(zone, moment)

    limits = allowance(make_application(), per_day=1, time_zone=zone).limits
    assert (ends.timestamp() - begins.timestamp()) / 3600 == hours
    assert seconds_left(limits, begins.astimezone(UTC)) == hours * 3600
    assert day_of(zone, ends)[0] == ends


# --- one recipient --------------------------------------------------------------------------------


def test_a_recipient_gets_no_more_than_the_cap_and_the_answer_names_it(counted):
    client = limited(recipient_per_hour=2)
    to_two = {"to": ["bob@example.com", "Ann <ANN@example.com>"]}

    answers = [client.post(SEND, LETTER), client.post(SEND, LETTER | to_two)]
    refused = client.post(SEND, LETTER | to_two)

    assert [answer.status_code for answer in answers] == [202, 202]
    assert (refused.status_code, refused.json()["code"]) == (429, "recipient_capped")
    [error] = refused.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/to/1", "recipient_capped")
    assert "at most 2 messages of yours in any hour" in error["detail"]
    assert 3590 <= int(refused["Retry-After"]) <= 3600
    assert client.post(SEND, LETTER | {"to": "bob@example.com"}).status_code == 202
    assert client.post(SEND, LETTER | {"cc": "cid@example.com"}).json()["errors"] == [
        {**error, "pointer": "/to"}
    ]


def test_the_cap_of_codes_lets_other_messages_through(counted):
    client = limited(recipient_per_day=1, is_recipient_cap_for_high_only=True)

    codes = [client.post(SEND, LETTER | {"priority": "high"}) for _ in range(2)]
    others = [client.post(SEND, LETTER) for _ in range(2)]

    assert [answer.status_code for answer in codes] == [202, 429]
    assert [answer.status_code for answer in others] == [202, 202]


def test_a_capped_message_uses_no_quota(counted):
    client = limited(recipient_per_day=1, messages_per_day=2)
    client.post(SEND, LETTER)

    capped = client.post(SEND, LETTER)

    assert capped.status_code == 429
    assert '"messages";r=1;' in capped["RateLimit"]


def test_caps_of_two_applications_are_two(counted):
    first, second = limited(recipient_per_day=1), limited(recipient_per_day=1)

    assert first.post(SEND, LETTER).status_code == 202
    assert second.post(SEND, LETTER).status_code == 202


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(60)
def test_threads_that_send_at_the_same_time_store_as_many_as_the_quota(counted):
    key = make_api_key(application=make_application(messages_per_day=20))
    statuses = []

    def send():
        client = client_for(key)
        try:
            statuses.extend(client.post(SEND, LETTER).status_code for _ in range(10))
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (statuses.count(202), statuses.count(429)) == (20, 20)
    assert Message.objects.count() == 20

"""Only what becomes a message uses a quota."""

import pytest
from django.utils import timezone

from accounts import quotas
from messaging.models import Message
from tests.conftest import client_for
from tests.factories import make_api_key, make_application

SEND, BATCH = "/api/v1/messages/email/send", "/api/v1/messages/batch"
LETTER = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hello</p>"}

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("counted")]


def client(**limits):
    application = make_application(**limits)
    found = client_for(make_api_key(application=application))
    found.application = application
    return found


def used(api):
    return quotas.used_today(api.application, now=timezone.now())


def test_replays_and_duplicates_use_none(settings):
    settings.DEDUPE_SECONDS = 300
    api = client(messages_per_day=3)

    statuses = [
        api.post(SEND, LETTER, headers=headers).status_code
        for headers in ({"Idempotency-Key": "a"}, {"Idempotency-Key": "a"}, {}, {}, {})
    ]

    assert statuses == [202, 202, 202, 200, 200]
    assert used(api) == 2


def test_a_used_up_quota_keeps_no_replay_back():
    api = client(messages_per_day=1)
    first = api.post(SEND, LETTER, headers={"Idempotency-Key": "a"})

    again = api.post(SEND, LETTER, headers={"Idempotency-Key": "a"})
    other = api.post(SEND, LETTER, headers={"Idempotency-Key": "b"})

    assert again.content == first.content
    assert (other.status_code, other.json()["code"]) == (429, "quota_exceeded")


def test_a_dry_run_is_refused_for_a_quota_and_uses_none():
    api = client(messages_per_day=1)

    dry = [api.post(SEND, LETTER | {"dry_run": True}).status_code for _ in range(3)]
    api.post(SEND, LETTER)
    full = api.post(SEND, LETTER | {"dry_run": True})

    assert dry == [200] * 3
    assert (full.status_code, full.json()["code"]) == (429, "quota_exceeded")


def test_a_batch_takes_what_is_left_and_says_which_did_not_go():
    api = client(messages_per_day=2)
    items = [{"to": f"c{number}@example.com"} for number in range(3)]

    told = api.post(BATCH, {"defaults": LETTER, "items": [{"to": "nobody"}, *items]}).json()

    assert [result["status"] for result in told["results"]] == [
        "rejected",
        "accepted",
        "accepted",
        "rejected",
    ]
    assert told["results"][3]["error"]["code"] == "quota_exceeded"
    assert Message.objects.count() == used(api) == 2


def test_all_or_nothing_takes_all_or_nothing():
    api = client(messages_per_day=2)
    body = {
        "defaults": LETTER,
        "items": [{"to": f"c{number}@example.com"} for number in range(3)],
        "mode": "all_or_nothing",
    }

    refused = api.post(BATCH, body)
    fits = api.post(BATCH, body | {"items": body["items"][:2]})

    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert fits.status_code == 202
    assert used(api) == 2


def test_duplicates_in_a_batch_are_given_back(settings):
    settings.DEDUPE_SECONDS = 300
    api = client(messages_per_day=10)

    told = api.post(BATCH, {"defaults": LETTER, "items": [{}, {}, {"to": "b@example.com"}]}).json()

    assert (told["accepted"], told["deduplicated"]) == (2, 1)
    assert used(api) == 2


def test_a_capped_recipient_is_named_by_its_item():
    api = client(recipient_per_hour=1)
    items = [{"to": "a@example.com"}, {"to": "b@example.com"}, {"to": "A@example.com"}]
    body = {"defaults": LETTER, "items": items, "mode": "all_or_nothing"}

    refused = api.post(BATCH, body)

    assert refused.json()["code"] == "recipient_capped"
    assert {error["pointer"] for error in refused.json()["errors"]} == {
        "/items/0/to",
        "/items/2/to",
    }

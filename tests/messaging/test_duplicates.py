"""The same message again within its window is not sent twice."""

from datetime import timedelta

import pytest
from django.utils import timezone

from messaging.models import Event, Fingerprint, Message
from tests.conftest import client_for
from tests.factories import make_api_key, make_application, make_version
from tests.messaging.test_idempotency import at_once

URL = "/api/v1/messages/email/send"
BODY = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hello</p>"}


def send(api, *, headers=None, **overrides):
    return api.post(URL, BODY | overrides, headers=headers or {})


def test_the_same_again_is_answered_with_the_first_one(api):
    first, again = send(api), send(api)

    assert (first.status_code, again.status_code) == (202, 200)
    assert (first.json()["deduplicated"], again.json()["deduplicated"]) == (False, True)
    assert again.json()["id"] == first.json()["id"]
    assert Message.objects.count() == 1


def test_it_is_told_in_the_timeline_of_the_first_one(api):
    first = send(api).json()
    send(api, headers={"X-Request-ID": "retry-7"})

    told = api.get(f"/api/v1/messages/{first['id']}/timeline").json()

    assert [entry["kind"] for entry in told["entries"]] == ["accepted", "duplicate"]
    assert Event.objects.get().kind == "duplicate"


@pytest.mark.parametrize(
    "other",
    [
        {"to": "bob@example.com"},
        {"cc": "bob@example.com"},
        {"subject": "Hello again"},
        {"content": "<p>Hello </p>"},
        {"text": "Hello"},
        {"reply_to": "help@example.com"},
        {"reference": "another order"},
        {"send_at": "2027-01-01T00:00:00Z", "expires_at": "2027-01-02T00:00:00Z"},
        {"delay_seconds": 60},
        {"dedupe_key": "welcome"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_differs_for_anybody_is_another_message(api, other):
    assert send(api).status_code == 202
    assert send(api, **other).status_code == 202


@pytest.mark.parametrize("other", [{"metadata": {"try": "2"}}, {"tags": ["b"]}])
def test_labels_make_no_other_message(api, other):
    send(api)

    assert send(api, **other).status_code == 200


def test_a_dedupe_key_says_what_is_the_same(api):
    first = send(api, dedupe_key="disk of db-1", subject="Disk is 95 % full")
    again = send(api, dedupe_key="disk of db-1", subject="Disk is 96 % full")
    elsewhere = send(api, dedupe_key="disk of db-1", to="bob@example.com")

    assert again.json()["id"] == first.json()["id"]
    assert elsewhere.status_code == 202


def test_an_idempotency_key_tells_messages_apart_unless_there_is_a_dedupe_key(api):
    keyed = [
        api.post(URL, BODY | {"dedupe_key": "d"}, headers={"Idempotency-Key": key})
        for key in ("a", "b", "b")
    ]

    assert [answer.status_code for answer in keyed] == [202, 200, 200]
    assert len({answer.json()["id"] for answer in keyed}) == 1
    assert keyed[2].headers["Idempotent-Replayed"] == "true"


def test_after_its_window_it_is_sent_again_and_a_new_one_begins(api):
    first = send(api)
    Fingerprint.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    second, third = send(api), send(api)

    assert second.status_code == 202
    assert third.json()["id"] == second.json()["id"] != first.json()["id"]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_failed_or_was_cancelled_keeps_nobody_back(api, status):
    first = send(api, cc="carl@example.com")
    Message.objects.update(status=status, reason="rejected", finished_at=timezone.now())

    second, third = send(api, cc="carl@example.com"), send(api, cc="carl@example.com")

    assert second.status_code == 202
    assert second.json()["id"] != first.json()["id"]
    assert (third.status_code, third.json()["id"]) == (200, second.json()["id"])


@pytest.mark.django_db
def test_the_window_is_the_templates_or_else_the_applications_or_else_the_platforms(settings):
    settings.DEDUPE_SECONDS = 0
    platform = client_for(make_api_key())
    assert [send(platform).status_code for _ in range(2)] == [202, 202]

    application = make_application(dedupe_seconds=60)
    own = client_for(make_api_key(application=application))
    assert [send(own).status_code for _ in range(2)] == [202, 200]

    version = make_version(status="published")
    version.template.dedupe_seconds = 0
    version.template.save()
    by_template = {
        "to": "ann@example.com",
        "template_code": version.template.code,
        "variables": {"name": "Ann"},
    }
    assert [own.post(URL, by_template).status_code for _ in range(2)] == [202, 202]


def test_others_are_not_kept_back(api):
    send(api)

    assert send(client_for(make_api_key())).status_code == 202


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_is_stored():
    key = make_api_key()

    answers = at_once(16, lambda _: send(client_for(key), to=["ann@example.com", "b@example.com"]))

    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Message.objects.count() == 1
    assert Event.objects.filter(kind="duplicate").count() == 15


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_after_a_failure_one_is_stored():
    key = make_api_key()
    send(client_for(key))
    Message.objects.update(status="failed", reason="rejected", finished_at=timezone.now())

    answers = at_once(12, lambda _: send(client_for(key)))

    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [202]
    assert Message.objects.count() == 2
